#!/usr/bin/python3
"""Every class of byte of a snapshot, damaged on its way to one of three nodes, where it lies aside,
in the journal's word that it is being installed, and in the engine that took it in: it is refused
by a checksum, or thrown away and sent again, and then every key is right through every node.
`damage_snapshot.py` takes a sample, with `all` the whole."""
import json
import os
import pathlib
import random
import shutil
import sys

import _disk
import _proxy
from _cluster import HOST, Cluster, fetch, last_lines, run
from _damage import (
    RECORD_FIELDS,
    REFUSED,
    TABLE_PARTS,
    Patient,
    flip,
    is_table,
    records,
    segments,
    table_places,
)
from _tap import Claims, Failure, equal, expect, poll
from damage_matrix import engine_places, judged

KEYS = 600
VALUE_BYTES = 40_000  # in all more than the 16 MiB that are staged in memory
ENTRIES = 1500  # more than the log keeps when all of them are in the engine (`compact_entries`)
GROUP = 2  # of `default`
SEED = 31
SAMPLE = 2  # of each of the six kinds
SYNC_MS = 200  # of the disk while moments of an install are caught


def value_of(i):
    return (f"value {i}. ".encode() * VALUE_BYTES)[:VALUE_BYTES]


EXPECTED = {f"key{i}": None if i % 10 == 7 else value_of(i) for i in range(KEYS)}


def write_everything(cluster):
    with cluster.nodes[0].resp_client(30) as client:
        for _ in range(ENTRIES):
            client.call("INCR", "entries")
        for key, value in EXPECTED.items():
            client.call("SET", key, value or b"deleted")
            if value is None:
                client.call("DEL", key)


def read_everything(cluster, node):
    poll(lambda: cluster.answers(node), 30, f"{node} serves")
    keys = list(EXPECTED)
    with node.resp_client(60) as client:
        for at in range(0, KEYS, 50):
            part = keys[at : at + 50]
            for key, found in zip(part, client.call("MGET", *part)):
                if found != EXPECTED[key]:
                    raise Failure(f"WRONG ANSWER: {key} at {node}: {str(found)[:60]}")


def metric(node, name):
    """The sum over all labels."""
    lines = [line.split() for line in fetch(node.http, "/metrics").splitlines()]
    found = [float(line[-1]) for line in lines if line and line[0].split("{")[0] == name]
    expect(found, f"no metric {name}")
    return int(sum(found))


