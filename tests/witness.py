#!/usr/bin/python3
"""Two copies and a witness, for real: the leader dies (kill -9) with what only it and the witness
have, and the copy that was behind gets it from the witness: nothing acknowledged is lost.

    witness.py [ROUNDS] [SEED]      (WITNESS_ROUNDS; 2 rounds otherwise)
"""
import json
import os
import random
import sys

from _cluster import HOST, Cluster, run
from _load import History, Load, judge, judge_can_fail, read_all
from _tap import Claims, equal, expect, poll

ROUNDS = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("WITNESS_ROUNDS", "2"))
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
BEFORE, DURING, AFTER = 300, 300, 600  # answered operations


def door_of(node):
    return ["--node-address", f"{HOST}:{node.http[1]}"]


def order(door, what, *arguments):
    told = run("replica", what, "--keyspace", "default", *arguments, *door, timeout=90)
    equal((told.returncode, told.stdout), (0, "done\n"), f"{what} {told.stderr}")


def members(door):
    told = run("replica", "list", "--keyspace", "default", "--json", *door)
    return json.loads(told.stdout)["members"] if told.returncode == 0 else []


def make_witness(node, door):
    number = node.status()["node"]
    order(door, "remove", "--node", number, "--force")
    order(door, "add", "--node", number, "--witness")
    found = {member["node"]: member["witness"] for member in members(door)}
    equal(sorted(found), [1, 2, 3])
    equal([n for n in found if found[n]], [number], "witnesses")
    text = run("replica", "list", "--keyspace", "default", *door).stdout
    expect(f"  node {number}    witness" in text, f"list says {text!r}")


def why_says(node, text):
    told = run("why", "--node", f"{HOST}:{node.http[1]}").stdout
    return told if text in told else None


def lose_the_leader(cluster, load, witness):
    """The other copy sleeps, so that the leader and the witness alone have what is acknowledged."""
    leader = cluster.leader("default")
    expect(leader is not witness, "the witness leads")
    (behind,) = [node for node in cluster.nodes if node not in (leader, witness)]
    behind.stop()
    load.wait_for(DURING, f"without {behind}")
    poll(lambda: why_says(leader, "one loss more stops it"), 20, "why says how many are left")
    leader.kill()
    behind.carry_on()
    load.wait_for(DURING, f"without {leader}")
    poll(lambda: cluster.leader("default") is behind, 20, f"{behind} leads")
    leader.start()
    return f"{leader} died while {behind} was behind"


def main():
    claims = Claims()
    print(f"  seed {SEED}, {ROUNDS} rounds", flush=True)
    history = History()
    keys = []
    with Cluster(keyspaces=["orders"]) as cluster:
        witness = cluster.nodes[2]
        with claims.claim("a copy becomes a witness, and the lists say so"):
            make_witness(witness, door_of(cluster.nodes[0]))
            told = [g["membership"] for g in witness.status()["groups"] if g["group"] == 2]
            expect("w" in told[0].split("voters")[1], f"status says {told}")
            poll(lambda: why_says(witness, "2 of 3 copies"), 20, "why says that a copy is missing")
        for number in range(1, ROUNDS + 1):
            with claims.claim(f"round {number}: the copy that was behind leads, and it goes on"):
                with Load(cluster, history, number, SEED) as load:
                    load.wait_for(BEFORE, "before the fault")
                    print(f"  {lose_the_leader(cluster, load, witness)}", flush=True)
                    load.wait_for(AFTER, "after the fault")
                    cluster.expect_alive()
                load.end()
                keys += load.all_keys()
                cluster.wait_ready()
                read_all(cluster.nodes, history, load.all_keys(), number)
        with claims.claim("every key is read once more through each node, the witness's, too"):
            read_all(cluster.nodes, history, keys, 0)
            cluster.expect_serving()
        with claims.claim("nothing acknowledged was lost, no read was stale"):
            judge(history, f"{cluster.directory}/history.txt", SEED)
        with claims.claim("the judge refuses the same history with one wrong answer in it"):
            judge_can_fail(history, f"{cluster.directory}/broken.txt", "r1")
        if claims.failed:
            raise SystemExit(1)  # keeps the data
    print(f"  operations {dict(history.fates)}")
    claims.end()


if __name__ == "__main__":
    main()
