#!/usr/bin/python3
"""Bytes that no honest client sends, and honest ones that come in odd ways, on every port of a
node: each is answered in the protocol's own form or closed, nothing behind it runs, and the cluster
goes on serving."""
import concurrent.futures
import contextlib
import random
import resource
import socket
import ssl

import _frames
from _cluster import Cluster, fetch
from _resp import Closed, Error, Resp, encode
from _tap import Claims, Failure, equal, expect, poll

SEED = 20
MIB = 1 << 20


def connect(address, timeout=20):
    link = socket.create_connection(address, timeout=timeout)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def read_to_end(link):
    """Everything up to the end of the stream; a reset is an end, too."""
    out = b""
    while True:
        try:
            data = link.recv(65536)
        except ConnectionResetError:
            return out
        if not data:
            return out
        out += data


def said_to(address, data, finish=False):
    """What the port answers until it closes; a port that waits for more must close on our FIN."""
    with connect(address) as link:
        try:
            link.sendall(data)
            if finish:
                link.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed before all of it was sent: then its answer is lost, too
        return read_to_end(link)


def poll_for(link, text):
    """Reads until this text was in it."""
    seen = b""
    while text not in seen:
        data = link.recv(65536)
        if not data:
            raise Failure(f"closed after {seen!r}")
        seen += data


