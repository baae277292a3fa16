#!/usr/bin/python3
"""asterias kv and bench: every answer and exit code, over plain, locked and TLS doors, and while a
node is lost."""
import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys

from _cluster import ASTERIAS, HOST, Cluster, free_ports, run
from _tap import Claims, equal, expect, poll

DONE, FAILED, USAGE, UNREACHABLE, CHECK_FAILED, REFUSED = range(6)
SECRET = "correct horse"


def doors(nodes):
    return ["--node", ",".join(f"{HOST}:{node.resp[1]}" for node in nodes)]


def environment(**more):
    return {**{k: v for k, v in os.environ.items() if k != "ASTERIAS_PASSWORD"}, **more}


def kv(cluster, *arguments, code=DONE, **keywords):
    done = run("kv", arguments[0], *doors(cluster.nodes), *arguments[1:], **keywords)
    equal(done.returncode, code, f"exit code of {arguments} with {done.stdout} {done.stderr}")
    return done.stdout


def answers(cluster, *arguments, code=DONE, **keywords):
    return json.loads(kv(cluster, *arguments, "--json", code=code, **keywords))


def settle(cluster, *arguments):
    """While a new leader is looked for a write may be refused; in the end it is done."""
    command = ["kv", arguments[0], *doors(cluster.nodes), *arguments[1:]]
    poll(lambda: run(*command).returncode == DONE, 60, f"kv {arguments}")


# ---------------------------------------------------------------------------------- keys and values


def put_get_del(cluster):
    """kv put, get and del: values come back as they were, absent keys end with 4"""
    equal(kv(cluster, "put", "fruit", "apples"), "OK\n")
    equal(kv(cluster, "get", "fruit"), "apples\n")
    equal(kv(cluster, "get", "fruit", "--raw"), "apples")
    equal(answers(cluster, "get", "fruit"), {"key": "fruit", "found": True, "value": "apples"})
    equal(kv(cluster, "get", "none", code=CHECK_FAILED), "")
    equal(answers(cluster, "get", "none", code=CHECK_FAILED), {"key": "none", "found": False})
    kv(cluster, "put", "fruit", "pears", "--if-absent", code=CHECK_FAILED)
    kv(cluster, "put", "none", "pears", "--if-present", code=CHECK_FAILED)
    equal(kv(cluster, "put", "fruit", "pears", "--if-present"), "OK\n")
    equal(answers(cluster, "put", "fruit", "x", "--if-absent", code=CHECK_FAILED)["done"], False)
    equal(kv(cluster, "del", "fruit"), "1\n")
    equal(answers(cluster, "del", "fruit"), {"key": "fruit", "deleted": 0})


def any_bytes(cluster):
    """any bytes are a key or a value: brackets, minus signs, newlines, what is no UTF-8"""
    for text in ("[a,b]", "", "two\nlines", 'quote" and \\', "\x1b[31mred", "ü"):
        equal(kv(cluster, "put", "odd", text), "OK\n")
        equal(answers(cluster, "get", "odd")["value"], text)
    equal(kv(cluster, "put", "odd", "--", "-5"), "OK\n")
    equal(kv(cluster, "get", "odd"), "-5\n")
    for key in ("[a,b]", "odd\n", "\x1b[31m"):
        kv(cluster, "put", key, "v")
        found = answers(cluster, "scan", key)["keys"]
        equal(found, [{"key": key}])
        expect("\x1b" not in kv(cluster, "scan", key), "a key steers the terminal")
        equal(kv(cluster, "del", key), "1\n")
    raw = bytes(range(256))
    path = cluster.directory + "/raw"
    pathlib.Path(path).write_bytes(raw)
    kv(cluster, "put", "odd", "--file", path)
    got = subprocess.run(
        [ASTERIAS, "kv", "get", *doors(cluster.nodes), "odd", "--raw"],
        capture_output=True, timeout=30, check=False,
    )
    equal(got.stdout, raw)
    found = answers(cluster, "get", "odd")
    expect("value" not in found and found["value_base64"].startswith("AAECAwQF"), found)
    large = "x" * (5 << 20)
    kv(cluster, "put", "odd", "--file", "-", input=large)
    expect(kv(cluster, "get", "odd") == large + "\n", "5 MiB came back changed")
    kv(cluster, "del", "odd")


def ttl(cluster):
    """kv put --ttl: the key goes by itself"""
    kv(cluster, "put", "short", "v", "--ttl", "0.05")
    gone = ["kv", "get", *doors(cluster.nodes), "short"]
    poll(lambda: run(*gone).returncode == CHECK_FAILED, 20, "the end of a key")


