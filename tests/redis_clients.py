#!/usr/bin/python3
"""The RESP door and the clients that people have: redis-cli, redis-benchmark, python3-redis."""
import concurrent.futures
import os
import pty
import select
import subprocess
import time

import redis

from _cluster import Cluster
from _resp import Error, Resp, encode
from _tap import Claims, Failure, equal, expect, poll

KEYSPACE = "orders"


def cli(node, *arguments, data=None, timeout=30):
    """redis-cli to its end; what it printed."""
    done = subprocess.run(
        ["redis-cli", "-h", node.resp[0], "-p", str(node.resp[1]), *arguments],
        input=data,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0:
        raise Failure(f"redis-cli {arguments} ended with {done.returncode}: {done.stderr}")
    return done.stdout.decode("latin-1").strip()


def library(node, **options):
    return redis.Redis(host=node.resp[0], port=node.resp[1], socket_timeout=20, **options)


def refused(call, *arguments):
    try:
        found = call(*arguments)
    except redis.ResponseError as error:
        return str(error)
    raise Failure(f"{arguments} was not refused but answered {found!r}")


def others(cluster):
    return zip(cluster.nodes, cluster.nodes[1:] + cluster.nodes[:1])


# ------------------------------------------------------------------------------------- redis-cli


def cli_commands(cluster):
    """redis-cli: set, get, incr, expire, ttl, del; each node sees what another one wrote"""
    for i, (node, other) in enumerate(others(cluster)):
        equal(cli(node, "set", f"cli{i}", "hello world"), "OK")
        equal(cli(other, "get", f"cli{i}"), "hello world")
        equal(cli(node, "incr", "cli:count"), str(i + 1))
        equal(cli(node, "expire", f"cli{i}", "100"), "1")
        expect(0 < int(cli(other, "ttl", f"cli{i}")) <= 100, "ttl")
        equal(cli(other, "del", f"cli{i}", "absent"), "1")
        equal(cli(node, "get", f"cli{i}"), "")


def cli_resp3(cluster):
    """redis-cli -3: HELLO 3 and RESP3 replies"""
    node = cluster.nodes[0]
    equal(cli(node, "-3", "hello").count("proto"), 1)
    expect("3" in cli(node, "-3", "hello", "3"), "proto 3")
    expect("save" in cli(node, "-3", "config", "get", "save"), "config get as a map")
    equal(cli(node, "-3", "get", "no such key"), "")
    expect("redis_version:" in cli(node, "-3", "info"), "info as a verbatim string")


def cli_pipe(cluster):
    """redis-cli --pipe: 10,000 requests in one go, none refused"""
    node, other = cluster.nodes[:2]
    requests = b"".join(encode("SET", f"pipe{i}", i) for i in range(10000))
    told = cli(node, "--pipe", data=requests, timeout=60)
    expect("errors: 0, replies: 10000" in told, told)
    equal(library(other).mget("pipe0", "pipe5000", "pipe9999"), [b"0", b"5000", b"9999"])


def cli_interactive(cluster):
    """redis-cli, interactive: starts with COMMAND DOCS, helps, answers, ends"""
    main, side = pty.openpty()
    process = subprocess.Popen(
        ["redis-cli", "-p", str(cluster.nodes[0].resp[1])],
        stdin=side,
        stdout=side,
        stderr=side,
        close_fds=True,
        env=dict(os.environ, TERM="dumb", HOME=cluster.directory),
    )
    os.close(side)
    seen = b""

    def until(text):
        nonlocal seen
        deadline = time.monotonic() + 20
        while text not in seen:
            ready, _, _ = select.select([main], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise Failure(f"no {text!r} in {seen!r}")
            seen += os.read(main, 65536)

    try:
        until(b"> ")
        for line, answer in (
            (b"help set\n", b"Sets a key to a string"),
            (b"help set\n", b"key value [NX|XX] [GET] [EX seconds|PX milliseconds|"),
            (b"help asterias.request\n", b"client sequence command [argument [argument ...]]"),
            (b"set typed 1\n", b"OK"),
            (b"get typed\n", b'"1"'),
            (b"nosuch\n", b"unknown command"),
        ):
            os.write(main, line)
            until(answer)
        os.write(main, b"exit\n")
        equal(process.wait(10), 0, "exit code")
    finally:
        process.kill()
        process.wait()
        os.close(main)


def cli_for_a_while(cluster, *arguments):
    """The first line that an endless mode of redis-cli prints; then it is ended."""
    process = subprocess.Popen(
        ["stdbuf", "-o0", "redis-cli", "-p", str(cluster.nodes[0].resp[1]), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        seen = b""
        while seen.count(b"\n") < 3:
            ready, _, _ = select.select([process.stdout], [], [], 20)
            data = os.read(process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise Failure(f"{arguments}: no more than {seen!r}")
            seen += data
        return seen.decode()
    finally:
        process.kill()
        process.wait()


def cli_stat(cluster):
    """redis-cli --stat: finds its figures in INFO"""
    told = cli_for_a_while(cluster, "--stat", "-i", "0.1")
    expect("keys" in told and "requests" in told, told)
    row = told.strip().splitlines()[-1].split()
    expect(len(row) >= 5, f"a row of figures, not {row}")


def cli_latency(cluster):
    """redis-cli --latency: measures PING"""
    told = cli(cluster.nodes[0], "--latency", "-i", "1", "--raw", timeout=20)
    expect(len(told.split()) >= 4, told)
    expect(int(float(told.split()[3])) > 0, f"no sample in {told}")


# ---------------------------------------------------------------------------------- python3-redis


def python_set_options(cluster):
    """python3-redis: set with ex, px, nx, xx, keepttl, get"""
    r = library(cluster.nodes[0])
    s = library(cluster.nodes[1])
    equal(r.set("o", "1", ex=100), True)
    expect(99 <= s.ttl("o") <= 100, "ex")
    equal(r.set("o", "2", px=50000), True)
    expect(40000 < s.pttl("o") <= 50000, "px")
    equal(r.set("o", "3", keepttl=True), True)
    expect(40000 < s.pttl("o") <= 50000, "keepttl")
    equal(r.set("o", "4", nx=True), None, "nx of a key that is there")
    equal(s.get("o"), b"3")
    equal(r.set("absent", "4", xx=True), None, "xx of a key that is not")
    equal(s.get("absent"), None)
    equal(r.set("o", "5", get=True), b"3", "get")
    equal(s.ttl("o"), -1, "a plain set ends the time to live")
    equal(refused(r.execute_command, "SET", "o", "1", "NX", "XX"), "syntax error")
    equal(
        refused(r.execute_command, "SET", "o", "1", "EX", "0"),
        "invalid expire time in 'set' command",
    )


def python_expiry(cluster):
    """python3-redis: expire, ttl, persist; a key is gone at its time on every node"""
    r = library(cluster.nodes[0])
    equal(r.ttl("none"), -2)
    r.set("e", "1")
    equal(r.ttl("e"), -1)
    equal(r.expire("e", 50), True)
    equal(r.persist("e"), True)
    equal(r.persist("e"), False)
    equal(r.ttl("e"), -1)
    equal(r.pexpire("e", 100), True)
    poll(lambda: r.get("e") is None, 10, "expiry")
    for node in cluster.nodes:
        equal(library(node).get("e"), None, f"expired key at {node}")
        equal(library(node).exists("e"), 0)
    equal(r.expire("e", 10), False)
    r.set("e", "1")
    equal(r.expire("e", -1), True, "a time that has passed")
    equal(r.get("e"), None)


def python_pipelines(cluster):
    """python3-redis: pipelines without MULTI; each command sees the ones before it"""
    for node in cluster.nodes:
        with library(node).pipeline(transaction=False) as pipeline:
            pipeline.delete("p")
            for _ in range(1000):
                pipeline.incr("p")
            pipeline.get("p")
            replies = pipeline.execute()
        equal(replies[1:1001], list(range(1, 1001)), "increments in order")
        equal(replies[1001], b"1000")


def python_transactions(cluster):
    """python3-redis: MULTI pipelines, and WATCH: three nodes at once lose no increment"""
    node, other = cluster.nodes[:2]
    with library(node).pipeline() as pipe:
        equal(pipe.set("tx", 1).incr("tx").get("tx").execute(), [True, 2, b"2"])
    equal(library(other).get("tx"), b"2")

    def add_one(pipe):
        before = int(pipe.get("tx:n") or 0)
        pipe.multi()
        pipe.set("tx:n", before + 1)

    def add(node):
        for _ in range(20):
            library(node).transaction(add_one, "tx:n")

    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(add, cluster.nodes))
    equal(library(other).get("tx:n"), b"60")


def heard(pubsub, count):
    """The next messages, without notices."""
    found = []
    while len(found) < count:
        message = pubsub.get_message(timeout=10)
        if message is None:
            raise Failure(f"no message came behind {found}")
        if message["type"].endswith("message"):
            found.append((message["type"], message["channel"], message["data"]))
    return found


def python_messages(cluster):
    """python3-redis: who subscribes on one node hears what is published on any, in order"""
    for node, other in others(cluster):
        with library(node).pubsub() as channels, library(node).pubsub() as patterns:
            channels.subscribe("news", "more")
            patterns.psubscribe("n*s")
            for listening in (channels, channels, patterns):
                equal(listening.get_message(timeout=10)["type"].endswith("subscribe"), True)
            # A confirmed subscription is known to every node.
            for third in cluster.nodes:
                equal(library(third).pubsub_numsub("news", "none"), [(b"news", 1), (b"none", 0)])
                equal(library(third).pubsub_numpat(), 1)
                equal(library(third).pubsub_channels("*e*"), [b"more", b"news"])
            r = library(other)
            with r.pipeline(transaction=False) as pipe:
                for i in range(200):
                    pipe.set("told", i).publish("news", i)
                equal(pipe.execute()[1::2], 200 * [2])
            wanted = [(b"news", str(i).encode()) for i in range(200)]
            equal([m[1:] for m in heard(channels, 200)], wanted)
            equal(heard(patterns, 200)[0], ("pmessage", b"news", b"0"))
            with r.pipeline() as pipe:
                equal(pipe.set("told", "tx").publish("more", "tx").execute(), [True, 1])
            equal(heard(channels, 1), [("message", b"more", b"tx")])
            equal(library(node).get("told"), b"tx")
            channels.unsubscribe()
            patterns.punsubscribe()
        poll(lambda r=r: r.publish("news", "x") == 0, 10, "nobody listens any more")


def cli_messages(cluster):
    """redis-cli: subscribe on one node, publish on another, in RESP2 and RESP3"""
    node, other = cluster.nodes[:2]
    for version in ("-2", "-3"):
        command = ["redis-cli", version, "-h", node.resp[0], "-p", str(node.resp[1])]
        with subprocess.Popen([*command, "subscribe", "cli"], stdout=subprocess.PIPE) as process:
            poll(lambda: cli(other, "publish", "cli", "hello") == "1", 10, "a subscriber")
            found = [process.stdout.readline() for _ in range(6)]
            process.terminate()
            expect(b"hello" in found[-1], f"{found}")
        poll(lambda: cli(other, "publish", "cli", "x") == "0", 10, "nobody listens any more")


def python_types(cluster):
    """python3-redis: mget, mset, incr, decr, append, strlen, exists, type"""
    r = library(cluster.nodes[2])
    equal(r.mset({"m1": "a", "m2": "b"}), True)
    equal(r.mget("m1", "none", "m2"), [b"a", None, b"b"])
    equal(r.exists("m1", "m1", "none"), 2)
    equal(
        (r.append("m1", "bc"), r.strlen("m1"), r.type("m1"), r.type("none")),
        (3, 3, b"string", b"none"),
    )
    equal(r.delete("n"), 0)
    equal((r.incrby("n", 41), r.incr("n"), r.decrby("n", 2), r.decr("n")), (41, 42, 40, 39))
    equal(refused(r.incr, "m1"), "value is not an integer or out of range")
    r.set("n", str(2**63 - 1))
    equal(refused(r.incr, "n"), "increment or decrement would overflow")
    equal(r.get("n"), str(2**63 - 1).encode(), "what a refused increment leaves")


def python_errors(cluster):
    """python3-redis: errors in Redis' words"""
    r = library(cluster.nodes[0])
    expect(
        refused(r.execute_command, "NOSUCH", "a", "b").startswith(
            "unknown command 'NOSUCH', with args beginning with: 'a' 'b'"
        ),
        "unknown command",
    )
    equal(refused(r.execute_command, "GET"), "wrong number of arguments for 'get' command")
    equal(
        refused(r.execute_command, "MSET", "a", "1", "b"),
        "wrong number of arguments for 'mset' command",
    )
    equal(
        refused(r.execute_command, "CONFIG", "GET"),
        "wrong number of arguments for 'config|get' command",
    )
    expect(
        "unknown subcommand 'nosuch'" in refused(r.execute_command, "CLIENT", "nosuch"),
        "unknown subcommand",
    )
    equal(refused(r.execute_command, "SELECT", "16"), "DB index is out of range")
    expect("unsupported protocol version" in refused(r.execute_command, "HELLO", "9"), "hello 9")
    expect("'lpush' is not supported: " in refused(r.lpush, "l", 1), "not there: LPUSH")


def python_binary(cluster):
    """python3-redis: keys and values are bytes; 1 MiB through every node; too long is refused"""
    everything = bytes(range(256)) * 4
    big = os.urandom(1 << 20)
    for node, other in others(cluster):
        r, s = library(node), library(other)
        r.set(everything, everything)
        equal(s.get(everything), everything)
        r.set("", "empty key")
        equal(s.get(""), b"empty key")
        r.set("big", big)
        expect(s.get("big") == big, "1 MiB came back different")
        big = big[::-1]
    longest = "k" * 65536
    equal(r.set(longest, "1"), True)
    equal(s.get(longest), b"1")
    expect("key is longer" in refused(r.set, longest + "k", "1"), "a key of 64 KiB and one byte")


def databases(cluster):
    """SELECT: a key of one database is not in another"""
    for db in (0, 1, 15):
        library(cluster.nodes[0], db=db).set("where", str(db))
    for db in (0, 1, 15):
        equal(library(cluster.nodes[1], db=db).get("where"), str(db).encode())
    equal(library(cluster.nodes[1], db=2).get("where"), None)


def keyspaces(cluster):
    """--keyspace orders: keys orders:... are a group of their own; MSET across is CROSSKEYSPACE"""
    r = library(cluster.nodes[0])
    before = applied(cluster, KEYSPACE)
    for i in range(10):
        r.set(f"{KEYSPACE}:{i}", "1")
    poll(lambda: applied(cluster, KEYSPACE) >= before + 10, 10, "the group of orders applies")
    rest = applied(cluster, "default")
    equal(r.mget(f"{KEYSPACE}:0", f"{KEYSPACE}:9"), [b"1", b"1"])
    equal(applied(cluster, "default"), rest, "what the default group applied meanwhile")
    for command in (
        ("MSET", f"{KEYSPACE}:1", "2", "other", "2"),
        ("MGET", "other", f"{KEYSPACE}:1"),
        ("DEL", "other", f"{KEYSPACE}:1"),
    ):
        expect(refused(r.execute_command, *command).startswith("CROSSKEYSPACE "), command)
    equal(r.get(f"{KEYSPACE}:1"), b"1", "what the refused MSET left")


def applied(cluster, keyspace):
    groups = cluster.leader(keyspace).status()["groups"]
    return next(group["applied"] for group in groups if group["keyspace"] == keyspace)


# ------------------------------------------------------------------------------------ raw sockets


def spans(cluster):
    """SCAN, KEYS, DBSIZE over two keyspaces: redis-cli --scan, --bigkeys, scan_iter"""
    node, other = cluster.nodes[:2]
    r = library(node, db=7)
    equal(r.flushdb(), True)
    wanted = {f"scan{i}".encode() for i in range(1500)}
    wanted |= {f"{KEYSPACE}:{i}".encode() for i in range(500)}
    with r.pipeline(transaction=False) as pipe:
        for key in wanted:
            pipe.set(key, "1")
        pipe.execute()
    equal(library(other, db=7).dbsize(), len(wanted), "DBSIZE through another node")
    equal(set(r.keys()), wanted, "KEYS")
    found = list(r.scan_iter(count=100))
    equal((len(found), set(found)), (len(wanted), wanted), "scan_iter")
    equal(set(r.scan_iter("scan1??", count=17)), {k for k in wanted if len(k) == 7 and k[4] == 49})
    told = cli(node, "-n", "7", "--scan", "--pattern", f"{KEYSPACE}:*").split()
    equal(len(set(told)), 500, "redis-cli --scan")
    expect("Sampled 2000 keys" in cli(node, "-n", "7", "--bigkeys"), "redis-cli --bigkeys")
    expect(r.randomkey() in wanted, "RANDOMKEY")
    expect("cursor is lost" in refused(r.scan, 12345), "a cursor that nobody gave")
    library(other, db=7).flushdb()
    equal((r.dbsize(), r.keys(), list(r.scan_iter()), r.randomkey()), (0, [], [], None))
    r.mset({f"scan{i}": "1" for i in range(50)})
    cursor, some = r.scan(count=20)
    cursor, more = library(other, db=7).scan(cursor, count=20)
    equal(len(set(some) | set(more)), 40, "a cursor that another node gave")
    r.flushdb()


def inline_commands(cluster):
    """inline commands: telnet works, quotes and empty lines as in Redis"""
    with cluster.nodes[0].resp_client() as raw:
        raw.send(b"PING\r\n\r\nset inline \"two words\\x21\"\nGET inline\r\n  echo 'it''s'\r\n")
        equal([raw.reply(), raw.reply(), raw.reply()], ["PONG", "OK", b"two words!"])
        found = raw.reply()
        expect(isinstance(found, Error) and "unbalanced quotes" in str(found), found)


def once_only(cluster):
    """ASTERIAS.REQUEST: the same request through three nodes takes effect once"""
    for node in cluster.nodes:
        with node.resp_client() as raw:
            equal(raw.call("ASTERIAS.REQUEST", "tester", "1", "INCR", "once"), 1)
    with cluster.nodes[0].resp_client() as raw:
        equal(raw.call("ASTERIAS.REQUEST", "tester", "2", "INCR", "once"), 2)
        equal(raw.call("GET", "once"), b"2")


# -------------------------------------------------------------------------------- redis-benchmark


def benchmark(cluster, pipeline):
    figures = []
    for node in cluster.nodes:
        done = subprocess.run(
            [
                "redis-benchmark",
                "-p",
                str(node.resp[1]),
                "-t",
                "set,get,incr,mset",
                "-n",
                str(1000 * pipeline),
                "-c",
                "20",
                "-P",
                str(pipeline),
                "-r",
                "1000",
                "--csv",
            ],
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        equal(done.returncode, 0, "exit code")
        expect("rror" not in done.stdout + done.stderr, done.stdout + done.stderr)
        rows = [row.split('","') for row in done.stdout.strip().splitlines()[1:]]
        equal([row[0].strip('"').split()[0] for row in rows], ["SET", "GET", "INCR", "MSET"])
        figures.append("/".join(row[1].split(".")[0] for row in rows))
    print(f"  set/get/incr/mset a second, node by node: {', '.join(figures)}", flush=True)


def benchmark_one(cluster):
    """redis-benchmark -P 1: set, get, incr, mset through every node"""
    benchmark(cluster, 1)


def benchmark_many(cluster):
    """redis-benchmark -P 16: set, get, incr, mset through every node"""
    benchmark(cluster, 16)


def main():
    claims = Claims()
    with Cluster(keyspaces=[KEYSPACE]) as cluster:
        claims.run(
            [
                cli_commands,
                cli_resp3,
                cli_pipe,
                cli_interactive,
                cli_stat,
                cli_latency,
                python_set_options,
                python_expiry,
                python_pipelines,
                python_transactions,
                python_messages,
                cli_messages,
                python_types,
                python_errors,
                python_binary,
                databases,
                keyspaces,
                spans,
                inline_commands,
                once_only,
                benchmark_one,
                benchmark_many,
            ],
            cluster,
        )
        with claims.claim("after all of this the cluster serves and no process has ended"):
            cluster.expect_serving()
    claims.end()


if __name__ == "__main__":
    main()
