#!/usr/bin/python3
"""Every class of byte of a node's files, damaged on one of three nodes: the node refuses to start,
naming the file, twice the same, or it serves, and then every key is right through every node. The
others serve all the while and say who is missing. `damage_matrix.py` takes a sample, with `all`
the whole."""
import os
import pathlib
import random
import sys

from _cluster import HOST, Cluster, last_lines, run
from _damage import (
    IDENTITY_FIELDS,
    RECORD_BYTES,
    RECORD_FIELDS,
    REFUSED,
    SEGMENT_FIELDS,
    Patient,
    flip,
    records,
    segments,
    table_places,
)
from _resp import Error
from _tap import Claims, Failure, equal, expect, poll

KEYS = 1000
SEED = 30
SAMPLE = 8  # of each of journal, identity and engine
CHECK_FAILED = 4


def value_of(i, version):
    return (f"value {i} of {version}. " * 200).encode()


EXPECTED = {
    f"key{i}": None if i % 10 == 7 else value_of(i, 2 if i % 3 else 1) for i in range(KEYS)
}


def write_everything(cluster, long_journal):
    """Overwritten, deleted and untouched keys, in tables on disk."""
    with cluster.nodes[0].resp_client(30) as client:
        for i in range(KEYS):
            client.call("SET", f"key{i}", value_of(i, 1))
        for i in range(KEYS):
            if i % 3:
                client.call("SET", f"key{i}", value_of(i, 2))
            if i % 10 == 7:
                client.call("DEL", f"key{i}")
        for _ in range(100 if long_journal else 0):
            client.call("SET", "large", b"x" * (1 << 20))


def read_everything(cluster, node):
    poll(lambda: cluster.answers(node), 30, f"{node} serves")
    keys = list(EXPECTED)
    with node.resp_client(30) as client:
        for at in range(0, KEYS, 100):
            part = keys[at : at + 100]
            for key, found in zip(part, client.call("MGET", *part)):
                if found != EXPECTED[key]:
                    raise Failure(f"WRONG ANSWER: {key} at {node}: {str(found)[:60]}")


# ------------------------------------------------------------------------------------------ places


class Place:
    """A name, a file (relative), and what is done to it. `refused`: only that will do."""

    def __init__(self, name, file, damage, refused=False):
        self.name = name
        self.file = file
        self.damage = damage
        self.refused = refused


def flipped(name, file, offset, refused=False, bit=1):
    return Place(f"{name}: a bit flipped", file, lambda path: flip(path, offset, bit), refused)


def cut(name, file, size, refused=False):
    return Place(f"{name}: cut to {size}", file, lambda path: os.truncate(path, size), refused)


def gone(name, file, refused=False):
    return Place(f"{name}: deleted", file, lambda path: path.unlink(), refused)


