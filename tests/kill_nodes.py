#!/usr/bin/python3
"""kill -9 of one node, of the leader, of two, of all at once, of one that is just starting, and
SIGSTOP of the leader, while clients read and write: nothing acknowledged is lost and no read is
stale. What every client saw is recorded as a history in the text form of sim/check, and
check-history judges it.

    kill_nodes.py [ROUNDS] [SEED]      (KILL_ROUNDS; 3 rounds otherwise; KILL_SHARDS: a node's, 1)
"""
import collections
import contextlib
import itertools
import os
import random
import subprocess
import sys
import threading
import time

from _cluster import BUILD, Cluster
from _resp import Error, Resp, encode
from _tap import Claims, Failure, expect, poll

ROUNDS = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("KILL_ROUNDS", "3"))
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
SHARDS = int(os.environ.get("KILL_SHARDS", "1"))
CLIENTS = 9
KEYSPACES = ["default", "orders"]
PAUSE_SECONDS = 2.0
# Progress that each phase of a round has to see: so many answered operations.
BEFORE, DURING, AFTER = 500, 1000, 1000
NEVER_HAPPENED = ("CLUSTERDOWN", "TRYAGAIN")


class History:
    """Lines of sim/check/history_text.cc. A place c/n/sequence is unique: threads only append."""

    def __init__(self):
        self.lines = []
        self.fates = collections.Counter()
        self.connections = itertools.count(1)

    def add(self, client, place, begun, ended, text, outcome):
        window = f"{begun}..{'-' if outcome == 'unknown' else ended}"
        self.lines.append(f"c{client} n{place} {window} {text} -> {outcome}")
        self.fates[outcome if outcome in ("unknown", "failed") else "ok"] += 1

    def write(self, path):
        with open(path, "w", encoding="ascii") as out:
            out.write("\n".join(self.lines) + "\n")


def value_text(reply):
    if reply is None:
        return "nil"
    return reply.decode() if isinstance(reply, bytes) else str(reply)


def outcome_of(command, reply):
    """What the reply says of the fate; None: an error that no honest cluster gives here."""
    if isinstance(reply, Error):
        if reply.code in NEVER_HAPPENED:
            return "failed"
        return "unknown" if reply.code == "UNKNOWN" else None
    if command in ("SET", "MSET"):
        return "ok"
    if command == "MGET":
        return " ".join(map(value_text, reply))
    return value_text(reply)


class Client:
    """One connection after another; each operation is recorded with what became of it."""

    def __init__(self, history, number, address, timeout=4.0):
        self.history = history
        self.number = number
        self.address = address
        self.timeout = timeout
        self.link = None
        self.surprise = None

    def connect(self):
        self.link = Resp(self.address, self.timeout)
        self.connection = next(self.history.connections)
        self.sequence = 0

    def run(self, *batch):
        """Sends these at once, in order; True if every one was answered with a result."""
        if self.link is None:
            self.connect()
        begun = time.monotonic_ns()
        sent = b"".join(encode(command, *words) for command, words in batch)
        good = True
        for at, (command, words) in enumerate(batch):
            try:
                if at == 0:
                    self.link.send(sent)
                outcome = outcome_of(command, self.link.reply())
            except OSError:
                for rest in batch[at:]:
                    self.record(begun, *rest, "unknown")
                self.drop()
                return False
            if outcome is None:
                self.surprise = f"{command} answered an error that is neither"
                outcome = "unknown"
            self.record(begun, command, words, outcome)
            good = good and outcome not in ("failed", "unknown")
        return good

    def record(self, begun, command, words, outcome):
        self.sequence += 1
        self.history.add(
            self.number,
            f"{self.connection}.{self.sequence}",
            begun,
            time.monotonic_ns(),
            history_text(command, words),
            outcome,
        )

    def drop(self):
        self.link.close()
        self.link = None


def history_text(command, words):
    if command == "MSET":
        return "mset " + " ".join(f"{key}={value}" for key, value in zip(words[::2], words[1::2]))
    if command == "INCR":
        return f"incr {words[0]} 1"
    return f"{command.lower()} {' '.join(words)}"


