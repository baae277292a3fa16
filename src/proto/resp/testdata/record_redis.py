#!/usr/bin/python3
"""Writes redis_errors.txt: the refusals of a real redis-server for the requests below.

    record_redis.py [--check]      with --check: compares instead of writing; exit code 1 if different

Starts redis-server on a free loopback port without persistence and ends it again. Requests are
written as in a terminal (inline, C escapes); the test feeds the same bytes to our parser. A reply
that is not an error is recorded as "(accepted)".
"""
import os
import socket
import subprocess
import sys
import tempfile
import time

SET_WORDS = ["nx", "xx", "get", "keepttl", "ex 10", "px 10", "exat 9999999999", "pxat 9999999999999"]
INTEGERS = ["0", "-1", "1", "+1", "01", "-0", "1.0", "1e3", '""', '" 1"', '"1 "', "abc", "0x10",
            "9223372036854775807", "9223372036854775808", "-9223372036854775808",
            "-9223372036854775809", "9223372036854775", "9223372036854776", "-9223372036854775",
            "-9223372036854776", "99999999999999999999999", "-", '"1\\x00"']


def requests():
    yield from ["foo", "foo a b", "foo a b c 'with blank' \"q\\\"uote\"", "FOO \"a\\r\\nb\"", '"a\\r\\nb" c',
                '"fo\\x00o" "a\\x00b" c', '"" x']
    yield "f" * 200 + " a"
    yield "foo " + "a" * 127 + " b c"
    yield "foo " + "a" * 125 + " b c"
    yield "foo " + "a" * 124 + " b c"
    yield "foo " + "a" * 200 + " b c"
    yield "foo " + " ".join("arg%d" % i for i in range(40))
    yield from ["config|get x", "client|id", "asterias.foo"]
    for name in ("get set del exists incr incrby decr decrby mget mset select config client reset ttl pttl "
                 "expire pexpire persist type strlen append time echo GET gEt").split():
        yield name
        yield name + " a b c d e f"
    for name in ("config get|config set|config set a|config resetstat x|config foo|CONFIG FoO a|config "
                 "help x|client id x|client getname x|client setname|client setname a b|client foo|client "
                 "''|command count x|command docs|command getkeys|command getkeys get|command info|command "
                 "foo|command list|command help x|client " + "s" * 150 + '|client "a\\r\\nb"|client "a\\x00b"').split("|"):
        yield name
    for a in SET_WORDS:
        yield "set k v " + a
        for b in SET_WORDS:
            yield "set k v %s %s" % (a, b)
    yield from ["set k v ex", "set k v px", "set k v exat", "set k v nx ex", "set k v foo", "set k v n",
                "set k v nxx", "set k v NX Ex 5", "set k v ex 5 px", "set k v ex nx", "set k v ex 5 nx xx",
                "set k v ''", "set k v persist", "set k v ex 0 nx xx"]
    for n in INTEGERS:
        for word in ("ex", "px", "exat", "pxat"):
            yield "set k v %s %s" % (word, n)
        yield "expire k " + n
        yield "pexpire absent " + n
        yield "incrby fresh:incr:%d %s" % (INTEGERS.index(n), n)
    words = ["nx", "xx", "gt", "lt", "NX"]
    for a in words:
        yield "expire absent 10 " + a
        for b in words:
            yield "expire absent 10 %s %s" % (a, b)
    yield from ["expire k 10 foo", "expire k x foo", "expire k x nx xx", "pexpire k 10 foo", "expire k 10 nx foo"]
    yield from ["hello 4", "hello 1", "hello x", "hello 2 setname", "hello 2 foo", "hello 2 setname 'a b'",
                "hello 2 auth a", "hello 2 setname ab", "hello -1", "hello 2 setname ab foo"]
    # Below the commands: the framing.
    yield from ["*x", "*1x", "*03", "*2147483648", "*99999999999999999999", "*", "*-x", "*1\\r\\nPING",
                "*1\\r\\n:4", "*1\\r\\n", "*1\\r\\n$-1", "*1\\r\\n$", "*1\\r\\n$x", "*1\\r\\n$+4", "*1\\r\\n$04",
                "*1\\r\\n$536870913", "*1\\r\\n$99999999999999999999", "*2\\r\\n$4\\r\\nECHO\\r\\n*1",
                "get \"a", "get 'a", "get \"a\"b", "get 'a'b", "get \"a\\\\", "POST / HTTP/1.1", "host: x", "Host: x y",
                "*1\\r\\n$4\\r\\nPOST", "a\"b", "a'b'c"]


def unescape(text):
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1") if "\\" in text else text.encode()


def quoted(data):
    out = ""
    for byte in data:
        char = chr(byte)
        out += "\\" + char if char in '"\\' else char if 32 <= byte < 127 else "\\x%02x" % byte
    return '"%s"' % out


def escaped_for_inline(text):
    """Escapes inside quotes are for the inline splitter: they must reach it as they are."""
    framing = text.startswith("*")
    return text if framing else text.replace("\\", "\\\\")


def ask(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(data + b"\r\n")
        s.shutdown(socket.SHUT_WR)
        reply = b""
        while chunk := s.recv(65536):
            reply += chunk
    if not reply:
        return b"(closed)" if data.lower().startswith((b"post", b"host:", b"*1\r\n$4\r\npost")) else b"(waits)"
    return reply.split(b"\r\n")[0][1:] if reply.startswith(b"-") else b"(accepted)"


def record(port):
    version = [l for l in subprocess.run(["redis-cli", "-p", str(port), "info", "server"], capture_output=True,
                                         text=True, check=True).stdout.splitlines() if "redis_version" in l][0]
    out = ["# Recorded from %s by record_redis.py; do not edit." % version.strip(), ""]
    for text in dict.fromkeys(requests()):
        shown = escaped_for_inline(text)
        out += ["redis", shown, "----", quoted(ask(port, unescape(shown))), ""]
    return "\n".join(out)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(here, "redis_errors.txt")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir",
                                   directory], stdout=subprocess.DEVNULL)
        try:
            for _ in range(100):
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            text = record(port)
        finally:
            server.terminate()
            server.wait(timeout=10)
    if "--check" in sys.argv:
        with open(path) as f:
            same = f.read() == text
        print("same" if same else "different")
        return 0 if same else 1
    with open(path, "w") as f:
        f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
