"""Load on a cluster and its judgement: clients that record what they saw as a history in the text
form of sim/check, the final reads, and check-history, which judges it."""
import collections
import itertools
import random
import subprocess
import threading
import time

from _cluster import BUILD
from _resp import Error, Resp, encode
from _tap import Failure, expect, poll

CLIENTS = 9
KEYS = (("s", 8), ("c", 4), ("p", 8))  # registers, counters, pairs
NEVER_HAPPENED = ("CLUSTERDOWN", "TRYAGAIN")


class History:
    """Lines of sim/check/history_text.cc. A place c/n/sequence is unique: threads only append."""

    def __init__(self):
        self.lines = []
        self.fates = collections.Counter()
        self.doubtful = set()  # keys that a write of unknown fate may still change
        self.connections = itertools.count(1)

    def add(self, client, place, begun, ended, text, outcome):
        window = f"{begun}..{'-' if outcome == 'unknown' else ended}"
        self.lines.append(f"c{client} n{place} {window} {text} -> {outcome}")
        self.fates[outcome if outcome in ("unknown", "failed") else "ok"] += 1
        if outcome == "unknown":
            self.doubtful.update(word.split("=")[0] for word in text.split()[1:])

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
        self.answer = None  # of the last operation

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
            self.answer = outcome
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
    """CLIENTS threads, spread over the nodes; keys of one round are its own. With `per_epoch` they
    change after so many operations, which keeps the history of each key short; `pace` is how many
    seconds a client rests between two requests."""

    def __init__(self, cluster, history, number, seed, per_epoch=None, pace=0):
        self.cluster = cluster
        self.history = history
        self.round = number
        self.seed = seed
        self.per_epoch = per_epoch
        self.pace = pace
        self.done = 0  # answered operations; increments race, which only lags
        self.answered_at = time.monotonic()  # anybody, the last time
        self.longest_gap = 0  # seconds between answers to anybody
        self.answered = [0] * CLIENTS  # the same by client
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

    def end(self):
        """After the threads: none of them hangs, and none was told what it could not understand."""
        expect(not any(thread.is_alive() for thread in self.threads), "a client hangs")
        expect(not self.surprises, f"errors: {self.surprises[:3]}")

    def note_answer(self):
        now = time.monotonic()
        self.longest_gap = max(self.longest_gap, now - self.answered_at)
        self.answered_at = now

    def longest_gap_since_asked(self):
        self.note_answer()
        longest, self.longest_gap = self.longest_gap, 0
        return longest

    def epoch(self):
        return self.done // self.per_epoch if self.per_epoch else 0

    def key(self, kind, number, epoch):
        name = ["default", *self.cluster.keyspaces][number % 2]
        prefix = "" if name == "default" else name + ":"
        turn = f"e{epoch}" if self.per_epoch else ""
        return f"{prefix}r{self.round}{turn}.{kind}{number}"

    def keys_of(self, epoch):
        return [self.key(kind, i, epoch) for kind, count in KEYS for i in range(count)]

    def all_keys(self):
        return [key for epoch in range(self.epoch() + 1) for key in self.keys_of(epoch)]

    def draw(self, prng, keyspace):
        """One operation: registers, counters, and pairs that are always written together. Order is
        promised to a connection within one keyspace, so each client keeps to one."""
        kind = prng.random()
        epoch = self.epoch()
        if kind < 0.5:
            key = self.key("s", prng.randrange(keyspace, 8, 2), epoch)
            if prng.random() < 0.5:
                return "GET", [key]
            if prng.random() < 0.1:
                return "DEL", [key]
            return "SET", [key, f"v{next(self.values)}"]
        if kind < 0.75:
            key = self.key("c", prng.randrange(keyspace, 4, 2), epoch)
            return ("INCR", [key]) if prng.random() < 0.7 else ("GET", [key])
        pair = prng.randrange(keyspace, 4, 2)
        first, second = self.key("p", pair, epoch), self.key("p", pair + 4, epoch)
        if prng.random() < 0.5:
            return "MGET", [first, second]
        value = f"v{next(self.values)}"
        return "MSET", [first, value, second, value]

    def client(self, number):
        prng = random.Random(f"{self.seed}/{self.round}/{number}")
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
                self.note_answer()
                self.answered[number] += len(batch)
                if self.pace:
                    self.halt.wait(self.pace)
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

    def wait_for_everybody(self, more, what, seconds=40):
        wanted = [count + more for count in self.answered]
        poll(
            lambda: all(found >= least for found, least in zip(self.answered, wanted)),
            seconds,
            f"{more} operations of every client {what}",
        )


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


def read_all(nodes, history, keys, number):
    """The final reads: every key, through a node that is drawn by its number. {key: value}."""
    found = {}
    for node_at, node in enumerate(nodes):
        client = Client(history, 1000 + number, node.resp)
        for key in keys[node_at :: len(nodes)]:
            poll(lambda: readable(client, key), 30, f"a final read of {key} through {node}")
            found[key] = client.answer
        if client.link:
            client.drop()
    return found


def readable(client, key):
    try:
        return client.run(("GET", [key]))
    except OSError:
        return False


def check_history(history, path):
    history.write(path)
    return subprocess.run(
        [f"{BUILD}/check-history", path], capture_output=True, text=True, timeout=300, check=False
    )


def judge(history, path, seed):
    checker = check_history(history, path)
    print("  " + checker.stdout.strip().replace("\n", "\n  "), flush=True)
    if checker.returncode != 0:
        raise Failure(
            f"check-history ended with {checker.returncode}: {checker.stderr}"
            f" seed {seed}, history {path}"
        )


def judge_can_fail(history, path, prefix):
    """An old value read once more at the end is a stale read; a lost increment a lost write."""
    for kind, text, answer in (("s", "get {0}", "v0"), ("c", "incr {0} 1", "1")):
        broken = History()
        broken.lines = list(history.lines)
        now = time.monotonic_ns()
        broken.add(1, "0.1", now, now + 1, text.format(f"{prefix}.{kind}0"), answer)
        expect(check_history(broken, path).returncode == 1, f"{text} -> {answer} passed")