def memory(node):
    """Resident bytes."""
    with open(f"/proc/{node.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def counter(node, name):
    for line in fetch(node.http, "/metrics").splitlines():
        if line.split(" ")[0].split("{")[0] == name:
            return int(float(line.split()[-1]))
    raise Failure(f"no metric {name}")


def tls_hello():
    """The first flight of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def answers(node, count=20):
    """A good connection, while the bad ones are there."""
    with node.resp_client(20) as good:
        for i in range(count):
            equal(good.call("SET", "good", i), "OK")
            equal(good.call("GET", "good"), str(i).encode())


# ---------------------------------------------------------------------------------- the RESP port

BAD_REQUESTS = [
    (b"*1\r\n$999999999999\r\n", "invalid bulk length"),
    (b"*1\r\n$16777217\r\n", "invalid bulk length"),
    (b"*1\r\n$-5\r\n", "invalid bulk length"),
    (b"*1\r\n$x\r\n", "invalid bulk length"),
    (b"*99999999999\r\n", "invalid multibulk length"),
    (b"*2000000\r\n", "invalid multibulk length"),
    (b"*x\r\n", "invalid multibulk length"),
    (b"*1\r\n:1\r\n", "expected '$', got ':'"),
    (b"*" + b"1" * 70000, "too big mbulk count string"),
    (b"*1\r\n$" + b"1" * 70000, "too big bulk count string"),
    (b"x" * 70000, "too big inline request"),
    (b"set 'a\r\n", "unbalanced quotes in request"),
]


def resp_lengths(cluster):
    """RESP: lengths out of bounds and broken frames get Redis' error, then the end"""
    node = cluster.nodes[0]
    for data, text in BAD_REQUESTS:
        with Resp(node.resp, 20) as link:
            link.send(data + b"\r\n" * (len(data) < 100) + encode("SET", "behind", "1"))
            found = link.reply()
            expect(isinstance(found, Error) and text in str(found), f"{data[:40]!r}: {found!r}")
            expect(str(found).startswith("ERR Protocol error: "), found)
            expect(link.at_end(), f"{data[:40]!r}: open after the error")
    with node.resp_client() as link:
        equal(link.call("GET", "behind"), None, "what stood behind a bad frame")


def resp_nothing(cluster):
    """RESP: empty requests and lengths of nothing are skipped, as in Redis"""
    with cluster.nodes[0].resp_client() as link:
        link.send(b"*0\r\n*-1\r\n\r\n" + encode("PING"))
        equal(link.reply(), "PONG")


def resp_announced(cluster):
    """RESP: 200 connections that announce 16 MiB each cost what they sent, not that"""
    node = cluster.nodes[0]
    before = memory(node)
    with contextlib.ExitStack() as open_links:
        for _ in range(200):
            link = open_links.enter_context(connect(node.resp))
            link.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16777216\r\n" + b"x" * 1000)
        answers(node)
        expect(memory(node) - before < 200 * MIB, f"{(memory(node) - before) // MIB} MiB more")


def resp_bytes(cluster):
    """RESP: a request that comes byte by byte is the same request"""
    with cluster.nodes[0].resp_client() as link:
        for byte in encode("SET", "slow", "a\r\nb") + b"GET slow\r\n":
            link.send(bytes([byte]))
        equal([link.reply(), link.reply()], ["OK", b"a\r\nb"])


def resp_pipelined(cluster):
    """RESP: 10,000 and 40,000 requests sent before a reply is read are answered in order"""
    for node, count in ((cluster.nodes[0], 10000), (cluster.nodes[1], 40000)):
        with node.resp_client(60) as link:
            link.call("DEL", "in-order")
            # One thread writes while another reads: past the bound the node stops reading.
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                sent = pool.submit(link.send, encode("INCR", "in-order") * count)
                if count == 10000:
                    sent.result(60)
                found = [link.reply() for _ in range(count)]
                sent.result(60)
            expect(found == list(range(1, count + 1)), f"{count} increments in another order")


def resp_unread(cluster):
    """RESP: replies that nobody reads are bounded; read at last they are whole and in order"""
    node = cluster.leader()
    value = bytes(MIB)
    with node.resp_client() as link:
        link.call("SET", "big", value)
    before = memory(node)
    with node.resp_client(60) as link:
        link.send(b"".join(encode("GET", "big") + encode("ECHO", i) for i in range(400)))
        answers(node)
        expect(
            memory(node) - before < 200 * MIB,
            f"{(memory(node) - before) // MIB} MiB for 400 MiB of replies",
        )
        for i in range(400):
            expect(link.reply() == value, f"value {i}")
            equal(link.reply(), str(i).encode())


def resp_half_closed(cluster):
    """RESP: who closes its half after the requests still gets every answer"""
    for node in cluster.nodes:
        equal(said_to(node.resp, encode("PING") * 3, finish=True), b"+PONG\r\n" * 3)
        data = encode("SET", "half", "1") + encode("INCR", "half") + encode("GET", "half")
        equal(said_to(node.resp, data, finish=True), b"+OK\r\n:2\r\n$1\r\n2\r\n")


def resp_half_closed_many(cluster):
    """RESP: 15,000 requests and a closed half: more than wait at once, none forgotten"""
    node = cluster.nodes[0]
    found = said_to(node.resp, encode("DEL", "many") + encode("INCR", "many") * 15000, finish=True)
    equal(found.count(b":"), 15001, "replies")
    with node.resp_client() as link:
        equal(link.call("GET", "many"), b"15000")


def resp_cut_off(cluster):
    """RESP: connections that are reset in the middle of everything leave nothing behind"""
    node = cluster.nodes[0]
    for i in range(200):
        link = connect(node.resp)
        link.sendall(encode("INCR", "cut") * 50 + encode("SET", "k", "v")[: 7 + i % 20])
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        link.close()
    poll(lambda: counter(node, "asterias_resp_connections") == 0, 20, "all connections gone")


# --------------------------------------------------------------------- foreign bytes, on all ports


def foreign_protocols(cluster):
    """HTTP on the RESP port, RESP on the others, TLS everywhere: closed, not crashed"""
    node = cluster.nodes[0]
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n" + encode("SET", "evil", "1")
    equal(said_to(node.resp, post), b"", "HTTP POST on the RESP port")
    got = said_to(node.resp, b"GET / HTTP/1.1\r\nHost: x\r\n\r\nSET evil 1\r\n")
    expect(got.count(b"\r\n") <= 1, f"HTTP GET on the RESP port: {got!r}")
    expect(
        said_to(node.http, encode("SET", "evil", "1") + b"\r\n\r\n").startswith(b"HTTP/1.1 4"),
        "RESP on the HTTP port",
    )
    equal(said_to(node.peer, encode("SET", "evil", "1") * 10), b"", "RESP on the peer port")
    equal(
        said_to(node.peer, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 5), b"", "HTTP on the peer port"
    )
    hello = tls_hello()
    for address in (node.resp, node.http, node.peer):
        expect(len(said_to(address, hello, finish=True)) < 500, "TLS")
    with node.resp_client() as link:
        equal(link.call("GET", "evil"), None, "what a foreign protocol has set")


def garbage(cluster):
    """random bytes, 60 times on each port"""
    prng = random.Random(SEED)
    for address in (cluster.nodes[0].resp, cluster.nodes[0].http, cluster.nodes[1].peer):
        for _ in range(60):
            said_to(address, prng.randbytes(prng.choice((1, 43, 44, 200, 5000))), finish=True)


def half_sent(cluster):
    """300 connections that stop in the middle, on each port, while a good one works"""
    node = cluster.nodes[0]
    with contextlib.ExitStack() as open_links:
        for address, data in (
            (node.resp, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nab"),
            (node.http, b"GET /status HTTP/1.1\r\nHo"),
            (node.peer, b"\x40\0\0\0\1\2\3\4\1\0"),
        ):
            for _ in range(300):
                link = open_links.enter_context(connect(address))
                with contextlib.suppress(OSError):  # refused is fine
                    link.sendall(data)
        answers(node)
        expect("asterias_" in fetch(node.http, "/metrics"), "metrics")


# ---------------------------------------------------------------------------------- the HTTP port


def http_requests(cluster):
    """HTTP: refused by number: bodies, no Host, bad lines, long heads, other methods and pages"""
    address = cluster.nodes[0].http
    for data, code in (
        (b"POST /status HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /status HTTP/1.1\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /status HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /status HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /", 413),
        (b"GET /status HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
        (b"GET /status HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100000, 431),
    ):
        got = said_to(address, data)
        expect(got.startswith(b"HTTP/1.1 %d " % code), f"{data[:60]!r}: {got[:60]!r}")
    got = said_to(
        address, b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    expect(got.startswith(b"HTTP/1.1 404 "), got[:60])


def http_no_request(cluster):
    """HTTP: bytes that can be no request are answered with 400 at once, not waited for"""
    address = cluster.nodes[0].http
    for data in (b"\x16\x03\x01\x02", b"\n", b"GET /status HTTP/1.1\nHost: x\n\n", b"*3\r\n"):
        with connect(address, 5) as link:  # less than the door's own deadline
            link.sendall(data)
            got = read_to_end(link)
        expect(got.startswith(b"HTTP/1.1 400 "), f"{data!r}: {got[:60]!r}")


def http_pipelined(cluster):
    """HTTP: pipelined requests are answered in order, also byte by byte, also half-closed"""
    address = cluster.nodes[0].http
    one = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    other = b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for pieces in (1, 1000):
        with connect(address) as link:
            data = one + other + one + other + last
            size = len(data) if pieces == 1 else 1
            for at in range(0, len(data), size):
                link.sendall(data[at : at + size])
            got = read_to_end(link)
        equal(got.count(b"HTTP/1.1 200 OK"), 4, "answers")
        at = [got.find(text) for text in (b"ok\n", b'{"cluster"', b" 404 ")]
        expect(at == sorted(at) and at[0] > 0, f"the order of {got!r}")
    got = said_to(address, other, finish=True)
    expect(got.startswith(b"HTTP/1.1 200"), f"half-closed after /status: {got!r}")


# ---------------------------------------------------------------------------------- the peer port


def peer_frames(cluster):
    """peer port: foreign cluster, format or type, and damaged frames: counted and closed"""
    node = cluster.nodes[0]
    ours = int(node.status()["cluster"])
    before = counter(node, "asterias_rpc_bad_frames_total")
    bad = [
        _frames.hello(ours ^ 1, 2),
        _frames.hello(ours, 2, incarnation=7),
        _frames.hello(ours, 2, form=9),
        _frames.hello(ours, 2, crc=1),
        _frames.hello(ours, 2, length_crc=1),
        _frames.frame(99, ours),
        _frames.frame(0, ours),
        _frames.hello(ours, 2, length=0),
        _frames.hello(ours, 2, length=2**31),
        _frames.hello(ours, 2, length=49 * MIB),
    ]
    for data in bad:
        equal(said_to(node.peer, data), b"", f"an answer to {data[:24]!r}")
    equal(counter(node, "asterias_rpc_bad_frames_total") - before, len(bad), "bad frames counted")
    for data in (
        _frames.frame(_frames.RAFT, ours, b"x"),
        _frames.frame(_frames.CALL, 0, b"x"),
        _frames.frame(_frames.HELLO, ours, b"\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"),
    ):
        equal(said_to(node.peer, data), b"", "a connection that does not begin with Hello")


def peer_strangers(cluster):
    """peer port: who names no cluster may call, and do nothing else, whatever node it says it is"""
    node = cluster.nodes[0]
    for number in (0, 2):
        for kind in (_frames.RAFT, _frames.FORWARD, _frames.FORWARD_REPLY):
            before = counter(node, "asterias_rpc_bad_frames_total")
            said_to(node.peer, _frames.hello(0, number) + _frames.frame(kind, 0, b"\2\1"))
            expect(
                counter(node, "asterias_rpc_bad_frames_total") > before,
                f"a frame of type {kind} by a stranger that says it is node {number}",
            )
    # Asking is allowed: that is how a node joins.
    name = b"nonsense"
    call = _frames.frame(_frames.CALL, 0, bytes([len(name)]) + name + b"\0")
    with connect(node.peer) as link:
        link.sendall(_frames.hello(0, 0) + call)
        poll_for(link, b"no call named 'nonsense'")


def peer_unknown(cluster):
    """peer port: a node number outside the founding record is refused and told why"""
    node = cluster.nodes[0]
    ours = int(node.status()["cluster"])
    before = counter(node, "asterias_rpc_refused_peers_total")
    for number in (77, node.status()["node"]):
        got = said_to(node.peer, _frames.hello(ours, number))
        expect(f"node {number}".encode() in got, f"no reason for node {number} in {got!r}")
    equal(counter(node, "asterias_rpc_refused_peers_total") - before, 2, "refused peers counted")


def peer_bodies(cluster):
    """peer port: 2,000 frames of a member with bodies that are noise: dropped, no process ends"""
    node = cluster.nodes[0]
    ours = int(node.status()["cluster"])
    member = cluster.nodes[1].status()["node"]
    prng = random.Random(SEED)
    for kind in (1, _frames.RAFT, _frames.FORWARD, _frames.FORWARD_REPLY, _frames.CALL, 6):
        for _ in range(20):
            data = _frames.hello(ours, member, shard=9)
            for _ in range(20):
                data += _frames.frame(
                    kind, ours, prng.randbytes(prng.choice((0, 1, 2, 9, 40, 300)))
                )
            said_to(node.peer, data, finish=True)
    cluster.expect_alive()


def peer_storm(cluster):
    """peer port: 1,000 connections that come and go, then 500 that stay: members still get in"""
    node = cluster.leader()
    for _ in range(1000):
        connect(node.peer).close()
    with contextlib.ExitStack() as open_links:
        other = cluster.followers()[0]
        other.kill()
        for _ in range(500):  # more than there are places, so the places of the dead are taken, too
            open_links.enter_context(connect(node.peer))
        other.start()
        poll(lambda: cluster.answers(other), 30, f"{other}, started again, serves")
        cluster.expect_serving(30)

        def heard():
            return all(
                peer["heard"] and peer["match"] > 0
                for group in node.status()["groups"]
                if group["role"] == "Leader" and group["keyspace"] == "default"
                for peer in group["peers"]
            )

        poll(heard, 30, f"{other} is a follower that keeps up")


# ------------------------------------------------------------------------------------------ storms


def resp_storm(cluster):
    """RESP: 3,000 connections that come and go"""
    node = cluster.nodes[0]
    for i in range(3000):
        with connect(node.resp) as link:
            if i % 3:
                link.sendall(encode("PING")[: i % 15])
    poll(lambda: counter(node, "asterias_resp_connections") == 0, 20, "all connections gone")


def matched(cluster, number):
    """How far the log of a node is, as the leader of `default` knows it; -1: it is not there."""
    for group in cluster.leader().status()["groups"]:
        if group["role"] == "Leader" and group["keyspace"] == "default":
            return max((p["match"] for p in group["peers"] if p["node"] == number), default=-1)
    return -1


def descriptors(cluster):
    """more clients than descriptors are refused; the journal and other nodes have theirs"""
    node, other = cluster.followers()
    node.kill()
    node.prefix = ["prlimit", "--nofile=256:256"]
    node.start()
    poll(lambda: cluster.answers(node), 30, f"{node} serves with 256 descriptors")
    number = node.status()["node"]
    with contextlib.ExitStack() as open_links:
        for address in (node.resp, node.http, node.peer):
            for _ in range(400):
                open_links.enter_context(connect(address))
        # Its peers wait for room among the silent ones; then it takes part, by a snapshot or the
        # log, and its journal needs more than one segment.
        with cluster.leader().resp_client(30) as good:
            before = matched(cluster, number)
            equal(good.call("SET", "before", "x"), "OK")
            poll(lambda: matched(cluster, number) > before, 20, f"{node} follows")
            for i in range(80):
                equal(good.call("SET", f"segment{i}", bytes(MIB)), "OK")
        other.kill()
        other.start()
        poll(lambda: cluster.answers(other), 30, f"{other}, started again, serves")
        cluster.expect_alive()
    poll(lambda: cluster.answers(node), 30, f"{node} takes connections again")
    written = counter(node, "asterias_journal_bytes_total")
    expect(written > 64 * MIB, f"{written} bytes are one segment: nothing was shown")


CASES = [
    resp_lengths,
    resp_nothing,
    resp_announced,
    resp_bytes,
    resp_pipelined,
    resp_unread,
    resp_half_closed,
    resp_half_closed_many,
    resp_cut_off,
    foreign_protocols,
    garbage,
    half_sent,
    http_requests,
    http_no_request,
    http_pipelined,
    peer_frames,
    peer_strangers,
    peer_unknown,
    peer_bodies,
    peer_storm,
    resp_storm,
    descriptors,
]


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    claims = Claims()
    with Cluster() as cluster:
        for case in CASES:
            with claims.claim(case.__doc__.strip()):
                try:
                    case(cluster)
                except Closed as error:
                    raise Failure(f"closed too early: {error}") from error
                cluster.expect_serving(20)
        if claims.failed:
            print(f"  logs: {cluster.directory}")
    claims.end()


if __name__ == "__main__":
    main()
