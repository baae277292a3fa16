#!/usr/bin/python3
"""TLS on the Redis door with real clients: redis-cli, python3-redis, openssl s_client and Python's
ssl; and what comes to the port that is no TLS, or never ends its handshake."""
import os
import pathlib
import signal
import socket
import ssl
import subprocess

import redis

from _cluster import HOST, Cluster, run
from _resp import Resp, encode
from _tap import Claims, equal, expect, poll


def openssl(*arguments, **keywords):
    return subprocess.run(
        ["openssl", *arguments], capture_output=True, timeout=60, check=False, **keywords
    )


def certificate(name, subject, signer=None):
    """name.crt and name.key; signed by `signer` or by itself, which makes it an authority."""
    sign = ["-CA", f"{signer}.crt", "-CAkey", f"{signer}.key"] if signer else []
    made = openssl(
        *["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
        *["-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "2", "-subj", f"/CN={subject}"],
        *["-addext", f"subjectAltName=IP:{HOST}"],
        *(["-addext", "basicConstraints=critical,CA:FALSE"] if signer else []),
        *sign,
    )
    equal(made.returncode, 0, made.stderr)


class TlsResp(Resp):
    """The same client over a wrapped socket."""

    def __init__(self, node, files, timeout=30.0, versions=None):
        super().__init__(node.resp, timeout)
        context = ssl.create_default_context(cafile=files + "/ca.crt")
        if versions:
            context.minimum_version, context.maximum_version = versions
        self.socket = context.wrap_socket(self.socket, server_hostname=HOST)


class Sealed:
    """A node whose Redis door speaks TLS."""

    def __init__(self):
        self.cluster = Cluster(nodes=1)
        self.files = self.cluster.directory
        certificate(f"{self.files}/ca", "Authority")
        certificate(f"{self.files}/node", "node", f"{self.files}/ca")
        certificate(f"{self.files}/client", "client", f"{self.files}/ca")
        self.node = self.cluster.nodes[0]
        self.node.options += ["--tls-cert", f"{self.files}/node.crt"]
        self.node.options += ["--tls-key", f"{self.files}/node.key"]
        self.node.options += ["--tls-handshake-timeout", "1s", "--tls-handshakes-max", "4"]
        self.node.options += ["--log-level", "debug"]
        self.node.resp_client = lambda timeout=10.0: TlsResp(self.node, self.files, timeout)

    def __enter__(self):
        self.cluster.__enter__()
        return self

    def __exit__(self, *error):
        return self.cluster.__exit__(*error)

    def cli(self, *arguments):
        words = ["redis-cli", "-p", str(self.node.resp[1]), "--tls", "--cacert"]
        done = subprocess.run(
            [*words, f"{self.files}/ca.crt", *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return (done.stdout + done.stderr).strip()

    def served(self):
        with TlsResp(self.node, self.files) as client:
            equal(client.call("PING"), "PONG")


def clients(sealed):
    """redis-cli and redis-py speak TLS 1.2 and 1.3 with the door; nothing older"""
    equal(sealed.cli("set", "k", "v"), "OK")
    options = {"ssl": True, "ssl_ca_certs": f"{sealed.files}/ca.crt"}
    equal(redis.Redis(HOST, sealed.node.resp[1], **options).get("k"), b"v")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with TlsResp(sealed.node, sealed.files, versions=(version, version)) as client:
            equal(client.call("GET", "k"), b"v")
    address = f"{HOST}:{sealed.node.resp[1]}"
    weak = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
    old = openssl("s_client", "-connect", address, *weak, input=b"")
    expect(old.returncode != 0, "TLS 1.1 was taken")
    # R asks for a renegotiation, which is refused.
    words = ["openssl", "s_client", "-connect", address, "-tls1_2"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(words, **pipes) as again:
        again.stdin.write(b"R\n")
        again.stdin.flush()
        told = again.stdout.read()  # it ends by itself when it is refused
    expect(b"RENEGOTIATING" in told and b"no renegotiation" in told, "a renegotiation was taken")


def large(sealed):
    """16 MiB values and deep pipelines go both ways, and a slow reader gets every byte"""
    value = os.urandom(1 << 20) * 15
    with TlsResp(sealed.node, sealed.files) as client:
        equal(client.call("SET", "large", value), "OK")
        equal(client.call("GET", "large"), value)
        # Sent before anything is read: Python's ssl is no socket for two threads at once.
        client.send(encode("GET", "large") * 8)
        for _ in range(8):
            equal(client.reply(), value)
        client.send(encode("INCR", "n") * 20000)
        equal([client.reply() for _ in range(20000)], list(range(1, 20001)))


def half_closed(sealed):
    """who ends its side still gets its answers, and QUIT ends with a close_notify"""
    with TlsResp(sealed.node, sealed.files) as client:
        client.send(encode("SET", "h", "1") + encode("GET", "h"))
        # Its own shutdown would forget the keys.
        with socket.socket(fileno=os.dup(client.socket.fileno())) as bare:
            bare.shutdown(socket.SHUT_WR)
        equal((client.reply(), client.reply()), ("OK", b"1"))
    raw = TlsResp(sealed.node, sealed.files)
    raw.socket.suppress_ragged_eofs = False  # an end without close_notify would be an error
    equal(raw.call("QUIT"), "OK")
    equal(raw.socket.recv(1), b"", "the end")
    raw.close()


def no_tls(sealed):
    """plain text and garbage on the port get no answer of the door, and harm nobody"""
    for sent in (b"PING\r\n", encode("PING"), os.urandom(2000), b"GET / HTTP/1.1\r\n\r\n", b"\x16"):
        with socket.create_connection(sealed.node.resp, 10) as plain:
            plain.sendall(sent)
            plain.shutdown(socket.SHUT_WR)
            got = b""
            try:
                while part := plain.recv(1000):
                    got += part
            except ConnectionResetError:
                pass
            expect(b"PONG" not in got and not got.startswith((b"+", b"-")), got)
    sealed.served()


def slow_handshake(sealed):
    """who never ends its handshake is closed, takes no client's place, and bars no handshake"""
    silent = [socket.create_connection(sealed.node.resp, 30) for _ in range(20)]
    try:
        silent[-1].sendall(b"\x16\x03\x01\x02")
        sealed.served()
        for connection in silent:
            try:
                equal(connection.recv(1), b"", "a silent one is closed")
            except ConnectionResetError:
                pass
    finally:
        for connection in silent:
            connection.close()
    for bound in ("too many handshakes", "took too long"):
        poll(lambda: bound in sealed.node.log(), 30, f"the log says: {bound}")


def reload(sealed):
    """SIGHUP takes a new certificate; a key of another one changes nothing"""
    os.replace(f"{sealed.files}/client.key", f"{sealed.files}/node.key")
    sealed.node.process.send_signal(signal.SIGHUP)
    poll(lambda: "nothing was changed" in sealed.node.log(), 20, "the log tells")
    sealed.served()
    certificate(f"{sealed.files}/node", "renewed", f"{sealed.files}/ca")
    sealed.node.process.send_signal(signal.SIGHUP)

    def renewed():
        with TlsResp(sealed.node, sealed.files) as client:
            return "renewed" in str(client.socket.getpeercert()["subject"])

    poll(renewed, 20, "the new certificate")


def waits(sealed):
    """SIGHUP renews the door that runs, and the log names what waits for a restart"""
    file = pathlib.Path(sealed.files) / "moved.toml"
    file.write_text("maxclients = 100\n", encoding="utf-8")
    sealed.node.terminate()
    sealed.node.options += ["--config", str(file)]
    sealed.node.start()
    poll(lambda: sealed.cli("ping") == "PONG", 30, "it serves")
    file.write_text("maxclients = 200\n", encoding="utf-8")
    certificate(f"{sealed.files}/node", "moved", f"{sealed.files}/ca")
    sealed.node.process.send_signal(signal.SIGHUP)
    poll(lambda: "maxclients is 100 until a restart" in sealed.node.log(), 20, "the log tells")
    with TlsResp(sealed.node, sealed.files) as client:
        expect("moved" in str(client.socket.getpeercert()["subject"]), "the old certificate")


def client_certificates(sealed):
    """with tls-client-ca only who shows a certificate of it comes in"""
    certificate(f"{sealed.files}/client", "client", f"{sealed.files}/ca")
    sealed.node.terminate()
    sealed.node.options += ["--tls-client-ca", f"{sealed.files}/ca.crt"]
    sealed.node.start()
    shown = ("--cert", f"{sealed.files}/client.crt", "--key", f"{sealed.files}/client.key")
    poll(lambda: sealed.cli(*shown, "ping") == "PONG", 30, "who shows one is let in")
    expect("PONG" not in sealed.cli("ping"), "who shows none was let in")


def listening_ports(process):
    """The ports on which a process listens (proc(5): state 0A)."""
    links = pathlib.Path(f"/proc/{process.pid}/fd").iterdir()
    sockets = {os.readlink(link) for link in links}
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = [row for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    return {int(row[1].split(":")[1], 16) for row in ours}


def chosen_port(sealed):
    """a Redis port that the system chooses (0) speaks TLS as any other"""
    node, before = sealed.node, sealed.node.resp
    node.terminate()
    node.resp = (HOST, 0)
    node.start()
    ports = set()

    def listens():
        ports.update(listening_ports(node.process) - {node.http[1], node.peer[1]})
        return ports

    poll(listens, 30, "the Redis port")
    node.resp = (HOST, ports.pop())
    poll(lambda: sealed.cli("ping") == "PONG", 30, "it serves")
    with socket.create_connection(node.resp, 10) as plain:
        plain.sendall(b"PING\r\n")
        plain.shutdown(socket.SHUT_WR)
        expect(b"PONG" not in plain.recv(100), "the door is plain")
    node.terminate()
    node.resp = before
    node.start()
    poll(lambda: sealed.cli("ping") == "PONG", 30, "it serves again")


def wrong_files(sealed):
    """files that are missing, or do not belong together, are refused at the start, by name"""
    for key, word in (("none.key", "none.key"), ("ca.key", "ca.key"), ("ca.crt", "ca.crt")):
        arguments = ["--tls-cert", f"{sealed.files}/node.crt", "--tls-key", f"{sealed.files}/{key}"]
        refused = run("serve", "--data", sealed.node.data, *arguments)
        equal(refused.returncode, 2, refused.stderr)
        expect(word in refused.stderr, refused.stderr)
    expect(pathlib.Path(sealed.node.data).exists(), "the directory is as it was")


def main():
    claims = Claims()
    with Sealed() as sealed:
        functions = [clients, large, half_closed, no_tls, slow_handshake, reload, waits]
        claims.run([*functions, chosen_port, client_certificates, wrong_files], sealed)
    claims.end()


if __name__ == "__main__":
    main()
