#!/usr/bin/python3
"""Real processes under faults of every kind, alone and together, while clients read and write:
killed and stopped processes; cut, one-way, partial, flapping, lossy and slow links; slow, hung,
failing and full disks. Every history is judged as in kill_nodes.py: linearizable, in order, nothing
acknowledged lost; after each round everybody has to answer again.

    chaos.py [--seconds S] [--nodes N] [--shards N] [--seed N] [--faults NAME,...] [--strict]

Without --seconds: the short form, a handful of brief faults. With it: rounds for at least so long
and until every fault of the menu was hit. Needs root (or user namespaces): it runs in namespaces of
its own, which end with it. Where that cannot be had the short form is skipped, and says so."""
import argparse
import collections
import contextlib
import json
import os
import random
import time

import _disk
from _cluster import Cluster
from _faults import MENU, NOT_YET, Arena
from _load import History, Load, judge, judge_can_fail, read_all
from _sandbox import GATEWAY, Network, Unavailable, Volume, enter
from _tap import Claims, Failure, equal, expect, poll

KEYSPACES = ["orders"]
BEFORE, DURING, BETWEEN, AFTER = 300, 300, 200, 20  # operations; AFTER: of every client
PER_EPOCH = 2000
PACE = 0.001  # seconds that a client rests: the nodes, not the clients, shall have the machine
VOLUME_MIB = 1024
SAMPLE = 200  # keys of earlier rounds that are read again in each round
# A kind of each; what the short form has time for.
SHORT = """kill_leader kill_all stop_leader cut_leader deaf_leader partial_cut flapping lossy resets
    slow_disk hung_disk failed_sync full_follower""".split()


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--faults", default="", help="only these of: " + " ".join(MENU))
    parser.add_argument("--strict", action="store_true", help="what is promised and not yet done")
    parser.add_argument("--summary", help="the counts as JSON, to this file")
    options = parser.parse_args()
    options.long = options.seconds > 0
    options.names = options.faults.split(",") if options.faults else list(MENU)
    if unknown := set(options.names) - set(MENU):
        parser.error("no such fault: " + " ".join(sorted(unknown)))
    if not options.long and not options.faults:
        options.names = SHORT
    return options


