"""The menu of tests/chaos.py: what can befall a cluster of real processes. A fault is a context: it
begins, says in words what it did, and heals at its end. It counts as hit only if something came of
it: packets vanished, syncs waited, a process ended."""
import contextlib
import dataclasses
import threading
import time
import typing

from _cluster import kill_together, last_lines
from _load import NEVER_HAPPENED, answer_probes, late_probes
from _resp import Error
from _sandbox import MIB, Unavailable
from _tap import Failure, expect, poll

BULK = "b" * MIB
BULK_KEYS, BULK_MIB = 8, 160  # more than a journal holds in the segments that it has prepared
LEAVE = 2 * MIB  # on a disk that is full

# What the program promises and does not do yet, finding: why. Such a finding is counted and told,
# and fails the run only with --strict.
NOT_YET = {}


class Arena:
    """A cluster, and everything around it that can be made to fail."""

    def __init__(self, cluster, network, disks, volumes, prng, strict):
        self.cluster = cluster
        self.network = network
        self.disks = disks
        self.volumes = volumes
        self.prng = prng
        self.strict = strict
        self.load = None  # of this round
        self.busy = set()  # nodes that something happens to in this stage
        self.mortal = set()  # nodes that may end by themselves
        self.gaps = {}  # finding of NOT_YET: how often
        self.trouble = []  # of background threads
        self.longest_stop = 0  # seconds

    def candidates(self):
        return [node for node in self.cluster.running() if node not in self.busy]

    def take(self, node):
        self.busy.add(node)
        return node

    def one(self):
        return self.take(self.prng.choice(self.candidates()))

    def holders(self):
        """Candidates with a replica of a keyspace that is written to: not every node has one."""

        def holds(node):
            groups = (node.status() or {}).get("groups", [])
            return any(group["keyspace"] != "system" for group in groups)

        return [node for node in self.candidates() if holds(node)]

    def holder(self):
        return self.take(self.prng.choice(self.holders() or self.candidates()))

    def leader(self):
        """Of one of the keyspaces; anybody, if there is none now."""
        name = self.prng.choice(["default", *self.cluster.keyspaces])
        try:
            leader = self.cluster.leader(name, 5)
        except Failure:
            return self.holder()
        return self.take(leader) if leader not in self.busy else self.holder()

    def most(self):
        nodes = self.candidates()
        chosen = self.prng.sample(nodes, min(len(nodes), len(self.cluster.nodes) // 2 + 1))
        self.busy.update(chosen)
        return chosen

    def others(self, node):
        return [other for other in self.cluster.nodes if other is not node]

    def finding(self, name, holds):
        if holds:
            return
        expect(not self.strict, name)
        expect(name in NOT_YET, name)
        self.gaps[name] = self.gaps.get(name, 0) + 1

    @staticmethod
    def revive(*nodes):
        """Those that another fault has not started already."""
        for node in nodes:
            if not node.alive():
                node.kill()
                node.start()

    def heal(self):
        """Everything, also what a fault that failed has left behind."""
        self.network.heal()
        for disk, volume in zip(self.disks, self.volumes):
            disk.heal()
            volume.clear()
        for node in self.cluster.nodes:
            if node.stopped:
                node.carry_on()
            if node.process is None or node in self.mortal:
                self.revive(node)
        self.busy.clear()
        self.mortal.clear()
        self.cluster.expect_alive()
        expect(not self.trouble, f"{self.trouble[:1]}")

    @contextlib.contextmanager
    def meanwhile(self, step):
        """Calls step() again and again in the background; it waits by the event it is given."""
        halt = threading.Event()

        def work():
            try:
                while not halt.is_set():
                    step(halt)
            except (OSError, Unavailable) as error:
                self.trouble.append(str(error))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            halt.set()
            thread.join(30)


@dataclasses.dataclass
class Fault:
    name: str
    make: typing.Callable
    minority: bool = True  # the others have to go on
    evidence: typing.Callable = None  # of the arena: a number that must grow
    alone: bool = False  # with no other fault at once
    longest: float = 6.0  # seconds

    @contextlib.contextmanager
    def befall(self, arena, hits):
        before = self.evidence(arena) if self.evidence else 0
        with self.make(arena) as told:
            yield told
            after = self.evidence(arena) if self.evidence else 1
        hits[self.name] += after > before


MENU = {}


def fault(name, **keywords):
    def register(function):
        MENU[name] = Fault(name, contextlib.contextmanager(function), **keywords)
        return function

    return register


def variants(**named):
    """Registers the function once for each name, with `who` bound to the Arena's method."""

    def register(function):
        for name, (who, keywords) in named.items():

            def bound(arena, who=who):
                yield from function(arena, getattr(arena, who)())

            fault(name, **keywords)(bound)
        return function

    return register


def packets(arena):
    return arena.network.dropped()


def delays(arena):
    return sum(disk.met()[0] for disk in arena.disks)


# --------------------------------------------------------------------------------------- processes


@variants(kill_one=("one", {}), kill_leader=("leader", {}))
def kill(arena, node):
    node.kill()
    yield f"kill -9 of {node}"
    arena.revive(node)


@fault("kill_most", minority=False)
def kill_most(arena):
    victims = arena.most()
    kill_together(victims)
    yield f"kill -9 of {', '.join(map(str, victims))}"
    arena.revive(*victims)


@fault("kill_all", minority=False)
def kill_all(arena):
    kill_together([node for node in arena.cluster.nodes if node.process])
    arena.revive(*arena.cluster.nodes)
    yield "kill -9 of all, and their start"


@fault("crash_loop")
def crash_loop(arena):
    node = arena.leader()
    node.kill()
    node.start()
    node.kill_while_starting(arena.prng)
    yield f"kill -9 of {node} six times, in its start"


@fault("drain_leader")
def drain_leader(arena):
    node = arena.leader()
    code = node.terminate(20)
    expect(code == 0, f"{node} ended with {code} after SIGTERM")
    yield f"SIGTERM to {node}, the leader"
    arena.revive(node)


@variants(stop_one=("one", {"longest": 30.0}), stop_leader=("leader", {"longest": 30.0}))
def stop(arena, node):
    begun = time.monotonic()
    node.stop()
    yield f"SIGSTOP of {node}"
    load = arena.load
    probes = []
    with contextlib.suppress(ConnectionRefusedError):  # it was stopped before its door was open
        probes = late_probes(load.history, load.keys_of(load.epoch()), node.resp, load.round)
    node.carry_on()
    answer_probes(probes)
    seconds = time.monotonic() - begun
    arena.longest_stop = max(arena.longest_stop, seconds)
    print(f"    {node} was stopped for {seconds:.1f} s", flush=True)


@fault("stop_most", minority=False)
def stop_most(arena):
    victims = arena.most()
    for node in victims:
        node.stop()
    yield f"SIGSTOP of {', '.join(map(str, victims))}"
    for node in victims:
        node.carry_on()


# ------------------------------------------------------------------------------------------- links


def isolate(arena, node, share=1):
    for other in arena.others(node):
        arena.network.cut(node.index, other.index, share)


@variants(
    cut_one=("one", {"evidence": packets}),
    cut_leader=("leader", {"evidence": packets, "longest": 12.0}),
)
def cut(arena, node):
    isolate(arena, node)
    yield f"cut {node} off the others, not off its clients"
    isolate(arena, node, 0)


@variants(deaf_leader=("leader", {"evidence": packets}))
def deaf(arena, node):
    for other in arena.others(node):
        arena.network.lose(other.index, node.index, 1)
    yield f"{node} hears nobody"
    isolate(arena, node, 0)


@variants(mute_leader=("leader", {"evidence": packets}))
def mute(arena, node):
    for other in arena.others(node):
        arena.network.lose(node.index, other.index, 1)
    yield f"nobody hears {node}"
    isolate(arena, node, 0)


@variants(partial_cut=("leader", {"evidence": packets}))
def partial_cut(arena, node):
    other = arena.prng.choice(arena.others(node))
    arena.network.cut(node.index, other.index)
    yield f"cut between {node} and {other}, the rest sees both"
    arena.network.cut(node.index, other.index, 0)


@fault("shattered", minority=False, evidence=packets)
def shattered(arena):
    for node in arena.cluster.nodes:
        isolate(arena, node)
    yield "every node alone"
    for node in arena.cluster.nodes:
        isolate(arena, node, 0)


@variants(unplugged=("leader", {}))
def unplugged(arena, node):
    arena.network.unplug(node.index)
    yield f"no link to {node} at all, its clients included"
    arena.network.heal()


@variants(flapping=("leader", {"evidence": packets}))
def flapping(arena, node):
    def step(halt):
        isolate(arena, node)
        halt.wait(arena.prng.uniform(0.02, 0.6))
        isolate(arena, node, 0)
        halt.wait(arena.prng.uniform(0.02, 0.6))

    with arena.meanwhile(step):
        yield f"the link of {node} flaps"


@fault("swizzle", minority=False, evidence=packets)
def swizzle(arena):
    """Links stop one by one and come back in another order."""
    nodes = arena.cluster.nodes

    def step(halt):
        for share in (1, 0):
            for node in arena.prng.sample(nodes, len(nodes)):
                isolate(arena, node, share)
                halt.wait(arena.prng.uniform(0.05, 0.4))

    with arena.meanwhile(step):
        yield "links stop one by one and come back in another order"
    for node in nodes:
        isolate(arena, node, 0)


@fault("lossy", evidence=packets)
def lossy(arena):
    share = arena.prng.choice((0.01, 0.05, 0.1))
    for node in arena.cluster.nodes:
        isolate(arena, node, share)
    yield f"every link loses {share * 100:g} % of the packets"
    for node in arena.cluster.nodes:
        isolate(arena, node, 0)


@variants(very_lossy=("leader", {"evidence": packets}))
def very_lossy(arena, node):
    isolate(arena, node, 0.3)
    yield f"the link of {node} loses 30 % of the packets"
    isolate(arena, node, 0)


@variants(slow_link=("leader", {}), slow_link_one=("one", {}))
def slow_link(arena, node):
    kbit = arena.prng.choice((256, 1000, 4000))
    arena.network.slow(node.index, kbit)
    yield f"{node} sends {kbit} kbit/s"
    arena.network.heal()


@variants(resets=("one", {}))
def resets(arena, node):
    def step(halt):
        arena.network.reset(node.index)
        halt.wait(arena.prng.uniform(0.01, 0.3))

    with arena.meanwhile(step):
        yield f"the connections of {node} to the others are reset"


# ------------------------------------------------------------------------------------------- disks


@variants(
    slow_disk=("leader", {"evidence": delays}), slow_disk_one=("holder", {"evidence": delays})
)
def slow_disk(arena, node):
    ms = arena.prng.choice((10, 50, 200))
    arena.disks[node.index].set(sync_ms=ms, write_ms=ms // 10)
    yield f"a sync of {node} takes {ms} ms more"
    arena.disks[node.index].heal()


@fault("too_slow_disk", evidence=delays, alone=True)
def too_slow_disk(arena):
    """Slower than half an election timeout, and nobody else's is."""
    leader = arena.take(arena.cluster.leader("default"))
    arena.disks[leader.index].set(sync_ms=450)
    poll(lambda: arena.cluster.leader("default") is not leader, 10, "a slow leader hands over")
    yield f"a sync of {leader} takes 450 ms more; it does not lead any more"
    arena.disks[leader.index].heal()


@fault("slow_disks", minority=False, evidence=delays)
def slow_disks(arena):
    for disk in arena.disks:
        disk.set(sync_ms=arena.prng.choice((10, 50, 200)))
    yield "every sync is slow"
    for disk in arena.disks:
        disk.heal()


@variants(
    hung_disk=("leader", {"evidence": delays, "longest": 15.0}),
    hung_disk_one=("holder", {"evidence": delays}),
)
def hung_disk(arena, node):
    arena.mortal.add(node)  # stuck for too long it may end
    arena.disks[node.index].set(sync_ms=60_000)
    yield f"a sync of {node} does not come back"
    arena.disks[node.index].heal()


def failing(arena, node, **how):
    """A node whose disk has failed ends, without a word about what it could not sync."""
    arena.mortal.add(node)
    disk = arena.disks[node.index]
    disk.set(**how)
    try:
        poll(lambda: not node.alive(), 30, f"{node} ends after its disk has failed")
    except Failure as error:
        views = [(str(other), other.status()) for other in arena.cluster.running()]
        raise Failure(f"{error}; it met {disk.met()[1]} errors; {views}") from error
    expect(disk.met()[1] > 0, f"{node} ended before its disk failed: {last_lines(node.log())}")
    expect(node.process.returncode > 0, f"{node} ended with {node.process.returncode}")
    yield f"{node} ended with {node.process.returncode} after EIO ({', '.join(how)})"
    disk.heal()
    arena.revive(node)


@variants(failed_sync=("leader", {"alone": True}), failed_sync_one=("holder", {"alone": True}))
def failed_sync(arena, node):
    yield from failing(arena, node, sync_fails=True)


@variants(failed_write=("leader", {"alone": True}))
def failed_write(arena, node):
    yield from failing(arena, node, write_fails=True)


# --------------------------------------------------------------------------------------- full disks


def attempt(node, *words):
    """(reply, None), or (None, the error in words)."""
    try:
        with node.resp_client(8.0) as client:
            return client.call(*words), None
    except (OSError, Error) as error:
        return None, str(error)


def write_bulk(arena, nodes):
    """Until the disks that are full must have noticed, or nobody takes it any more: (MiB, the
    errors of the end)."""
    done, errors = 0, []
    while done < BULK_MIB and len(errors) < 3 and all(node.alive() for node in nodes):
        through = arena.prng.choice(arena.cluster.running())
        _, error = attempt(through, "SET", f"bulk{done % BULK_KEYS}", BULK)
        done += error is None
        errors = [*errors, error] if error else []
    return done, errors


def full_disk(arena, nodes):
    """Fills, then writes until it hurts. What must hold then is asked by whoever calls."""
    for node in arena.cluster.running():  # an earlier fault may have just started one again
        poll(lambda: attempt(node, "SET", "before", "1")[0] == "OK", 40, f"{node} takes writes")
    for node in nodes:
        arena.mortal.add(node)
        volume = arena.volumes[node.index]
        volume.fill(LEAVE)
        expect(volume.free() <= 2 * LEAVE, f"{volume.free()} bytes are free")
    return write_bulk(arena, nodes)


def clear_disks(arena, nodes):
    """By itself: whoever is alive stays the same process."""
    for node in nodes:
        arena.volumes[node.index].clear()
        arena.finding("full disk: the node stays up", node.alive())
        arena.revive(node)
        arena.mortal.discard(node)
    for node in nodes:
        poll(lambda: attempt(node, "SET", "cleared", "1")[0] == "OK", 40, f"{node} takes writes")
    for at in range(BULK_KEYS):
        attempt(nodes[0], "DEL", f"bulk{at}")


@fault("full_follower", alone=True)
def full_follower(arena):
    leader = arena.leader()
    node = arena.prng.choice([other for other in arena.holders() if other is not leader])
    done, _ = full_disk(arena, [node])
    if node.alive():
        poll(lambda: attempt(node, "GET", "ready")[1] is None, 20, f"a read through full {node}")
    yield f"the disk of {node} is full; {done} MiB written since"
    clear_disks(arena, [node])


@fault("full_leader", alone=True)
def full_leader(arena):
    name = "default"
    leader = arena.take(arena.cluster.leader(name))
    done, _ = full_disk(arena, [leader])
    poll(lambda: arena.cluster.leader(name) is not leader, 5, "a full leader hands over")
    yield f"the disk of {leader}, the leader, is full; {done} MiB written since"
    clear_disks(arena, [leader])


@fault("full_everywhere", minority=False, alone=True)
def full_everywhere(arena):
    nodes = arena.cluster.nodes
    attempt(nodes[0], "SET", "spare", "1")
    done, errors = full_disk(arena, nodes)
    print(f"    writes ended with {errors[-1:]}", flush=True)
    refused = errors and all(error.split()[0] in NEVER_HAPPENED for error in errors)
    arena.finding(
        "full disk: writes are refused, and certainly so, where every disk is full", refused
    )
    answers = [attempt(node, "GET", "spare")[1] for node in nodes if node.alive()]
    deleted = attempt(nodes[0], "DEL", "spare")[1]
    good = len(answers) == len(nodes) and not any(answers) and deleted is None
    arena.finding("full disk: reads and deletes go on where every disk is full", good)
    yield f"every disk is full; {done} MiB written since"
    clear_disks(arena, nodes)
