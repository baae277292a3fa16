#!/usr/bin/python3
"""Keyspaces that are made and dropped while clients write, with the program as it is run: words,
exit codes, and no key lost on the way, also when nodes are killed meanwhile."""
import json
import threading
import time

from _cluster import HOST, Cluster, run
from _resp import Resp
from _tap import Claims, equal, expect, poll

DONE, FAILED, USAGE, UNREACHABLE, CHECK_FAILED, REFUSED = range(6)


def keyspace(node, *words):
    return run("keyspace", *words, "--node-address", f"{HOST}:{node.http[1]}", timeout=120)


def listed(node):
    told = keyspace(node, "list", "--json")
    equal(told.returncode, DONE, told.stderr)
    return {k["name"]: k for k in json.loads(told.stdout)["keyspaces"]}


class Writer(threading.Thread):
    """Counts up keys of one prefix, and remembers what was acknowledged."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.stop, self.acknowledged, self.tries = node, False, {}, 0
        self.slowest = 0.0

    def run(self):
        client = None
        while not self.stop:
            key = f"cart:{self.tries % 50}"
            self.tries += 1
            began = time.monotonic()
            try:
                client = client or Resp(self.node.resp)
                answer = client.call("INCR", key)
                if isinstance(answer, int):
                    self.acknowledged[key] = max(answer, self.acknowledged.get(key, 0))
            except Exception:  # a node that is killed, a deadline that passed
                client = None
                time.sleep(0.05)
            self.slowest = max(self.slowest, time.monotonic() - began)


def main():
    claims = Claims()
    with Cluster(nodes=3) as cluster:
        first, second, third = cluster.nodes

        with claims.claim("a keyspace is made, described and dropped"):
            made = keyspace(first, "create", "orders", "--copies", "2")
            equal((made.returncode, made.stdout), (DONE, "done\n"), made.stderr)
            told = keyspace(second, "describe", "orders")
            equal(told.returncode, DONE, told.stderr)
            expect("orders: serving, 2 copies wanted" in told.stdout, told.stdout)
            expect("disks of 2 of 2 copies" in told.stdout, told.stdout)
            client = Resp(third.resp)
            equal(client.call("SET", "orders:1", "x"), "OK")
            refused = keyspace(first, "drop", "orders")
            equal(refused.returncode, REFUSED, refused.stderr)
            expect("holds 1 key" in refused.stderr and "--force" in refused.stderr, refused.stderr)
            client.call("DEL", "orders:1")
            dropped = keyspace(third, "drop", "orders")
            equal((dropped.returncode, dropped.stdout), (DONE, "done\n"), dropped.stderr)
            expect("orders" not in listed(second), "it is gone")

        with claims.claim("what cannot be is refused with the way out"):
            client.call("SET", "cart:0", "0")
            refused = keyspace(first, "create", "cart")
            equal(refused.returncode, REFUSED, refused.stderr)
            expect("default holds 1 key" in refused.stderr, refused.stderr)
            expect("--move" in refused.stderr, refused.stderr)
            equal(client.call("GET", "cart:0"), b"0")
            equal(keyspace(first, "create", "a:b").returncode, USAGE)
            equal(keyspace(first, "drop", "nothing").returncode, REFUSED)
            equal(keyspace(first, "create", "many", "--copies", "5").returncode, USAGE)

        with claims.claim("keys move along while clients write them and nodes are killed"):
            writers = [Writer(node) for node in cluster.nodes]
            for writer in writers:
                writer.start()
            time.sleep(1)
            for node in (first, second):
                order = keyspace(third, "create", "cart", "--move", "--no-wait")
                expect(order.returncode in (DONE, REFUSED), order.stderr)
                node.kill()
                time.sleep(1)
                node.start()
                cluster.wait_ready(60)
            poll(lambda: listed(third).get("cart", {}).get("settled"), 60, "cart serves")
            time.sleep(2)
            for writer in writers:
                writer.stop = True
            for writer in writers:
                writer.join(20)
            client = Resp(third.resp)
            for writer in writers:
                expect(len(writer.acknowledged) > 0, "nothing was acknowledged")
                for key, value in writer.acknowledged.items():
                    now = int(client.call("GET", key))
                    expect(now >= value, f"{key} is {now}, {value} was acknowledged")
    claims.end()


if __name__ == "__main__":
    main()
