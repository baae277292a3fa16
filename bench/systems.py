"""The systems under test: each starts on free loopback ports with its data in its own directory."""
import json
import os
import re
import shlex
import socket
import ssl
import subprocess
import time
import urllib.request

from processes import Processes, free_port_base, listener, wait_until


def trusting():
    """A TLS context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def certificate(name):
    """Makes name.crt, which signs itself, and name.key: the same kind for every system."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-keyout", name + ".key", "-out", name + ".crt", "-days", "2"]
        + ["-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return name


def resp(port, *words, tls=None):
    """One RESP command; the first line of the reply (or the body of a bulk)."""
    request = "*%d\r\n" % len(words) + "".join("$%d\r\n%s\r\n" % (len(w), w) for w in words)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        if tls:
            s = tls.wrap_socket(s)
        s.sendall(request.encode())
        data = b""
        while True:
            chunk = s.recv(65536)
            if not chunk:
                raise OSError("closed")
            data += chunk
            head, found, rest = data.partition(b"\r\n")
            if found and (head[:1] != b"$" or int(head[1:]) < 0 or len(rest) >= int(head[1:]) + 2):
                return (rest if head[:1] == b"$" else head).decode("latin-1")


class System:
    protocol = "resp"
    ports = []  # of the nodes' doors
    tls = None  # the context of a client, if the doors speak TLS

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory)
        self.processes = Processes(directory)
        self.ready_seconds = None

    def start(self):
        begin = time.monotonic()
        self.launch()
        wait_until(self.name + " ready", self.ready, 60)
        self.ready_seconds = time.monotonic() - begin

    def stop(self):
        self.processes.stop()

    def pids(self):
        return self.processes.pids()

    def endpoints(self, count=None):
        return ",".join("127.0.0.1:%d" % p for p in self.ports[:count])

    def leader(self):
        """The index of the node that leads (all of) the written keys, None if none says so."""
        leading = [i for i, port in enumerate(self.ports) if self.leads(port)]
        return leading[0] if len(leading) == 1 else None

    def leads(self, port):
        return (
            re.search(r"^role:(master|leader)\r?$", resp(port, "INFO", "replication"), re.M)
            is not None
        )

    def node_pid(self, index):
        return listener(self.ports[index], self.pids())


class Asterias(System):
    """Started by a command line with {nodes}, {data}, {port}.

    Node i's RESP door is {port} + i * step.

    INFO replication names the node that answers and the leader of each group.
    """

    GROUP = 2  # of the keyspace `default`

    def __init__(self, directory, command, nodes, step):
        super().__init__(directory)
        self.command, self.nodes, self.step = command, nodes, step
        self.name = "asterias %d" % nodes

    def launch(self):
        base = free_port_base(max(self.step * self.nodes, 100))
        self.ports = [base + i * self.step for i in range(self.nodes)]
        words = [
            w.format(nodes=self.nodes, data=os.path.join(self.directory, "data"), port=base)
            for w in shlex.split(self.command)
        ]
        self.processes.start("asterias", words)

    def ready(self):
        return all(resp(p, "SET", "ready", "1") == "+OK" for p in self.ports)

    def leads(self, port):
        info = resp(port, "INFO", "replication")
        node = re.search(r"^asterias_node:(\d+)\r?$", info, re.M)
        leader = re.search(r"^asterias_group_%d_leader:(\d+)\r?$" % self.GROUP, info, re.M)
        return bool(node and leader) and node.group(1) == leader.group(1)


class AsteriasNode(System):
    """One durable node as an operator starts it, over TLS if there is a certificate (a name)."""

    def __init__(self, directory, program, certificate_name=None):
        super().__init__(directory)
        self.program, self.certificate = program, certificate_name
        self.tls = trusting() if certificate_name else None
        self.name = "asterias 1" + (" tls" if self.tls else "")

    def launch(self):
        base = free_port_base(3)
        self.ports = [base]
        data = ["--data", os.path.join(self.directory, "data")]
        subprocess.run([self.program, "init", *data], check=True, capture_output=True, timeout=60)
        words = ["--resp-port", str(base), "--http-port", str(base + 1)]
        words += ["--peer-port", str(base + 2), "--log-level", "error"]
        if self.certificate:
            words += ["--tls-cert", self.certificate + ".crt"]
            words += ["--tls-key", self.certificate + ".key"]
        self.processes.start("asterias", [self.program, "serve", *data, *words])

    def ready(self):
        return resp(self.ports[0], "SET", "ready", "1", tls=self.tls) == "+OK"