class Chaos:
    def __init__(self, options, arena):
        self.options = options
        self.arena = arena
        self.cluster = arena.cluster
        self.prng = random.Random(f"{options.seed}/rounds")
        self.hits = collections.Counter()
        self.fates = collections.Counter()
        self.ledger = {}  # key of an earlier round: its last value
        self.deck = []
        self.laps = 0
        self.begun = time.monotonic()
        self.history = None  # of the last round, and the first part of its keys' names
        self.prefix = None

    def draw(self):
        """Every fault once in each lap, the order drawn."""
        if not self.deck:
            self.deck = [MENU[name] for name in self.options.names]
            self.prng.shuffle(self.deck)
            self.laps += 1
        return self.deck.pop()

    def stage(self):
        """One fault, or two at once."""
        first = self.draw()
        if first.alone or self.prng.random() < 0.6 or not self.options.long:
            return [first]
        second = self.draw()
        if second.alone or second is first:
            self.deck.append(second)
            return [first]
        return [first, second]

    def duration(self, faults):
        """0.1 s to the longest; long ones are rare."""
        if not self.options.long:
            return self.prng.uniform(0.2, 0.8)
        longest = min(fault.longest for fault in faults)
        return 0.1 * (longest / 0.1) ** self.prng.random()

    def missing(self):
        return [name for name in self.options.names if not self.hits[name]]

    def over(self, number):
        spent = time.monotonic() - self.begun
        if not self.options.long:
            return not self.missing() or number > len(self.options.names)
        return spent > self.options.seconds and (not self.missing() or self.laps > 3)

    # ------------------------------------------------------------------------------------- rounds

    def play_stage(self, load):
        faults = self.stage()
        seconds = self.duration(faults)
        load.longest_gap_since_asked()
        begun = time.monotonic()
        with contextlib.ExitStack() as stack:
            told = [stack.enter_context(fault.befall(self.arena, self.hits)) for fault in faults]
            print(f"    {'; '.join(told)}: for {seconds:.1f} s", flush=True)
            held = time.monotonic()
            poll(lambda: time.monotonic() - held > seconds, 60, "the fault")
            if len(faults) == 1 and faults[0].minority:
                load.wait_for(DURING, f"during {faults[0].name}")
        self.arena.heal()
        load.wait_for(BETWEEN, f"after {', '.join(fault.name for fault in faults)}")
        gap = load.longest_gap_since_asked()
        print(
            f"      took {time.monotonic() - begun:.1f} s, of these {gap:.1f} s"
            f" without an answer to anybody",
            flush=True,
        )

    def play_round(self, number, stages):
        history = History()
        seed = self.options.seed
        with Load(self.cluster, history, number, seed, PER_EPOCH, PACE) as load:
            self.arena.load = load
            load.wait_for(BEFORE, "before the faults")
            for _ in range(stages):
                self.play_stage(load)
            load.wait_for_everybody(AFTER, "after the faults")
            self.cluster.expect_alive()
        load.end()
        self.cluster.wait_ready(40)
        self.cluster.expect_serving()
        found = read_all(self.cluster.nodes, history, load.all_keys(), number)
        self.history, self.prefix = history, f"r{number}e0"
        self.remember(found, history)
        self.fates.update(history.fates)

    def remember(self, found, history):
        """Values that nothing can change any more."""
        self.read_again(self.prng.sample(sorted(self.ledger), min(SAMPLE, len(self.ledger))))
        self.ledger.update(
            {key: value for key, value in found.items() if key not in history.doubtful}
        )

    def read_again(self, keys):
        for at, node in enumerate(self.cluster.nodes):
            with node.resp_client() as client:
                for key in keys[at :: len(self.cluster.nodes)]:
                    value = client.call("GET", key)
                    text = "nil" if value is None else value.decode()
                    equal(text, self.ledger[key], f"{key} of an earlier round, at {node}")

    def judge(self, number):
        path = f"{self.cluster.directory}/history-{number}.txt"
        judge(self.history, path, self.options.seed)
        os.unlink(path)

    # -------------------------------------------------------------------------------------- claims

    def run(self, claims):
        number = 0
        while not self.over(number) and not claims.failed:
            number += 1
            spent = time.monotonic() - self.begun
            print(f"  round {number}, after {spent:.0f} s", flush=True)
            with claims.claim(f"round {number}: everybody answers again, every history is right"):
                self.play_round(number, 3)
                self.judge(number)
        if claims.failed:
            return
        with claims.claim("what earlier rounds have written is still there"):
            self.read_again(sorted(self.ledger))
            print(f"  {len(self.ledger)} keys")
        with claims.claim("the judge refuses the last history with one wrong answer in it"):
            path = f"{self.cluster.directory}/broken.txt"
            judge_can_fail(self.history, path, self.prefix)
        with claims.claim("every fault of the menu was hit"):
            equal(self.missing(), [], "never hit")

    def summary(self):
        return {
            "seed": self.options.seed,
            "nodes": len(self.cluster.nodes),
            "seconds": round(time.monotonic() - self.begun),
            "operations": sum(self.fates.values()),
            "fates": dict(self.fates),
            "hits": dict(self.hits),
            "longest_stop": round(self.arena.longest_stop, 1),
            "not_yet": self.arena.gaps,
        }


@contextlib.contextmanager
def arena_of(options, network):
    """A cluster whose nodes live on small file systems, behind links, on disks that can fail."""
    hosts = [network.host(at) for at in range(options.nodes)]
    insecure = ["--insecure"]  # no loopback; nobody else is on this bridge
    cluster = Cluster(options.nodes, options.shards, KEYSPACES, insecure, hosts)
    library = _disk.build(cluster.directory)
    volumes, disks = [], []
    for node in cluster.nodes:
        volumes.append(Volume(node.data, VOLUME_MIB))
        cluster.when_ended.append(volumes[-1].end)
        node.data += "/data"
        disks.append(_disk.Disk(library, f"{cluster.directory}/disk{node.index}", node.data))
        node.prefix = network.prefix(node.index) + disks[-1].prefix()
        node.log_to = f"{cluster.directory}/n{node.index + 1}.log"
    print(f"  data on {volumes[0].kind}, clients at {GATEWAY}", flush=True)
    with cluster:
        yield Arena(cluster, network, disks, volumes, random.Random(options.seed), options.strict)


def main():
    options = parse()
    try:
        enter()
        network = Network(options.nodes)
    except Unavailable as error:
        print(f"{'not ok' if options.long else 'skip'} chaos needs namespaces and links: {error}")
        raise SystemExit(1 if options.long else 0) from None
    claims = Claims()
    print(f"  seed {options.seed}, {options.nodes} nodes", flush=True)
    with arena_of(options, network) as arena:
        chaos = Chaos(options, arena)
        chaos.run(claims)
        for name, count in sorted(arena.gaps.items()):
            print(f"  not yet: {name} ({NOT_YET[name]}), met {count} times")
        print("  hits: " + ", ".join(f"{name} {chaos.hits[name]}" for name in options.names))
        print(f"  summary {json.dumps(chaos.summary())}", flush=True)
        if claims.failed:
            raise SystemExit(1)  # keeps the logs
        if options.summary:
            with open(options.summary, "w", encoding="ascii") as out:
                json.dump(chaos.summary(), out)
    claims.end()


if __name__ == "__main__":
    main()