def journal_places(root):
    found = segments(root / "journal-0")
    newest = found[-1]
    for path in found:
        file = path.relative_to(root)
        title = "newest segment" if path == newest else "older segment"
        for field, at in SEGMENT_FIELDS:
            yield flipped(f"{title}, header, {field}", file, at, path == newest)
        yield cut(title, file, path.stat().st_size // 2, path == newest)
        yield cut(title, file, 0, path == newest)
        yield gone(title, file, path == newest)
        yield from record_places(title, path, file, path == newest)


def record_places(title, path, file, newest):
    """One record of each type, not the last: later ones say that it was synced."""
    all_of_them = records(path)
    for kind in sorted({record.type for record in all_of_them}):
        mine = [record for record in all_of_them[:-2] if record.type == kind]
        if not mine:
            continue
        record = mine[len(mine) // 2]
        name = f"{title}, {kind} record"
        for field, at in RECORD_FIELDS:
            yield flipped(f"{name}, {field}", file, record.offset + at, newest)
        if record.body:
            middle = record.offset + RECORD_BYTES + record.body // 2
            yield flipped(f"{name}, body", file, middle, newest, 0x80)
        if record.offset + RECORD_BYTES + record.body < record.end:
            yield flipped(f"{name}, padding", file, record.end - 1, newest)


def identity_places(root):
    size = (root / "identity").stat().st_size
    for field, at in IDENTITY_FIELDS:
        yield flipped(f"identity, {field}", "identity", at, True)
    for name, at in (("keyspaces and starts", size * 3 // 4), ("end", size - 1)):
        yield flipped(f"identity, {name}", "identity", at, True)
    for length in (size - 1, 13, 0):
        yield cut("identity", "identity", length, True)
    yield gone("identity", "identity", True)


def engine_places(root):
    directory = root / "engine"
    tables = sorted(directory.glob("*.sst"), key=lambda path: path.stat().st_size)
    expect(tables, "the engine has no tables yet")
    for title, path in (("smallest table", tables[0]), ("largest table", tables[-1])):
        file = path.relative_to(root)
        for name, at in table_places(path):
            yield flipped(f"{title}, {name}", file, at)
        yield cut(title, file, path.stat().st_size // 2)
        yield cut(title, file, 0)
        yield gone(title, file)
        if len(tables) == 1:
            break
    for path in sorted(directory.iterdir()):
        kind = path.name.split("-")[0]
        size = path.stat().st_size
        if kind not in ("MANIFEST", "CURRENT", "OPTIONS", "IDENTITY") or size == 0:
            continue
        file = path.relative_to(root)
        for at in (0, 5, size // 2, size - 2):
            yield flipped(f"engine's {kind}, byte {at}", file, at)
        yield cut(f"engine's {kind}", file, size // 2)
        yield cut(f"engine's {kind}", file, 0)
        yield gone(f"engine's {kind}", file)


# ------------------------------------------------------------------------------------------ verdict


def ended(patient):
    return patient.node.process.poll() is not None


def refuses(patient, place):
    """It ended: with the code that says so, naming the file, and the same when started again."""
    named = pathlib.Path(place.file).parts[0].split("-")[0]
    for attempt in range(2):
        if attempt:
            pathlib.Path(patient.node.log_path()).write_text("", encoding="ascii")
            patient.node.start()
            poll(lambda: ended(patient), 30, "it refuses again")
        told = patient.node.log()
        equal(patient.node.process.returncode, REFUSED, f"exit code with {last_lines(told)}")
        expect(named in told, f"{named} is not named in {last_lines(told)}")
        expect("serve:" in told and "CHECK" not in told, last_lines(told))
    patient.node.process = None


def judged(patient, place, read=read_everything):
    """refused, stopped (serving, a group of it is out) or served; else a Failure. `read` fails if
    an answer is wrong."""
    cluster = patient.cluster
    patient.heal()
    place.damage(patient.path(place.file))
    patient.start()

    def answers():
        try:
            return not ended(patient) and cluster.answers(patient.node)
        except (OSError, Error, Failure):
            return False

    poll(lambda: ended(patient) or answers(), 30, f"{place.name}: a decision")
    if ended(patient):
        patient.served = False
        refuses(patient, place)
        for node in cluster.nodes[:2]:
            read(cluster, node)
        return "refused"
    expect(not place.refused, "it serves, although it lost what it acknowledged")
    for node in cluster.nodes:
        read(cluster, node)
    lead(patient)
    for node in cluster.nodes:
        read(cluster, node)
    expect(not ended(patient), f"it ended later: {last_lines(patient.node.log())}")
    groups = (patient.node.status() or {}).get("groups", [])
    return "stopped" if any(group["role"] == "stopped" for group in groups) else "served"


def lead(patient):
    """The damaged node leads, if it can: only a leader reads its engine for clients."""
    number = (patient.node.status() or {}).get("node", 0)
    door = f"{HOST}:{patient.node.http[1]}"
    order = ["--keyspace", "default", "--node", number, "--node-address", door, "--timeout", 5]
    run("replica", "transfer", *order)  # refused by who cannot lead


def others_name_it(patient):
    """while it refuses, the others say who is missing, since when, and what that means"""
    patient.heal()
    flip(patient.path("identity"), 20)
    patient.refuses("identity")
    address = f"{HOST}:{patient.cluster.nodes[0].http[1]}"

    def noticed():
        return "2 of 3 copies are up" in run("why", "--node", address).stdout

    poll(noticed, 10, "the leader misses it")
    told = run("why", "--node", address)
    equal(told.returncode, CHECK_FAILED, told.stdout + told.stderr)
    for text in ("2 of 3 copies are up", f":{patient.node.peer[1]}: connect", "exit code 5"):
        expect(text in told.stdout, f"no {text!r} in {told.stdout}")


def main():
    whole = sys.argv[1:] == ["all"]
    claims = Claims()
    with Cluster(options=["--memtable-mib", "1"]) as cluster:
        write_everything(cluster, whole)
        patient = Patient(cluster)
        root = pathlib.Path(patient.healthy)
        places = []
        for kind in (journal_places, identity_places, engine_places):
            found = list(kind(root))
            places += found if whole else random.Random(SEED).sample(found, SAMPLE)
        count = {"refused": 0, "stopped": 0, "served": 0}
        for place in places:
            with claims.claim(place.name):
                verdict = judged(patient, place)
                count[verdict] += 1
                print(f"  {verdict}", flush=True)
        with claims.claim(others_name_it.__doc__):
            others_name_it(patient)
        patient.heal()
        with claims.claim("healed, all three serve everything"):
            patient.start()
            for node in cluster.nodes:
                read_everything(cluster, node)
            cluster.expect_serving()
        print(f"  pass: {len(places)} places, " + ", ".join(f"{n} {v}" for v, n in count.items()))
    claims.end()


if __name__ == "__main__":
    main()