class Floor(System):
    """bench/floor: a leader and two followers that do nothing but exchange and sync."""

    name = "floor 3"

    def __init__(self, directory, binary):
        super().__init__(directory)
        self.binary = binary

    def launch(self):
        base = free_port_base(8)
        self.ports, peers = [base, base + 1, base + 2], base + 3
        for i, port in enumerate(self.ports):
            role = (
                ["leader", "--peers", str(peers)]
                if i == 0
                else ["follower", "--leader", str(peers)]
            )
            path = os.path.join(self.directory, "floor-%d" % i)
            os.mkdir(path)
            self.processes.start(
                "floor-%d" % i, [self.binary, *role, "--clients", str(port), "--dir", path]
            )
            if i == 0:
                wait_until("the floor's leader listens", lambda: listener(peers, self.pids()), 10)

    def ready(self):
        return all(resp(p, "SET", "ready", "1") == "+OK" for p in self.ports)


class Etcd(System):
    """On loopback; or each node at a host of its own, started by what `prefix` says of it."""

    protocol = "etcd"

    def __init__(self, directory, nodes=3, hosts=None, prefix=lambda _: []):
        super().__init__(directory)
        self.nodes, self.name = nodes, "etcd %d" % nodes
        self.hosts = hosts or nodes * ["127.0.0.1"]
        self.prefix = prefix

    def launch(self):
        base = free_port_base(2 * self.nodes)
        self.ports = [base + 2 * i for i in range(self.nodes)]
        peers = ["http://%s:%d" % (h, p + 1) for h, p in zip(self.hosts, self.ports)]
        cluster = ",".join("n%d=%s" % pair for pair in enumerate(peers))
        for i, peer in enumerate(peers):
            client = self.url(self.ports[i])
            self.processes.start(
                "etcd%d" % i,
                [
                    *self.prefix(i),
                    "etcd",
                    "--name",
                    "n%d" % i,
                    "--data-dir",
                    os.path.join(self.directory, "n%d" % i),
                    "--listen-client-urls",
                    client,
                    "--advertise-client-urls",
                    client,
                    "--listen-peer-urls",
                    peer,
                    "--initial-advertise-peer-urls",
                    peer,
                    "--initial-cluster",
                    cluster,
                    "--log-level",
                    "error",
                ],
            )

    def url(self, port, path=""):
        return "http://%s:%d%s" % (self.hosts[self.ports.index(port)], port, path)

    def ready(self):
        for port in self.ports:
            with urllib.request.urlopen(self.url(port, "/health"), timeout=5) as answer:
                if b'"true"' not in answer.read():
                    return False
        return True

    def status(self, port):
        request = urllib.request.Request(self.url(port, "/v3/maintenance/status"), b"{}")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def leads(self, port):
        status = self.status(port)
        return status["leader"] == status["header"]["member_id"]


class Redis(System):
    """One primary, `replicas` replicas; appendfsync always on each. Over TLS it has no replicas."""

    def __init__(self, directory, replicas, certificate_name=None):
        super().__init__(directory)
        self.replicas = replicas
        self.certificate = certificate_name
        self.tls = trusting() if certificate_name else None
        self.name = "redis 1+%d" % replicas if replicas else "redis 1"
        self.name += " tls" if self.tls else ""

    def launch(self):
        base = free_port_base(1 + self.replicas)
        self.ports = [base]
        for i in range(1 + self.replicas):
            data = os.path.join(self.directory, "n%d" % i)
            os.makedirs(data)
            command = [
                "redis-server",
                *self.port_words(base + i),
                "--bind",
                "127.0.0.1",
                "--dir",
                data,
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
            ]
            if i > 0:
                command += ["--replicaof", "127.0.0.1 %d" % base, "--repl-diskless-sync-delay", "0"]
            self.processes.start("redis%d" % i, command)

    def port_words(self, port):
        if not self.certificate:
            return ["--port", str(port)]
        words = ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no"]
        words += ["--tls-cert-file", self.certificate + ".crt"]
        return [*words, "--tls-key-file", self.certificate + ".key"]

    def ready(self):
        info = resp(self.ports[0], "INFO", "replication", tls=self.tls)
        return len(re.findall(r"state=online", info)) == self.replicas
