"""Rows of the Redis door: what TLS costs on it (`tls`), and what an idle connection does
(`connections`). One durable node of each system, Redis with appendfsync always."""
import os
import time

from _idle import Idle, allow_descriptors, pss, refusal
from systems import Redis, certificate, trusting

IDLE = 10_000
# maxclients of 10,000 with handshakes beside it, of what 2,048 for files leave of the descriptors
# (docs/limits.md).
DESCRIPTORS = 16_384
READ_KEYS = 10_000
NEW_CONNECTIONS = 3_000

LOADS = [  # mode, clients, pipeline
    ("set", 50, 1),
    ("set", 256, 1),
    ("get", 50, 1),
    ("get", 256, 1),
    ("set", 50, 16),
    ("get", 50, 16),
]


def both(plain, over_tls, unit):
    return unit.format(plain) + " -> " + unit.format(over_tls)


def pair_row(bench, what, figures, key, unit="{:.0f}"):
    """`figures`: of ours plain, ours over TLS, the peer plain, the peer over TLS."""
    ours, ours_tls, peer, peer_tls = [f and f.get(key) for f in figures]
    bench.table.cells(
        what,
        both(ours, ours_tls, unit) if ours is not None else "-",
        both(peer, peer_tls, unit),
        "%.2f" % (ours_tls / peer_tls) if ours_tls is not None and peer_tls else "-",
        "-",
        "-",
    )


def tls(bench):
    """Plain -> TLS, of ours and of the peer; the ratio is of the two over TLS."""
    name = certificate(os.path.join(bench.directory, "tls"))
    systems = [
        bench.node(),
        bench.node(name),
        bench.make(Redis, 0),
        bench.make(Redis, 0, name),
    ]
    with bench.running(*systems):
        for system in filter(None, systems):
            bench.load(system, "fill", 64, seconds=60, keys=READ_KEYS)
        for mode, clients, pipeline in LOADS:
            figures = bench.alternate(
                *[
                    s
                    and (lambda s=s: bench.load(s, mode, clients, None, None, READ_KEYS, pipeline))
                    for s in systems
                ]
            )
            what = "%s, %d clients, -P %d, plain -> TLS" % (mode.upper(), clients, pipeline)
            pair_row(bench, what + ", per second (peer: one Redis)", figures, "per_second")
            pair_row(bench, what + ", CPU us each", figures, "cpu_us", "{:.1f}")
            pair_row(bench, what + ", p50 us", figures, "p50_us")
        new = [
            s
            and (lambda s=s: bench.redis_benchmark(s, 50, 1, NEW_CONNECTIONS, "ping_mbulk", False))
            for s in systems
        ]
        figures = bench.alternate(*new)
        what = "new connections with one PING each, plain -> TLS"
        pair_row(bench, what + ", per second (peer: one Redis)", figures, "per_second")
        pair_row(bench, what + ", CPU us each", figures, "cpu_us")


def settled(pid):
    """pss(), once it has stopped growing, at most ten seconds later: what was begun has ended."""
    last, deadline = pss(pid), time.monotonic() + 10
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = pss(pid)
        if abs(now - last) < 64 << 10:
            return now
        last = now
    return last


def idle(bench, system, over_tls):
    """Bytes each, of so many connections that were answered a PING; what one more is told."""
    address = ("127.0.0.1", system.ports[0])
    (pid,) = system.pids()
    before = settled(pid)
    with Idle(address, trusting() if over_tls else None) as links:
        links.open(IDLE)
        after = settled(pid)
        held = len(links.held) - links.lost()
        if held < IDLE:
            why = ", ".join(sorted(set(links.refused))[:3])
            raise RuntimeError("%s holds %d of %d: %s" % (system.name, held, IDLE, why))
        more = None if over_tls else refusal(address).decode("latin-1").strip()
    figures = {"kib": (after - before) / IDLE / 1024, "more": more}
    bench.raw.append(dict(figures, system=system.name, mode="idle", connections=IDLE))
    return figures


def connections(bench):
    """As the nodes start by themselves: 10,000 is `maxclients` of both."""
    allowed = allow_descriptors()
    what = "%d idle connections, KiB of memory (PSS) each" % IDLE
    if allowed < DESCRIPTORS:
        why = "%d descriptors at most, %d are wanted (ulimit -Hn)" % (allowed, DESCRIPTORS)
        return bench.table.missing(what, "-", why)
    name = certificate(os.path.join(bench.directory, "idle"))
    for over_tls, text in ((False, " (peer: Redis)"), (True, ", over TLS (peer: Redis)")):
        given = [name] if over_tls else []
        seen = []
        for system in (bench.node(*given), bench.make(Redis, 0, *given)):
            with bench.running(system):
                seen.append(system and idle(bench, system, over_tls))
        bench.table.compare(what + text, seen[0], seen[1], "kib", unit="{:.1f}")
        if over_tls or not seen[0]:
            continue
        ours, peer = (figures["more"] or "nothing" for figures in seen)
        verdict = "ok" if ours == peer else "MISSED"
        bench.table.cells("  what one more is told", ours, peer, "-", "the same", verdict)