class Ward:
    """A cluster whose third node gets snapshots through a proxy, and may have a slow disk."""

    def __init__(self, cluster, proxy, disk):
        self.cluster = cluster
        self.proxy = proxy
        self.disk = disk
        self.node = cluster.nodes[2]
        self.number = self.node.status()["node"]
        self.keep = self.node.data + ".kept"

    def order(self, what, *options):
        """Of the copy of the node, done; a leader that was just elected is asked again."""

        def done():
            told = self.run("replica", what, "--node", self.number, "--timeout", 60, *options)
            if told.returncode and "ask again" in told.stderr:
                return False
            equal(told.returncode, 0, told.stdout + told.stderr)
            return True

        poll(done, 60, f"replica {what}")

    def run(self, *words):
        door = f"{HOST}:{self.cluster.nodes[0].http[1]}"
        return run(*words, "--keyspace", "default", "--node-address", door)

    def give_snapshot(self, hook):
        """The node loses its copy, and is about to get another."""
        self.lead(self.cluster.nodes[0])
        self.order("remove", "--force")
        self.proxy.on_snapshot = hook
        self.order("add", "--no-wait")

    def lead(self, node):
        def leads():
            if self.cluster.leader() is node:
                return True
            self.run("replica", "transfer", "--node", node.status()["node"], "--timeout", 5)
            return False

        poll(leads, 60, f"{node} leads")

    def kill(self):
        """What it had then is kept."""
        self.node.kill()
        self.proxy.on_snapshot = None
        self.disk.heal()
        shutil.rmtree(self.keep, ignore_errors=True)
        shutil.copytree(self.node.data, self.keep)
        pathlib.Path(self.node.log_path()).write_text("", encoding="ascii")

    def restore(self):
        self.node.kill()
        shutil.rmtree(self.node.data)
        shutil.copytree(self.keep, self.node.data)

    def staged(self):
        return sorted(pathlib.Path(self.node.data, "engine").glob("*.install"))

    def begun(self):
        """The record that says that the install begins, if nothing says yet that it ended."""
        path = segments(pathlib.Path(self.node.data, "journal-0"))[-1]
        mine = [record for record in records(path) if record.group == GROUP]
        found = [r for r in mine if r.type in ("begin", "end", "reset")]
        return found[-1] if found and found[-1].type == "begin" else None

    def serves(self):
        """False: it ended by itself."""

        def decided():
            try:
                return not self.node.alive() or self.cluster.answers(self.node)
            except Failure:  # it ended between the two
                return True

        poll(decided, 30, "a decision")
        return self.node.alive()

    def settled(self):
        """The copy of the node votes, and nothing is left aside."""
        self.proxy.expect_no_trouble()
        self.cluster.expect_alive()
        told = self.run("replica", "list", "--json")
        if told.returncode != 0:
            return False
        members = json.loads(told.stdout)["members"]
        roles = [member["role"] for member in members if member["node"] == self.number]
        return roles == ["voter"] and not self.staged()

    def expect_right(self):
        """Through all three; last by the engine of the node itself, which leads for that."""
        poll(self.settled, 60, "the node has the snapshot")
        for node in self.cluster.nodes:
            read_everything(self.cluster, node)
        self.lead(self.node)
        read_everything(self.cluster, self.node)


# ------------------------------------------------------------------------ moments, node killed then


def while_staged(ward):
    """All but the last piece lie aside."""
    hold = _proxy.Hold(GROUP, lambda frame: frame.last)
    ward.give_snapshot(hold)
    expect(hold.reached.wait(60), "no snapshot came to its last piece")
    poll(ward.staged, 30, "a file lies aside")
    ward.kill()
    hold.release()


def ingesting(ward):
    """Files that the engine has under their own names, too."""
    return any(os.stat(path).st_nlink > 1 for path in ward.staged())


def let_install(ward):
    """With a disk so slow that a moment between two of its syncs can be caught."""
    hold = _proxy.Hold(GROUP, lambda frame: frame.last)
    ward.give_snapshot(hold)
    expect(hold.reached.wait(60), "no snapshot came to its last piece")
    poll(ward.staged, 30, "a file lies aside")
    ward.disk.set(sync_ms=SYNC_MS)
    hold.release()


def while_begun(ward):
    """The journal says that it begins; the engine writes the rest, and has taken in nothing."""
    let_install(ward)
    poll(lambda: ward.begun() and len(ward.staged()) > 2, 30, "the install begins")
    ward.kill()
    expect(not ingesting(ward) and ward.begun(), "killed too late")


def while_ingested(ward):
    """The engine has it; the journal does not say that it ended."""
    let_install(ward)
    poll(lambda: ingesting(ward), 30, "the engine takes it in")
    manifest = max(pathlib.Path(ward.node.data, "engine").glob("MANIFEST-*"))
    before = manifest.stat().st_size
    poll(lambda: manifest.stat().st_size > before, 30, "its manifest says so")
    ward.kill()
    expect(ward.begun(), "killed too late")


# ------------------------------------------------------------------------------------------- places


class Place:
    """A name, and what is done to the node that was killed."""

    def __init__(self, name, damage):
        self.name = name
        self.damage = damage


def staged_places(which):
    """Of this one of the files that lie aside, which are the same each time."""

    def flipped(part):
        def damage(ward):
            path = whole(ward)
            flip(path, dict(table_places(path))[part])

        return damage

    def whole(ward):
        """The engine may have died while it wrote the last."""
        return [path for path in ward.staged() if is_table(path)][which]

    name = "first staged file" if which == 0 else "last staged file"
    for part in TABLE_PARTS:
        yield Place(f"{name}, {part}: a bit flipped", flipped(part))
    yield Place(f"{name}: cut", lambda ward: halve(whole(ward)))
    yield Place(f"{name}: empty", lambda ward: os.truncate(whole(ward), 0))
    yield Place(f"{name}: deleted", lambda ward: whole(ward).unlink())


