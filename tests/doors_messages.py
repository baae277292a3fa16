#!/usr/bin/python3
"""Messages and clients of the Redis door where a node is pressed: many names in one turn, a node
that does not read, an orderly stop with something in flight."""
import contextlib
import select

from _cluster import Cluster
from _resp import Resp, encode
from _tap import Claims, equal, expect, poll

BIG = b"x" * 4_000_000
NAMES = 14_000  # of 1,000 bytes: almost pubsub-names-bytes-max


def begun_with_names(node, first):
    """A connection whose EXEC will subscribe to many long names, twice, and keep none."""
    client = Resp(node.resp, 60)
    client.call("MULTI")
    for i in range(2):
        names = [b"%d-%d-%d" % (first, i, j) + b"x" * 985 for j in range(NAMES)]
        equal(client.call("SUBSCRIBE", *names), "QUEUED")
        equal(client.call("UNSUBSCRIBE"), "QUEUED")
    return client


def answered(client):
    found = client.socket.recv(262144)
    expect(found, "the connection ended")
    return found.startswith(b"*4\r\n")


def names_in_a_turn(cluster):
    """names that come and go in one turn end no node, however many they are"""
    node = cluster.nodes[0]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(begun_with_names(node, i)) for i in range(3)]
        node.stop()  # so that all come in one turn
        for client in clients:
            client.send(encode("EXEC"))
        node.carry_on()
        for client in clients:
            expect(answered(client), "EXEC is not answered")
    cluster.expect_serving()
    for other in cluster.nodes:
        with other.resp_client() as client:
            poll(lambda: client.call("PUBSUB", "CHANNELS") == [], 20, f"no names at {other}")


def no_room(cluster):
    """a subscription that one node could not be told of reaches it when it reads again"""
    here, there = cluster.nodes[0], cluster.nodes[2]
    with here.resp_client() as hears, here.resp_client(60) as says, there.resp_client() as far:
        with there.resp_client() as wants:
            wants.call("SUBSCRIBE", "big")
            poll(lambda: says.call("PUBLISH", "big", "x") == 1, 20, "its subscription is known")
            there.stop()
            try:
                for _ in range(50):
                    says.call("PUBLISH", "big", BIG)
                hears.call("SUBSCRIBE", "late")
            finally:
                there.carry_on()
            poll(lambda: far.call("PUBLISH", "late", "x") == 1, 20, "the other node knows of it")
            equal(hears.reply(), [b"message", b"late", b"x"])


def orderly_stop(cluster):
    """an orderly stop answers an EXEC in flight that asks about clients"""
    node, others = cluster.nodes[0], cluster.nodes[1:]
    with node.resp_client(60) as client:
        for other in others:
            other.stop()
        for command in (
            ["MULTI"],
            ["SET", "k", "v"],
            ["CLIENT", "INFO"],
            ["CLIENT", "KILL", "LADDR", "x:1"],
            ["EXEC"],
        ):
            client.send(encode(*command))
        for wanted in ("OK", "QUEUED", "QUEUED", "QUEUED"):
            equal(client.reply(), wanted)
        node.process.terminate()
        poll(lambda: refuses(node), 20, "it listens no more")
        for other in others:
            other.carry_on()
        answer = client.reply()
        equal(answer[0], "OK")
        expect(f"laddr=127.0.0.1:{node.resp[1]} ".encode() in answer[1], f"{answer[1]!r}")
        equal(answer[2], 0)
        expect(client.at_end(), "the connection ends")
    equal(node.process.wait(20), 0)
    node.start()
    cluster.wait_ready(60)


def all_shards(_):
    """CLIENT PAUSE and MONITOR are of all shards of a node"""
    with Cluster(nodes=1, shards=2) as cluster, contextlib.ExitStack() as stack:
        node = cluster.nodes[0]
        admin, monitor, *clients = [stack.enter_context(Resp(node.resp)) for _ in range(10)]
        equal(monitor.call("MONITOR"), "OK")
        for name, client in enumerate(clients):

            def shown(name=name, client=client):
                client.call("ECHO", f"from {name}")
                return select.select([monitor.socket], [], [], 0.1)[0] or monitor.unread

            poll(shown, 10, "a monitor sees it")
            while f'"ECHO" "from {name}"' not in monitor.reply():
                pass

        def blocked():
            for client in clients:
                if select.select([client.socket], [], [], 0)[0]:  # it came before the pause
                    equal(client.reply(), "OK")
                    client.send(encode("SET", "k", "v"))
            return b"blocked_clients:%d\r\n" % len(clients) in admin.call("INFO", "clients")

        equal(admin.call("CLIENT", "PAUSE", 60000, "WRITE"), "OK")
        for client in clients:
            client.send(encode("SET", "k", "v"))
        poll(blocked, 20, "all wait")
        equal(admin.call("CLIENT", "UNPAUSE"), "OK")
        for client in clients:
            equal(client.reply(), "OK")


def refuses(node):
    try:
        node.resp_client(1).close()
    except OSError:
        return True
    return False


def main():
    claims = Claims()
    with Cluster(nodes=3) as cluster:
        claims.run([names_in_a_turn, no_room, orderly_stop, all_shards], cluster)
        cluster.expect_serving()
    claims.end()


if __name__ == "__main__":
    main()