class Load:
    """CLIENTS threads, spread over the nodes; keys of one round are its own."""

    def __init__(self, cluster, history, number):
        self.cluster = cluster
        self.history = history
        self.round = number
        self.done = 0  # answered operations; increments race, which only lags
        self.halt = threading.Event()
        self.values = itertools.count(1)
        self.surprises = []
        self.threads = [
            threading.Thread(target=self.client, args=(i,), daemon=True) for i in range(CLIENTS)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.halt.set()
        for thread in self.threads:
            thread.join(30)

    def key(self, kind, number):
        prefix = "" if KEYSPACES[number % 2] == "default" else KEYSPACES[number % 2] + ":"
        return f"{prefix}r{self.round}.{kind}{number}"

    def all_keys(self):
        return (
            [self.key("s", i) for i in range(8)]
            + [self.key("c", i) for i in range(4)]
            + [self.key("p", i) for i in range(8)]
        )

    def draw(self, prng, keyspace):
        """One operation: registers, counters, and pairs that are always written together. Order is
        promised to a connection within one keyspace, so each client keeps to one."""
        kind = prng.random()
        if kind < 0.5:
            key = self.key("s", prng.randrange(keyspace, 8, 2))
            if prng.random() < 0.5:
                return "GET", [key]
            if prng.random() < 0.1:
                return "DEL", [key]
            return "SET", [key, f"v{next(self.values)}"]
        if kind < 0.75:
            key = self.key("c", prng.randrange(keyspace, 4, 2))
            return ("INCR", [key]) if prng.random() < 0.7 else ("GET", [key])
        pair = prng.randrange(keyspace, 4, 2)
        first, second = self.key("p", pair), self.key("p", pair + 4)
        if prng.random() < 0.5:
            return "MGET", [first, second]
        value = f"v{next(self.values)}"
        return "MSET", [first, value, second, value]

    def client(self, number):
        prng = random.Random(f"{SEED}/{self.round}/{number}")
        nodes = self.cluster.nodes
        at = number % len(nodes)
        client = Client(self.history, number + 1, nodes[at].resp)
        while not self.halt.is_set():
            batch = [self.draw(prng, number % 2) for _ in range(prng.choice((1, 1, 1, 4)))]
            try:
                good = client.run(*batch)
            except OSError:  # no connection: nothing was sent
                good = False
            if good:
                self.done += len(batch)
                continue
            if client.surprise:
                self.surprises.append(client.surprise)
                client.surprise = None
            if client.link is None:  # back to its own node sooner or later
                at = number % len(nodes) if prng.random() < 0.3 else prng.randrange(len(nodes))
                client.address = nodes[at].resp
            self.halt.wait(0.01)  # a dead node's port refuses at once; this is no race

    def wait_for(self, more, what, seconds=40):
        wanted = self.done + more
        poll(lambda: self.done >= wanted, seconds, f"{more} operations {what}")


def late_probes(history, keys, address, number):
    """Connections made and reads sent to a node while it is stopped: it sees them when it wakes,
    and whatever it then answers must not be older than the sending."""
    probes = []
    for key in keys:
        probe = Client(history, 100 + number, address, timeout=15.0)
        probe.connect()
        probes.append((probe, key, time.monotonic_ns()))
        probe.link.send(encode("GET", key))
    return probes


def answer_probes(probes):
    for probe, key, begun in probes:
        try:
            outcome = outcome_of("GET", probe.link.reply())
        except OSError:
            outcome = "unknown"
        probe.record(begun, "GET", [key], outcome or "unknown")
        probe.drop()


def stop_leader(cluster, load, history):
    """SIGSTOP for as long as others need to elect one and go on; it wakes up as an old leader."""
    leader = cluster.leader(KEYSPACES[load.round % 2])
    begun = time.monotonic()
    leader.stop()
    load.wait_for(DURING, "while the leader is stopped")
    poll(lambda: time.monotonic() - begun > PAUSE_SECONDS, 10, "the pause")
    probes = late_probes(history, load.all_keys(), leader.resp, load.round)
    leader.carry_on()
    answer_probes(probes)
    return f"stopped {leader}, the leader, for {time.monotonic() - begun:.1f} s"


def kill_together(victims):
    for node in victims:  # signals first
        node.process.kill()
    for node in victims:
        node.kill()


def kill_victims(cluster, load, kind):
    leader = cluster.leader(KEYSPACES[load.round % 2])
    followers = [node for node in cluster.nodes if node is not leader]
    victims = {
        "all": cluster.nodes,
        "two": [leader, followers[0]],
        "leader": [leader],
        "restart": [leader],
        "follower": followers[:1],
    }[kind]
    kill_together(victims)
    if len(victims) == 1:  # the others go on
        load.wait_for(DURING, f"without {victims[0]}")
    for node in victims:
        node.start()
    if kind == "restart":
        kill_while_starting(victims[0], load.round)
    return f"killed {', '.join(map(str, victims))} ({kind})"


def kill_while_starting(node, number):
    """Dies at moments of its start and recovery that the seed draws, then may live."""
    prng = random.Random(f"{SEED}/{number}")
    for _ in range(5):
        with contextlib.suppress(subprocess.TimeoutExpired):
            node.process.wait(prng.uniform(0.001, 0.4))
            raise Failure(f"{node} ended by itself: {node.log()[-500:]}")
        node.kill()
        node.start()


def read_all(cluster, history, keys, number):
    """The final reads: every key, through a node that is drawn by its number."""
    for at, key in enumerate(keys):
        client = Client(history, 1000 + number, cluster.nodes[at % len(cluster.nodes)].resp)

        def good():
            try:
                return client.run(("GET", [key]))
            except OSError:
                return False

        poll(good, 30, f"a final read of {key}")
        client.drop()


def play_round(cluster, history, number, kind):
    with Load(cluster, history, number) as load:
        load.wait_for(BEFORE, "before the fault")
        if kind == "stop":
            told = stop_leader(cluster, load, history)
        else:
            told = kill_victims(cluster, load, kind)
        load.wait_for(AFTER, "after the fault")
        cluster.expect_alive()
    expect(not any(thread.is_alive() for thread in load.threads), "a client hangs")
    expect(not load.surprises, f"errors: {load.surprises[:3]}")
    read_all(cluster, history, load.all_keys(), number)
    return told, load.all_keys()


def check_history(history, path):
    history.write(path)
    return subprocess.run(
        [f"{BUILD}/check-history", path], capture_output=True, text=True, timeout=300, check=False
    )


def judge(history, path):
    checker = check_history(history, path)
    print("  " + checker.stdout.strip().replace("\n", "\n  "), flush=True)
    if checker.returncode != 0:
        raise Failure(
            f"check-history ended with {checker.returncode}: {checker.stderr}"
            f" seed {SEED}, history {path}"
        )


def judge_can_fail(history, path):
    """An old value read once more at the end is a stale read; a lost increment a lost write."""
    for kind, text, answer in (("s", "get {0}", "v0"), ("c", "incr {0} 1", "1")):
        broken = History()
        broken.lines = list(history.lines)
        now = time.monotonic_ns()
        broken.add(1, "0.1", now, now + 1, text.format(f"r2.{kind}0"), answer)
        expect(check_history(broken, path).returncode == 1, f"{text} -> {answer} passed")


def kinds():
    """Every kind in turn, the order of each lap drawn."""
    prng = random.Random(SEED)
    while True:
        lap = ["leader", "all", "follower"]
        prng.shuffle(lap)
        yield from lap
        yield from ("restart", "two")


def main():
    claims = Claims()
    print(f"  seed {SEED}, {ROUNDS} rounds", flush=True)
    history = History()
    every_key = []
    counts = collections.Counter()
    with Cluster(shards=SHARDS, keyspaces=KEYSPACES[1:]) as cluster:
        drawn = itertools.islice(kinds(), ROUNDS)
        for number, kind in enumerate([*drawn, *["stop"] * max(1, ROUNDS // 5)], 1):
            with claims.claim(f"round {number}: the cluster goes on ({kind})"):
                told, keys = play_round(cluster, history, number, kind)
                every_key += keys
                counts[kind] += 1
                print(f"  {told}; so far {dict(history.fates)}", flush=True)
            if claims.failed:
                break
        with claims.claim("after all rounds every key is read once more through each node"):
            read_all(cluster, history, every_key, 0)
            cluster.expect_serving()
        with claims.claim("nothing acknowledged was lost, no read was stale"):
            judge(history, f"{cluster.directory}/history.txt")
        with claims.claim("the judge refuses the same history with one wrong answer in it"):
            judge_can_fail(history, f"{cluster.directory}/broken.txt")
        if claims.failed:
            raise SystemExit(1)  # keeps the data
    print(f"  rounds {dict(counts)}, operations {dict(history.fates)}")
    claims.end()


if __name__ == "__main__":
    main()
