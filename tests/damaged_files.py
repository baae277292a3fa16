#!/usr/bin/python3
"""What a disk does to a node that is down: flipped bits, torn tails, lost and foreign files. A
node that has lost what it acknowledged refuses to start and names the file; one that has not,
starts and has everything. Either way the other two go on."""
import os
import pathlib
import random
import shutil

from _cluster import HOST, Cluster, last_lines, run
from _damage import Patient, flip
from _tap import Claims, equal, expect, poll

KEYS = 300
SEED = 20


def write_everything(cluster):
    for i in range(KEYS):
        with cluster.nodes[i % 3].resp_client() as client:
            equal(client.call("SET", f"key{i}", f"value{i}." * 50), "OK")


def read_everything(cluster, node):
    poll(lambda: cluster.answers(node), 30, f"{node} serves")
    with node.resp_client() as client:
        for i in range(KEYS):
            equal(client.call("GET", f"key{i}"), f"value{i}.".encode() * 50, f"key{i} at {node}")


def starts_with_everything(patient):
    patient.start()
    read_everything(patient.cluster, patient.node)


# ------------------------------------------------------------------------------------------- cases


def untouched(patient):
    """untouched files: the node starts and has everything"""
    starts_with_everything(patient)


def flipped_journal(patient):
    """a flipped bit in an acknowledged record, 12 places: refused, with file and offset"""
    prng = random.Random(SEED)
    for _ in range(12):
        patient.heal()
        path, written = patient.journal()
        flip(path, prng.randrange(64, written * 8 // 10), 1 << prng.randrange(8))
        patient.refuses(path.name, "offset")


def flipped_head(patient):
    """a flipped bit in the head of a segment: refused, with the file"""
    path, _ = patient.journal()
    flip(path, 20)
    patient.refuses(path.name)


def cut_tail(patient):
    """garbage behind the last record, as a torn write leaves it: cut, and nothing is lost"""
    path, written = patient.journal()
    with open(path, "r+b") as file:
        file.seek((written + 7) // 8 * 8 + 64)  # the last record may end in zeros
        file.write(random.Random(SEED).randbytes(3000))
    starts_with_everything(patient)


def lost_segment(patient):
    """a segment with acknowledged records is gone: refused"""
    path, _ = patient.journal()
    path.unlink()
    patient.refuses("journal", "missing")


def lost_journal(patient):
    """the whole journal is gone, and with it the votes: refused"""
    shutil.rmtree(patient.path("journal-0"))
    patient.refuses("journal", "lost")


def lost_engine(patient):
    """the engine is gone: its state comes back from the journal, or the node refuses"""
    shutil.rmtree(patient.path("engine"))
    patient.start()

    def decided():
        return not patient.node.alive() or patient.cluster.answers(patient.node)

    poll(decided, 30, "a decision")
    if patient.node.alive():
        read_everything(patient.cluster, patient.node)
    else:
        expect("engine" in patient.node.log(), last_lines(patient.node.log()))
        patient.node.process = None


def flipped_identity(patient):
    """a flipped bit anywhere in the identity: refused, with the file"""
    size = patient.path("identity").stat().st_size
    for offset in range(0, size, 7):
        patient.heal()
        flip(patient.path("identity"), offset)
        patient.refuses("identity")


def short_identity(patient):
    """an identity that is cut off or empty: refused, with the file"""
    for size in (100, 3, 0):
        patient.heal()
        os.truncate(patient.path("identity"), size)
        patient.refuses("identity")


def foreign_journal(patient):
    """another node's journal in this directory: refused"""
    theirs = pathlib.Path(patient.cluster.nodes[1].data, "journal-0")
    shutil.rmtree(patient.path("journal-0"))
    shutil.copytree(theirs, patient.path("journal-0"))
    patient.refuses("belongs to node ", "not to node ")


def foreign_directory(patient):
    """a copy of another node's directory: refused, because that node lives elsewhere"""
    shutil.rmtree(patient.node.data)
    shutil.copytree(patient.cluster.nodes[1].data, patient.node.data)
    patient.refuses("the cluster knows this node at")


def old_copy(patient):
    """an old copy of its own directory: the others refuse it, it says so and ends; it stays out"""
    starts_with_everything(patient)
    patient.node.kill()
    newest = patient.path("identity").read_bytes()
    shutil.rmtree(patient.node.data)
    shutil.copytree(patient.healthy, patient.node.data)
    patient.refuses("is an old copy", "must not take part again", patient.node.data)
    pathlib.Path(patient.node.log_path()).write_text("", encoding="ascii")
    patient.refuses("is an old copy")
    patient.path("identity").write_bytes(newest)


def lost_directory(patient):
    """an empty disk in the place of a member: refused, the cluster is told to be complete"""
    shutil.rmtree(patient.node.data)
    patient.refuses("founding members")


CASES = [
    untouched,
    flipped_journal,
    flipped_head,
    cut_tail,
    lost_segment,
    lost_journal,
    lost_engine,
    flipped_identity,
    short_identity,
    foreign_journal,
    foreign_directory,
    old_copy,
    lost_directory,
]


def replaced(cluster, patient):
    """an empty disk takes the place of the lost one, once nobody counts on it; the old stays out"""
    node, door = patient.node, f"{HOST}:{cluster.nodes[0].http[1]}"
    number = ""
    for member in cluster.nodes[0].status()["members"]:
        if member["peer"] == f"{HOST}:{node.peer[1]}":
            number = str(member["node"])
    node.kill()
    old = node.data + ".old"
    shutil.move(node.data, old)
    node.options = [*node.options, "--replace", number]

    def change(what):
        for keyspace in ("default", "system"):
            order = ["--keyspace", keyspace, "--node", number, "--node-address", door]
            done = run("replica", what, *order, timeout=90)
            equal(done.returncode, 0, f"{what} {keyspace}: {done.stderr}")

    node.first_peer = cluster.nodes[0].peer[1]
    patient.refuses(f"node {number} still holds a copy of system, default: take it out first")
    change("remove")
    shutil.rmtree(node.data)
    node.start()
    poll(lambda: cluster.answers(node), 30, "it serves")
    change("add")
    read_everything(cluster, node)
    cluster.expect_serving()
    # It counts: with one of the others gone it is the majority that acknowledges.
    cluster.nodes[1].kill()
    cluster.expect_serving()
    read_everything(cluster, node)
    cluster.nodes[1].start()
    node.kill()
    fresh = node.data + ".fresh"
    shutil.move(node.data, fresh)
    shutil.move(old, node.data)
    pathlib.Path(node.log_path()).write_text("", encoding="ascii")
    patient.refuses("is an old copy", "--replace")
    shutil.rmtree(node.data)
    shutil.move(fresh, node.data)
    node.start()
    cluster.wait_ready()
    read_everything(cluster, node)


def main():
    claims = Claims()
    with Cluster() as cluster:
        write_everything(cluster)
        patient = Patient(cluster)
        for case in CASES:
            patient.heal()
            with claims.claim(case.__doc__.strip()):
                case(patient)
        patient.heal()
        with claims.claim("the other two served all the while; healed, the node does, too"):
            cluster.expect_serving()
            starts_with_everything(patient)
            for node in cluster.nodes:
                read_everything(cluster, node)
        with claims.claim(replaced.__doc__):
            replaced(cluster, patient)
    claims.end()


if __name__ == "__main__":
    main()
