#!/usr/bin/python3
"""kill -9 of one node, of the leader, of two, of all at once, of one that is just starting, and
SIGSTOP of the leader, while clients read and write: nothing acknowledged is lost and no read is
stale. What every client saw is recorded as a history in the text form of sim/check, and
check-history judges it.

    kill_nodes.py [ROUNDS] [SEED]      (KILL_ROUNDS; 3 rounds otherwise; KILL_SHARDS: a node's, 1)
"""
import collections
import itertools
import os
import random
import sys
import time

from _cluster import Cluster, kill_together
from _load import History, Load, answer_probes, judge, judge_can_fail, late_probes, read_all
from _tap import Claims, poll

ROUNDS = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("KILL_ROUNDS", "3"))
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
SHARDS = int(os.environ.get("KILL_SHARDS", "1"))
KEYSPACES = ["default", "orders"]
PAUSE_SECONDS = 2.0
# Progress that each phase of a round has to see: so many answered operations.
BEFORE, DURING, AFTER = 500, 1000, 1000


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
        victims[0].kill_while_starting(random.Random(f"{SEED}/{load.round}"))
    return f"killed {', '.join(map(str, victims))} ({kind})"


def play_round(cluster, history, number, kind):
    with Load(cluster, history, number, SEED) as load:
        load.wait_for(BEFORE, "before the fault")
        if kind == "stop":
            told = stop_leader(cluster, load, history)
        else:
            told = kill_victims(cluster, load, kind)
        load.wait_for(AFTER, "after the fault")
        cluster.expect_alive()
    load.end()
    read_all(cluster.nodes, history, load.all_keys(), number)
    return told, load.all_keys()


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
            read_all(cluster.nodes, history, every_key, 0)
            cluster.expect_serving()
        with claims.claim("nothing acknowledged was lost, no read was stale"):
            judge(history, f"{cluster.directory}/history.txt", SEED)
        with claims.claim("the judge refuses the same history with one wrong answer in it"):
            judge_can_fail(history, f"{cluster.directory}/broken.txt", "r2")
        if claims.failed:
            raise SystemExit(1)  # keeps the data
    print(f"  rounds {dict(counts)}, operations {dict(history.fates)}")
    claims.end()


if __name__ == "__main__":
    main()
