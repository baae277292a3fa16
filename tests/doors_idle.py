#!/usr/bin/python3
"""Many connections of the Redis door that say nothing: what one of them holds in memory, plain and
over TLS; that the node answers beside them; who is closed, and what is too many."""
import contextlib
import ssl
import subprocess
import sys

from _cluster import HOST, Cluster
from _idle import PING, Idle, allow_descriptors, pss, refusal
from _resp import Error, Resp, encode
from _tap import Claims, equal, expect, poll
from doors_locked import SECRET, write_users
from doors_tls import TlsResp, certificate

KIB = 1 << 10
# 9 and 20 KiB each were measured for 10,000 (`./dev bench --rows connections`). The bounds are what
# a buffer too many would break: of 16 KiB, and over TLS of 64.
PLAIN, PLAIN_MAX = 2_000, 24 * KIB
SEALED, SEALED_MAX = 300, 56 * KIB
USERS = 40  # a check of a password takes 16 MiB and tens of milliseconds
DEFAULT_WANTS = 16_384  # descriptors for 10,000 clients (docs/limits.md)
TOO_MANY = b"-ERR max number of clients reached\r\n"


def sanitized(node):
    """Under a sanitizer memory says nothing about the program."""
    symbols = subprocess.run(
        ["grep", "-qaE", "__(asan|tsan)_init", f"/proc/{node.process.pid}/exe"], check=False
    )
    return symbols.returncode == 0


def clients_of(call):
    """maxclients and connected_clients, as INFO tells them."""
    lines = call("INFO", "clients").decode().splitlines()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(found["maxclients"]), int(found["connected_clients"])


def held(node, links, count, bytes_max):
    """Opens them; nobody was turned away, and one holds no more than that."""
    before = pss(node.process.pid)
    links.open(count)
    equal((len(links.held), links.refused, links.lost()), (count, [], 0), "held, refused, lost")
    each = (pss(node.process.pid) - before) // count
    print(f"  {count} idle connections: {each} bytes each", flush=True)
    expect(each < bytes_max or sanitized(node), f"{each} bytes each, {bytes_max} are allowed")


def answers(client):
    for i in range(100):
        equal(client.call("SET", "beside", i), "OK")
        equal(client.call("GET", "beside"), str(i).encode())


def plain(cluster):
    """2,000 idle connections hold little each, none is lost, and the node answers beside them"""
    node = cluster.nodes[0]
    with Idle(node.resp) as links:
        held(node, links, PLAIN, PLAIN_MAX)
        with node.resp_client() as client:
            answers(client)
            equal(clients_of(client.call)[1], PLAIN + 1, "connected_clients")
        expect(node.status(10.0) is not None, "HTTP does not answer")
        equal(links.lost(), 0, "lost connections")
    with node.resp_client() as client:
        poll(lambda: clients_of(client.call)[1] == 1, 20, "all of them are gone")


def sealed(cluster):
    """300 idle TLS connections hold little each, and the node shakes hands beside them"""
    node, files = cluster.nodes[0], cluster.directory
    certificate(f"{files}/ca", "Authority")
    certificate(f"{files}/node", "node", f"{files}/ca")
    node.terminate()
    before = node.options, node.resp_client
    node.options = [*node.options, "--tls-cert", f"{files}/node.crt"]
    node.options += ["--tls-key", f"{files}/node.key"]
    node.resp_client = lambda timeout=10.0: TlsResp(node, files, timeout)
    node.start()
    cluster.wait_ready()
    with Idle(node.resp, ssl.create_default_context(cafile=f"{files}/ca.crt")) as links:
        held(node, links, SEALED, SEALED_MAX)
        with node.resp_client() as client:
            answers(client)
        equal(links.lost(), 0, "lost connections")
    node.terminate()
    node.options, node.resp_client = before
    node.start()
    cluster.wait_ready()


def users(cluster):
    """who has said its password stays as long as it is silent; who has not is closed"""
    node = cluster.nodes[0]
    file = node.data + ".toml"
    write_users(file, {"default": SECRET})
    node.terminate()
    before = node.options, node.resp_client
    node.options = [*node.options, "--config", file, "--auth-timeout", "5s"]

    def client(timeout=10.0):
        link = Resp(node.resp, timeout)
        link.call("AUTH", SECRET)
        return link

    node.resp_client = client
    node.start()
    cluster.wait_ready()
    greeting = {"hello": encode("AUTH", SECRET) + PING, "answer": b"+OK\r\n+PONG\r\n"}
    # One at a time: a busy machine must not make one of them late.
    with Idle(node.resp, at_once=1, **greeting) as links, Resp(node.resp, 30) as stranger:
        links.open(USERS)
        equal((len(links.held), links.refused), (USERS, []), "held, refused")
        expect(stranger.at_end(), "a stranger was told something")
        equal(links.lost(), 0, "lost connections")
        with node.resp_client() as client:
            answers(client)
    node.terminate()
    node.options, node.resp_client = before
    node.start()
    cluster.wait_ready()


def room(cluster):
    """10,000 fit by default; with few descriptors the node says how many do, and means it"""
    node = cluster.nodes[0]
    if allow_descriptors() < DEFAULT_WANTS:
        print(f"skip 10,000 by default: ulimit -Hn is below {DEFAULT_WANTS}", flush=True)
    else:
        with restarted(cluster, DEFAULT_WANTS), node.resp_client() as client:
            equal(clients_of(client.call)[0], 10_000, f"maxclients of {DEFAULT_WANTS} descriptors")
    with restarted(cluster, 1_000), Idle(node.resp) as links:
        with node.resp_client() as client:
            most = clients_of(client.call)[0]
        expect(100 < most < 1_000, f"maxclients is {most} with 1,000 descriptors")
        poll(lambda: f"maxclients is {most} of a shard" in node.log(), 30, "the log tells of it")
        links.open(most)
        equal((len(links.held), links.refused), (most, []), "held, refused")
        equal(refusal(node.resp), TOO_MANY, "one more")
        expect(node.status(10.0) is not None, "HTTP has no room")
        # Who is there is answered, and who goes makes room.
        first = next(iter(links.held.values()))
        first.socket.setblocking(True)
        first.socket.sendall(PING)
        equal(first.socket.recv(100), b"+PONG\r\n")
        links.held.pop(first.number).socket.close()
        poll(lambda: let_in(node), 20, "another one is let in")


def let_in(node):
    try:
        with Resp(node.resp) as client:
            return client.call("PING") == "PONG"
    except (OSError, Error):
        return False


@contextlib.contextmanager
def restarted(cluster, descriptors):
    node = cluster.nodes[0]
    node.terminate()
    node.prefix = ["prlimit", f"--nofile={descriptors}"]
    try:
        node.start()
        cluster.wait_ready()
        yield
    finally:
        node.terminate()
        node.prefix = []
        node.start()
        cluster.wait_ready()


def main():
    allowed = allow_descriptors()
    if allowed < 4_096:
        sys.exit(f"{allowed} descriptors at most (ulimit -Hn): 4,096 are wanted")
    claims = Claims()
    with Cluster(nodes=1) as cluster:
        claims.run([plain, sealed, users, room], cluster)
        cluster.expect_serving()
    claims.end()


if __name__ == "__main__":
    main()