def scan(cluster):
    """kv scan: all keys of a prefix, also beyond a page; patterns in it are letters"""
    with cluster.nodes[0].resp_client() as client:
        for i in range(0, 2500):
            client.call("SET", f"many*{i:04}", i)
        client.call("SET", "manyx", "no")
    keys = answers(cluster, "scan", "many*", "--values")["keys"]
    equal(len(keys), 2500)
    equal(keys[1234], {"key": "many*1234", "value": "1234"})
    equal(len(answers(cluster, "scan", "many*", "--limit", 7)["keys"]), 7)
    equal(len(kv(cluster, "scan", "many").splitlines()), 2501)
    equal(answers(cluster, "scan", "nothing"), {"keys": []})


def watch(cluster):
    """kv watch: says how it looks, then what is, comes, changes and goes; survives a lost node"""
    kv(cluster, "put", "seen:1", "one")
    command = [ASTERIAS, "kv", "watch", *doors(cluster.nodes), "seen:", "--prefix", "--json"]
    with subprocess.Popen(
        [*command, "--interval", "20", "--count", "4"], stdout=subprocess.PIPE, text=True
    ) as process:
        def next_event():
            event = json.loads(process.stdout.readline())
            return tuple(event.get(name) for name in ("event", "key", "value"))

        head = json.loads(process.stdout.readline())
        equal((head["by"], head["interval_ms"], head["prefix"]), ("polling", 20, True))
        equal(next_event(), ("is", "seen:1", "one"))
        kv(cluster, "put", "seen:2", "two")
        equal(next_event(), ("put", "seen:2", "two"))
        kv(cluster, "put", "seen:2", "2")
        equal(next_event(), ("put", "seen:2", "2"))
        cluster.nodes[0].kill()  # the one that it asks first
        settle(cluster, "del", "seen:1")
        equal(next_event(), ("del", "seen:1", None))
        settle(cluster, "del", "seen:2")
        equal(next_event(), ("del", "seen:2", None))
        equal(process.wait(20), DONE)
    settle(cluster, "put", "seen:3", "v")  # the first of the doors is still away
    cluster.nodes[0].start()
    cluster.wait_ready()
    text = run("kv", "watch", *doors(cluster.nodes), "seen:3", "--seconds", "0.1", "--interval", 50)
    equal((text.returncode, text.stdout), (DONE, "is seen:3\tv\n"))
    expect("is not seen" in text.stderr, text.stderr)


def refusals(cluster):
    """what a door refuses and a node that is not there: told once, with its exit code"""
    dead = ["--node", f"{HOST}:{free_ports(1)[0]}"]
    for arguments, code, text in (
        (["kv", "get", *dead, "k"], UNREACHABLE, "Connection refused"),
        (["kv", "scan", *dead], UNREACHABLE, "Connection refused"),
        (["kv", "watch", *dead, "k"], UNREACHABLE, "Connection refused"),
        (["bench", *dead], UNREACHABLE, "Connection refused"),
        (["kv", "get", "--node", "nowhere", "k"], USAGE, "--node"),
        (["kv", "put", *doors(cluster.nodes), "k" * 70_000, "v"], REFUSED, "key-bytes-max"),
        (["kv", "put", *doors(cluster.nodes), "k", "--file", "/no/such"], USAGE, "/no/such"),
        (["kv", "put", *doors(cluster.nodes), "k", "v", "--ttl", "0"], USAGE, "--ttl"),
        (["kv", "put", "k", "v", "--file", "f"], USAGE, "--file"),
        (["kv", "get", *dead, "k", "--tls-cert", "f"], USAGE, "--tls-key"),
        (["kv", "get", *dead, "k", "--tls-ca", "/no/such"], USAGE, "/no/such"),
        (["kv", "get", *dead, "k", "--password-file", "/no/such"], USAGE, "/no/such"),
    ):
        told = run(*arguments, "--json")
        equal(told.returncode, code, f"exit code of {arguments[:4]} with {told.stderr}")
        found = json.loads(told.stdout)
        equal(found["exit_code"], code)
        expect(text in found["error"] and text in told.stderr, f"no {text!r} in {told.stderr}")


# ------------------------------------------------------------------------------------------- bench


