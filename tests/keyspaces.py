#!/usr/bin/python3
"""Keyspaces that are made and dropped while clients write, with the program as it is run: words,
exit codes, and no key lost on the way, also when nodes are killed meanwhile."""
import json
import random
import threading
import time

from _cluster import HOST, Cluster, run
from _resp import Error, Resp
from _tap import Claims, equal, expect, poll

DONE, FAILED, USAGE, UNREACHABLE, CHECK_FAILED, REFUSED = range(6)


def keyspace(node, *words):
    return run("keyspace", *words, "--node-address", f"{HOST}:{node.http[1]}", timeout=120)


def listed(node):
    told = keyspace(node, "list", "--json")
    equal(told.returncode, DONE, told.stderr)
    return {k["name"]: k for k in json.loads(told.stdout)["keyspaces"]}


class Scanner(threading.Thread):
    """Asks for all keys, over and over, each time at any node: with SCAN by small steps, and with
    DBSIZE. Nobody makes or deletes keys meanwhile."""

    def __init__(self, nodes, keys, seed):
        super().__init__(daemon=True)
        self.nodes, self.keys, self.random = nodes, keys, random.Random(seed)
        self.stop, self.scans, self.counts, self.wrong = False, 0, 0, []

    def ask(self, *words):
        while not self.stop:
            try:
                return self.random.choice(self.clients).call(*words)
            except Error as error:
                if error.code not in ("CLUSTERDOWN", "TRYAGAIN"):
                    raise
        return None

    def scan(self):
        met, cursor = set(), b"0"
        while not self.stop:
            reply = self.ask("SCAN", cursor, "COUNT", self.random.choice((7, 50)))
            if reply is None:
                return
            cursor = reply[0]
            met.update(reply[1])
            if cursor == b"0":
                break
        if not self.stop:
            self.scans += 1
            if not self.keys <= met:
                self.wrong.append(f"SCAN missed {sorted(self.keys - met)[:3]}")

    def run(self):
        self.clients = [Resp(node.resp) for node in self.nodes]
        try:
            while not self.stop:
                self.scan()
                count = self.ask("DBSIZE")
                self.counts += count is not None
                if count not in (None, len(self.keys)):
                    self.wrong.append(f"DBSIZE told {count} of {len(self.keys)}")
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}")


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
                time.sleep(0.05)  # between two tries
            self.slowest = max(self.slowest, time.monotonic() - began)


def go_on(writers):
    """Until 200 more increments were acknowledged."""

    def count():
        return sum(sum(list(w.acknowledged.values())) for w in writers)

    before = count()
    poll(lambda: count() >= before + 200, 60, "the writers go on")


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

        with claims.claim("words, --json and exit codes say the same"):
            made = keyspace(second, "create", "orders", "--copies", "1", "--on", "3", "--json")
            equal(made.returncode, DONE, made.stderr)
            equal(json.loads(made.stdout)["outcome"], "done")
            described = json.loads(keyspace(first, "describe", "orders", "--json").stdout)
            (shown,) = described["keyspaces"]
            equal((shown["name"], shown["copies"], shown["founded_on"]), ("orders", 1, [3]))
            expect(any("loses it" in words for words in shown["promise"]), shown["promise"])
            again = keyspace(first, "create", "orders", "--json")
            equal(again.returncode, REFUSED, again.stderr)
            told = json.loads(again.stdout)
            equal(told["exit_code"], REFUSED)
            expect("there is a keyspace orders already" in told["error"], told["error"])
            client.call("SET", "orders:1", "x")
            dropped = keyspace(first, "drop", "orders", "--force", "--json")
            equal(json.loads(dropped.stdout)["outcome"], "done", dropped.stderr)
            equal(client.call("GET", "orders:1"), None, "what it held is gone with it")
            equal(keyspace(first, "describe", "orders").returncode, USAGE, "there is none")

        with claims.claim("no key is missed or told twice while keyspaces come with their keys"):
            client.call("FLUSHALL")
            names = ("m0", "m1", "m2", "stay")
            keys = {f"{name}:{i}".encode() for name in names for i in range(90)}
            for key in keys:
                client.call("SET", key, "v")
            scanners = [Scanner(cluster.nodes, keys, seed) for seed in range(3)]
            for scanner in scanners:
                scanner.start()
            for i, node in enumerate(cluster.nodes):
                made = keyspace(node, "create", f"m{i}", "--move")
                equal(made.returncode, DONE, made.stderr)
                before = [scanner.scans for scanner in scanners]
                poll(
                    lambda at=before: all(s.scans > n or s.wrong for s, n in zip(scanners, at)),
                    30,
                    "scans go on",
                )
            for scanner in scanners:
                scanner.stop = True
            for scanner in scanners:
                scanner.join(20)
                equal(scanner.wrong, [])
            order = keyspace(first, "create", "stay", "--move", "--no-wait")
            equal(order.returncode, DONE, order.stderr)
            poll(lambda: client.call("FLUSHALL") == "OK", 20, "FLUSHALL")
            equal(client.call("DBSIZE"), 0, "keys after FLUSHALL in the midst of a move")
            poll(lambda: listed(third).get("stay", {}).get("settled"), 30, "stay serves")
            equal(client.call("DBSIZE"), 0, "keys when the move is over")

        with claims.claim("keys move along while clients write them and nodes are killed"):
            writers = [Writer(node) for node in cluster.nodes]
            for writer in writers:
                writer.start()
            go_on(writers)
            for node in (first, second):
                order = keyspace(third, "create", "cart", "--move", "--no-wait")
                expect(order.returncode in (DONE, REFUSED), order.stderr)
                node.kill()
                go_on(writers)  # in the midst of the move, with two of three
                node.start()
                cluster.wait_ready(60)
            poll(lambda: listed(third).get("cart", {}).get("settled"), 60, "cart serves")
            go_on(writers)
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