def halve(path):
    os.truncate(path, path.stat().st_size // 2)


def begin_places():
    """Of the record of the journal."""

    def flipped(at):
        return lambda ward: flip(ward.begun().path, ward.begun().offset + at)

    for field, at in RECORD_FIELDS:
        yield Place(f"begin record, {field}: a bit flipped", flipped(at))
    yield Place("begin record: cut off", lambda w: os.truncate(w.begun().path, w.begun().offset))


def ends_right(ward, moment, place, may_refuse):
    """Killed at a moment, damaged, started: refused naming the journal, and the same again, or the
    snapshot comes (again) and all is right. The others serve all the while."""
    moment(ward)
    place.damage(ward)
    node = ward.node
    verdict = "served"
    for _ in range(2):
        node.start()
        if ward.serves():
            break
        verdict = "refused"
        told = node.log()
        equal(node.process.returncode, REFUSED, last_lines(told))
        expect(may_refuse, f"what lies aside is to be thrown away: {last_lines(told)}")
        expect("serve:" in told and "journal" in told and "CHECK" not in told, last_lines(told))
        for other in ward.cluster.nodes[:2]:
            read_everything(ward.cluster, other)
    if verdict == "refused":
        print(f"  {last_lines(node.log(), 3)}")
        ward.restore()
        node.start()
    ward.expect_right()
    return verdict


# --------------------------------------------------------------------------------------- the stream


class Once:
    """Changes one frame of the snapshot, the first for which it is possible."""

    def __init__(self, change, wanted=lambda frame: frame.number == 3):
        self.change = change
        self.wanted = wanted
        self.done = False

    def __call__(self, frame):
        if not self.done and frame.group == GROUP and self.wanted(frame):
            self.done = True
            self.change(frame)


def flipped(name, at=None):
    return lambda frame: frame.flip(frame.at[name] if at is None else at)


def wrong_content(frame):
    """As of a sender whose memory is bad: only the piece's checksum sees it."""
    frame.flip(frame.at["content"])
    frame.make_frame_right()


def wrong_read(frame):
    """As of a sender that read something else: only the checksum of the whole sees it."""
    frame.flip(frame.at["content"])
    frame.make_piece_right()
    frame.make_frame_right()


def wrong_whole(name):
    def change(frame):
        frame.flip(frame.at[name])
        frame.make_frame_right()

    return change


BAD_FRAMES = "asterias_rpc_bad_frames_total"
NOT_TAKEN = "asterias_group_snapshots_refused_total"


def stream_places():
    """(name, hook, the counter that rises)"""
    for name, at in _proxy.FRAME_FIELDS:
        yield f"piece, {name} of the frame", Once(flipped(name, at)), BAD_FRAMES
    for name in ("group", "to", "term", "id", "kind", "number", "last", "content"):
        yield f"piece, {name}", Once(flipped(name)), BAD_FRAMES
    for name in ("id", "kind", "head"):
        hook = Once(flipped(name), lambda frame: frame.kind == _proxy.BEGIN)
        yield f"begin, {name}", hook, BAD_FRAMES
    for name in ("crc of the content", "pairs of all", "crc of all", "length of the content"):
        yield f"last piece, {name}", Once(flipped(name), is_last), BAD_FRAMES
    yield "content under a right frame", Once(wrong_content), NOT_TAKEN
    yield "content under a right frame and piece", Once(wrong_read), NOT_TAKEN
    for name in ("pairs of all", "crc of all"):
        yield f"{name} under a right frame", Once(wrong_whole(name), is_last), NOT_TAKEN


def is_last(frame):
    return frame.kind == _proxy.PIECE and bool(frame.last)


def stream_refused(ward, hook, counter):
    before = metric(ward.node, counter)
    ward.give_snapshot(hook)
    ward.expect_right()
    expect(hook.done, "the frame never came")
    ward.proxy.on_snapshot = None
    expect(metric(ward.node, counter) > before, f"{counter} did not rise")


# --------------------------------------------------------------------------------------------- main


def drawn(places, whole, prng):
    places = list(places)
    return places if whole else prng.sample(places, SAMPLE)


def damaged_files(ward, claims, whole, prng):
    count = {"served": 0, "refused": 0, "stopped": 0}
    for moment, places, may_refuse in (
        (while_staged, staged_places(0), False),
        (while_begun, staged_places(-1), False),
        (while_begun, begin_places(), True),
        (while_ingested, begin_places(), True),
    ):
        for place in drawn(places, whole, prng):
            with claims.claim(f"{moment.__name__}, {place.name}".replace("_", " ")):
                verdict = ends_right(ward, moment, place, may_refuse)
                count[verdict] += 1
                print(f"  {verdict}", flush=True)
    return count


def damaged_engine(ward, claims, whole, prng, count):
    """The node lost its copy before: all that it has of it came by the last snapshot."""
    patient = Patient(ward.cluster)
    for place in drawn(engine_places(pathlib.Path(patient.healthy)), whole, prng):
        with claims.claim(f"after the install, {place.name}"):
            verdict = judged(patient, place, read_everything)
            count[verdict] += 1
            print(f"  {verdict}", flush=True)
    with claims.claim(" ".join(stopped_is_named.__doc__.split())):
        stopped_is_named(ward, patient)


def stopped_is_named(ward, patient):
    """a copy that stopped on damage is named by every node; once its table is compacted, the node
    ends with the code that a supervisor heeds, again and again, naming the file"""
    places = engine_places(pathlib.Path(patient.healthy))
    place = next(place for place in places if place.name.startswith("largest table, a data block"))
    equal(judged(patient, place, read_everything), "stopped", place.name)
    for node in ward.cluster.nodes:
        told = run("why", "--node", f"{HOST}:{node.http[1]}").stdout
        for words in (f"node {ward.number}", "default", "stopped"):
            expect(words in told, f"no {words!r} in {told}")
    ward.lead(ward.cluster.nodes[0])
    ward.order("remove", "--force")
    ward.order("add", "--no-wait")
    for _ in range(2):
        equal(ward.node.process.wait(60), REFUSED, last_lines(ward.node.log()))
        told = ward.node.log()
        expect(".sst" in told and "does not help" in told, last_lines(told))
        pathlib.Path(ward.node.log_path()).write_text("", encoding="ascii")
        ward.node.start()
    ward.node.kill()
    for node in ward.cluster.nodes[:2]:
        read_everything(ward.cluster, node)


def main():
    whole = sys.argv[1:] == ["all"]
    claims = Claims()
    prng = random.Random(SEED)
    cluster = Cluster(options=["--memtable-mib", "1"])
    proxy = _proxy.Proxy(cluster.nodes[2].peer)
    redirect = _proxy.build(cluster.directory)
    disk = _disk.Disk(
        _disk.build(cluster.directory), f"{cluster.directory}/disk", cluster.nodes[2].data
    )
    for node in cluster.nodes[:2]:
        node.prefix = proxy.prefix(redirect)
    cluster.nodes[2].prefix = disk.prefix()
    with cluster:
        write_everything(cluster)
        ward = Ward(cluster, proxy, disk)
        count = damaged_files(ward, claims, whole, prng)
        streams = drawn(stream_places(), whole, prng)
        for name, hook, counter in streams:
            with claims.claim(f"stream, {name}: refused and counted, and it ends right"):
                stream_refused(ward, hook, counter)
        damaged_engine(ward, claims, whole, prng, count)
        print(
            f"  pass: {sum(count.values())} places of files, "
            + ", ".join(f"{n} {v}" for v, n in count.items())
            + f"; {len(streams)} of the stream"
        )
    proxy.close()
    claims.end()


if __name__ == "__main__":
    main()
