"""A cluster of `asterias serve` processes on this machine, for tests: started, killed, stopped for
a while, started again. $ASTERIAS is the program; data lives in a temporary directory that goes with
the cluster, unless a test failed with it."""
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from _resp import Error, Resp
from _tap import Failure, poll

ROOT = pathlib.Path(__file__).resolve().parent.parent
ASTERIAS = os.environ.get("ASTERIAS", str(ROOT / "build/release/asterias"))
BUILD = os.environ.get("ASTERIAS_BUILD", str(pathlib.Path(ASTERIAS).parent))
HOST = "127.0.0.1"


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count):
    """A run of free ports below those that the kernel gives to outgoing connections, so that nobody
    takes the port of a node that is down for a moment."""
    draw = random.SystemRandom()
    for _ in range(1000):
        first = draw.randrange(10000, 32000 - count)
        if all(port_is_free(first + i) for i in range(count)):
            return list(range(first, first + count))
    raise RuntimeError("no free ports")


def run(*arguments, timeout=60, **keywords):
    """One call of the program to its end: its CompletedProcess with text."""
    return subprocess.run(
        [ASTERIAS, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **keywords,
    )


class Node:
    def __init__(self, index, data, ports, options, host=HOST):
        self.index = index
        self.data = data
        self.host = host
        self.resp = (host, ports[0])
        self.http = (host, ports[1])
        self.peer = (host, ports[2])
        self.join = None  # the node that introduces it
        self.options = options
        self.process = None
        self.stopped = False
        self.prefix = []  # a program that limits the node and becomes it
        self.log_to = None  # beside the data otherwise

    def __str__(self):
        return f"node {self.index + 1}"

    def command(self):
        join = ["--join", "{}:{}".format(*self.join.peer)] if self.join else []
        return [
            *self.prefix,
            ASTERIAS,
            "serve",
            "--data",
            self.data,
            "--host",
            self.host,
            "--resp-port",
            str(self.resp[1]),
            "--http-port",
            str(self.http[1]),
            "--peer-port",
            str(self.peer[1]),
            "--name",
            f"n{self.index + 1}",
            *join,
            *self.options,
        ]

    def log_path(self):
        return self.log_to or self.data + ".log"

    def log(self):
        return pathlib.Path(self.log_path()).read_text(errors="replace")

    def start(self):
        with open(self.log_path(), "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self.stopped = False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9, and its end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def terminate(self, seconds=10):
        """SIGTERM; the exit code."""
        self.process.terminate()
        code = self.process.wait(seconds)
        self.process = None
        return code

    def kill_while_starting(self, prng, times=5):
        """Dies at moments of its start and recovery that are drawn, then may live."""
        for _ in range(times):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(prng.uniform(0.001, 0.4))
                raise Failure(f"{self} ended by itself: {last_lines(self.log())}")
            self.kill()
            self.start()

    def stop(self):
        """SIGSTOP: it keeps its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)
        self.stopped = True

    def carry_on(self):
        self.process.send_signal(signal.SIGCONT)
        self.stopped = False

    def status(self, timeout=2.0):
        """GET /status, or None."""
        return fetch_json(self.http, "/status", timeout)

    def resp_client(self, timeout=10.0):
        return Resp(self.resp, timeout)


def fetch(address, path, timeout=5.0):
    with urllib.request.urlopen(f"http://{address[0]}:{address[1]}{path}", timeout=timeout) as page:
        return page.read().decode()


def fetch_json(address, path, timeout):
    try:
        return json.loads(fetch(address, path, timeout))
    except (OSError, ValueError):
        return None


class Cluster:
    def __init__(self, nodes=3, shards=1, keyspaces=(), options=(), hosts=7 * (HOST,)):
        self.directory = tempfile.mkdtemp(prefix="asterias-test-")
        self.keyspaces = list(keyspaces)
        self.when_ended = []  # called between the nodes' end and that of the directory
        ports = free_ports(3 * nodes)
        extra = ["--shards", str(shards), *options]
        self.shards = shards
        self.nodes = [
            Node(i, f"{self.directory}/n{i + 1}", ports[3 * i : 3 * i + 3], extra, hosts[i])
            for i in range(nodes)
        ]
        for node in self.nodes[1:]:
            node.join = self.nodes[0]

    def __enter__(self):
        names = [word for name in self.keyspaces for word in ("--keyspace", name)]
        made = run(
            "init",
            "--data",
            self.nodes[0].data,
            "--nodes",
            len(self.nodes),
            "--shards",
            self.shards,
            *names,
        )
        if made.returncode != 0:
            raise RuntimeError(f"init: {made.stderr}")
        try:
            for node in self.nodes:
                node.start()
            self.wait_ready(60)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *_):
        for node in self.nodes:
            node.kill()
        for step in self.when_ended:
            step()
        if kind in (None, KeyboardInterrupt):
            shutil.rmtree(self.directory, ignore_errors=True)
        else:
            print(f"  data and logs: {self.directory}", flush=True)

    def running(self):
        return [node for node in self.nodes if node.alive() and not node.stopped]

    def groups(self):
        """The view of highest term with a leader, by keyspace: {keyspace: (term, node id)}."""
        views = {}
        for node in self.running():
            for group in (node.status() or {}).get("groups", []):
                if group["leader"]:
                    view = (group["term"], group["leader"])
                    views[group["keyspace"]] = max(views.get(group["keyspace"], view), view)
        return views

    def leader(self, keyspace="default", seconds=20):
        """The running node that leads this keyspace, as it says itself."""

        def leading():
            claims = [
                (group["term"], node.index)
                for node in self.running()
                for group in (node.status() or {}).get("groups", [])
                if group["keyspace"] == keyspace and group["role"] == "Leader"
            ]
            return self.nodes[max(claims)[1]] if claims else None

        return poll(leading, seconds, f"a leader of {keyspace}")

    def followers(self, keyspace="default"):
        leader = self.leader(keyspace)
        return [node for node in self.running() if node is not leader]

    def wait_ready(self, seconds=30):
        """Every running node has answered a read of every keyspace."""
        for node in self.running():
            for name in ["default", *self.keyspaces]:
                key = f"{name}:ready" if name != "default" else "ready"
                poll(lambda: self.answers(node, key), seconds, f"{node} serving {name}")

    def answers(self, node, key="ready"):
        if not node.alive():
            raise Failure(f"{node} ended by itself: {last_lines(node.log())}")
        try:
            with node.resp_client(2.0) as client:
                client.call("GET", key)
            return True
        except (OSError, Error):
            return False

    def expect_alive(self):
        """No process has ended that nobody has killed."""
        for node in self.nodes:
            if node.process is not None and node.process.poll() is not None:
                raise Failure(
                    f"{node} ended with {node.process.returncode}: {last_lines(node.log())}"
                )

    def expect_serving(self, seconds=10):
        """Alive, and a write through each node is read back through the next one."""
        self.expect_alive()
        nodes = self.running()
        for i, node in enumerate(nodes):
            value = str(time.monotonic_ns())
            poll(lambda: self.written(node, value), seconds, f"a write through {node}")
            with nodes[(i + 1) % len(nodes)].resp_client() as client:
                found = client.call("GET", "still-serving")
            if found != value.encode():
                raise Failure(f"wrote {value} through {node}, then read {found}")

    @staticmethod
    def written(node, value):
        try:
            with node.resp_client(5.0) as client:
                return client.call("SET", "still-serving", value) == "OK"
        except (OSError, Error):
            return False


def kill_together(victims):
    for node in victims:  # signals first
        node.process.kill()
    for node in victims:
        node.kill()


def last_lines(text, count=4):
    return " / ".join(text.strip().splitlines()[-count:])