def bench(cluster):
    """bench: rate, percentiles and gap as text and JSON; it takes its keys away again"""
    for mode in ("set", "get", "mixed"):
        told = run(
            "bench", mode, *doors(cluster.nodes), "--seconds", 0.5, "--connections", 6,
            "--pipeline", 4, "--value-bytes", 100, "--keys", 200, "--json",
        )
        found = json.loads(told.stdout)
        hurt = found["failed"] + found["reconnects"] > 0  # on a machine that is pressed hard
        equal((found["mode"], told.returncode), (mode, CHECK_FAILED if hurt else DONE), found)
        expect(found["operations"] > 0, found)
        ladder = [found[f"{name}_us"] for name in ("p50", "p90", "p99", "p999", "max")]
        equal(sorted(ladder), ladder)
    equal(answers(cluster, "scan", "bench:"), {"keys": []})
    told = run("bench", "set", *doors(cluster.nodes), "--seconds", 0.3, "--keys", 5, "--keep")
    equal(told.returncode, DONE, told.stderr)
    expect("longest gap without a success" in told.stdout, told.stdout)
    keys = answers(cluster, "scan", "bench:", "--values")["keys"]
    equal([each["key"][-3:] for each in keys], ["000", "001", "002", "003", "004"])
    equal([len(each["value"]) for each in keys], 5 * [256])


def bench_loses_a_node(cluster):
    """bench goes on at the other nodes when one is killed, and tells what failed: code 4"""
    with subprocess.Popen(
        [ASTERIAS, "bench", "set", *doors(cluster.nodes), "--seconds", "600", "--warmup", "0",
         "--json"],
        stdout=subprocess.PIPE, text=True,
    ) as process:
        poll(lambda: answers(cluster, "scan", "bench:", "--limit", 1)["keys"], 20, "a first write")
        cluster.nodes[1].kill()
        settle(cluster, "put", "k", "v")
        process.send_signal(signal.SIGINT)
        found = json.loads(process.communicate(timeout=60)[0])
    equal(process.returncode, CHECK_FAILED)
    expect(found["reconnects"] > 0 and found["operations"] > 0, found)
    expect(found["first_failure"], found)
    cluster.nodes[1].start()
    cluster.wait_ready()


def bench_interrupted(cluster):
    """Ctrl-C ends bench early, with the figures so far and without its keys"""
    with subprocess.Popen(
        [ASTERIAS, "bench", "set", *doors(cluster.nodes), "--seconds", "600", "--warmup", "0",
         "--json"],
        stdout=subprocess.PIPE, text=True,
    ) as process:
        def warm():
            return len(answers(cluster, "scan", "bench:")["keys"]) > 2000

        poll(warm, 60, "writes")
        process.send_signal(signal.SIGINT)
        found = json.loads(process.communicate(timeout=60)[0])
    expect(found["seconds"] < 600, found)
    equal(answers(cluster, "scan", "bench:"), {"keys": []})


# --------------------------------------------------------------------------- doors that are guarded


def certificate(name, subject, more, signer=None):
    sign = ["-CA", f"{signer}.crt", "-CAkey", f"{signer}.key"] if signer else []
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "2",
         "-subj", f"/CN={subject}", "-addext", more, *sign],
        capture_output=True, timeout=60, check=False,
    )
    equal(made.returncode, 0, made.stderr)


class Guarded:
    """A node with users and TLS, whose certificate bears a name and no address."""

    def __init__(self, *options):
        self.cluster = Cluster(nodes=1)
        self.shown = []
        d = self.directory = self.cluster.directory
        certificate(f"{d}/ca", "Authority", "subjectAltName=DNS:authority")
        certificate(f"{d}/client", "client", "subjectAltName=DNS:client", f"{d}/ca")
        certificate(f"{d}/node", "node", "subjectAltName=DNS:store.example", f"{d}/ca")
        hashed = run("user", "hash", "--name", "ann", input=SECRET + "\n")
        equal(hashed.returncode, DONE, hashed.stderr)
        pathlib.Path(f"{d}/node.toml").write_text("[users]\n" + hashed.stdout, encoding="utf-8")
        pathlib.Path(f"{d}/secret").write_text(SECRET + "\n", encoding="utf-8")
        self.node = self.cluster.nodes[0]
        self.node.options += ["--config", f"{d}/node.toml"]
        self.node.options += ["--tls-cert", f"{d}/node.crt", "--tls-key", f"{d}/node.key"]
        if "clients" in options:
            self.node.options += ["--tls-client-ca", f"{d}/ca.crt"]
            self.shown = ["--tls-cert", f"{d}/client.crt", "--tls-key", f"{d}/client.key"]

    def __enter__(self):
        equal(run("init", "--data", self.node.data).returncode, DONE)
        self.node.start()
        poll(lambda: self.call("get", "ready", *self.key()).returncode == CHECK_FAILED, 30, "ready")
        return self

    def __exit__(self, *why):
        self.cluster.__exit__(*why)

    def key(self):
        return ["--user", "ann", "--password-file", f"{self.directory}/secret", *self.tls()]

    def tls(self):
        return ["--tls-ca", f"{self.directory}/ca.crt", "--tls-name", "store.example",
                *self.shown]

    def call(self, what, *arguments, **keywords):
        return run("kv", what, *doors([self.node]), *arguments, env=environment(), **keywords)


def guarded(_):
    """TLS with a checked name, a password from a file or the environment; else a clear refusal"""
    with Guarded() as door:
        equal(door.call("put", "k", "v", *door.key()).stdout, "OK\n")
        told = run("kv", "get", *doors([door.node]), "k", "--user", "ann", *door.tls(),
                   env=environment(ASTERIAS_PASSWORD=SECRET))
        equal((told.returncode, told.stdout), (DONE, "v\n"), told.stderr)
        any_certificate = [*door.key()[:4], "--tls-no-verify"]
        equal(door.call("get", "k", *any_certificate).stdout, "v\n")
        authority = door.tls()[:2]
        for options, code, text in (
            (door.key()[:4], UNREACHABLE, "--tls"),  # plain words to a TLS door
            ([*door.key()[:4], "--tls"], UNREACHABLE, "certificate is refused"),
            ([*door.key()[:4], *authority], UNREACHABLE, "certificate is refused"),  # the address
            ([*door.key()[:4], *authority, "--tls-name", "other"], UNREACHABLE, "is refused"),
            (door.tls(), REFUSED, "ASTERIAS_PASSWORD"),
            (["--user", "bob", *door.key()[2:]], REFUSED, "WRONGPASS"),
        ):
            told = door.call("get", "k", *options, start_new_session=True, stdin=subprocess.DEVNULL)
            equal(told.returncode, code, f"{options} {told.stderr}")
            expect(text in told.stderr, f"no {text!r} in {told.stderr}")
        told = run("bench", "mixed", *doors([door.node]), *door.key(), "--seconds", 0.5, "--keys",
                   100, "--json", env=environment())
        equal(told.returncode, DONE, told.stderr)
        expect(json.loads(told.stdout)["operations"] > 0, told.stdout)
        wrong = run("bench", *doors([door.node]), "--user", "bob", *door.key()[2:], "--json")
        equal(wrong.returncode, REFUSED, wrong.stderr)


def client_certificates(_):
    """a door that wants certificates of its clients gets one, and turns away who has none"""
    with Guarded("clients") as door:
        equal(door.call("put", "k", "v", *door.key()).stdout, "OK\n")
        told = run("bench", "set", *doors([door.node]), *door.key(), "--seconds", 0.3, "--keys",
                   10, "--json", env=environment())
        equal(told.returncode, DONE, told.stderr)
        door.shown = []
        told = door.call("get", "k", *door.key())
        equal(told.returncode, UNREACHABLE, told.stdout)
        expect("certificate" in told.stderr, told.stderr)


def prompt(_):
    """on a terminal the password is asked for, and not shown"""
    with Guarded() as door:
        equal(door.call("put", "k", "the value", *door.key()).stdout, "OK\n")
        command = [ASTERIAS, "kv", "get", *doors([door.node]), "k", "--user", "ann", *door.tls()]
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(ASTERIAS, command, environment())
        seen = read_until(terminal, "Password of ann: ")
        os.write(terminal, (SECRET + "\n").encode())
        seen += read_until(terminal, "the value")
        equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), DONE, seen)
        expect(SECRET not in seen, f"the password is shown: {seen}")
        os.close(terminal)


def read_until(terminal, text):
    seen = ""
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], 30)
        expect(ready, f"no {text!r} in {seen!r}")
        try:
            more = os.read(terminal, 4096)
        except OSError:  # its other end is closed
            more = b""
        expect(more, f"no {text!r} in {seen!r}")
        seen += more.decode(errors="replace")
    return seen


def main():
    claims = Claims()
    with Cluster() as cluster:
        claims.run(
            [put_get_del, any_bytes, ttl, scan, watch, refusals, bench, bench_interrupted,
             bench_loses_a_node],
            cluster,
        )
    claims.run([guarded, client_certificates, prompt], None)
    claims.end()


if __name__ == "__main__":
    sys.exit(main())
