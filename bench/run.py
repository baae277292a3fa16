#!/usr/bin/python3
"""Measures Asterias beside its peers and prints the figures of the blueprint as a table.

    bench/run.py [--rows LIST] [--runs N] [--seconds S] [--asterias CMD]

CMD starts a cluster, with {nodes}, {data} and {port} filled in; by default `asterias dev` of the
release build. Node i's RESP door is expected at {port} + i * --port-step.

Rows: etcd replicated pipeline hotkey single leader failover idle build floor.
Each figure is the median of --runs runs that alternate between the systems on one machine, the load
generator beside them; under 20 % difference is a tie. Peers: etcd, Redis (Debian packages). All
clusters live on loopback, data on the disk of --directory, every node syncs before it acknowledges.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from processes import cpu_seconds, pss_mib  # noqa: E402
from systems import Asterias, Etcd, Floor, Redis  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
READ_KEYS = 10_000


class Bench:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.rows, self.raw, self.made, self.seed = [], [], 0, 0

    # -- systems ------------------------------------------------------------------------------
    def make(self, kind, *args):
        self.made += 1
        return kind(os.path.join(self.directory, "s%d" % self.made), *args)

    def asterias(self, nodes):
        if not self.options.asterias:
            return None
        return self.make(Asterias, self.options.asterias, nodes, self.options.port_step)

    @contextlib.contextmanager
    def running(self, *systems):
        """Starts what is not None; stops it and deletes its data at the end."""
        systems = [s for s in systems if s]
        try:
            for s in systems:
                s.start()
            yield
        finally:
            for s in systems:
                s.stop()
                shutil.rmtree(s.directory, ignore_errors=True)

    # -- one measurement ----------------------------------------------------------------------
    def load(self, system, mode, clients, seconds=None, nodes=None, keys=100_000):
        """One run of the generator: its figures, and cpu_us, the servers' CPU per operation."""
        seconds = seconds or self.options.seconds
        self.seed += 1
        command = [
            self.options.load,
            "--protocol",
            system.protocol,
            "--endpoints",
            system.endpoints(nodes),
            "--mode",
            mode,
            "--connections",
            str(clients),
            "--seconds",
            str(seconds),
            "--value-bytes",
            "256",
            "--keys",
            str(keys),
            "--seed",
            str(self.seed),
        ]
        pids = system.pids()
        before = cpu_seconds(pids)
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
        if not done.stdout:
            raise RuntimeError("%s %s: %s" % (system.name, mode, done.stderr.strip()))
        figures = json.loads(done.stdout)
        alive = [p for p in pids if os.path.exists("/proc/%d" % p)]
        if alive == pids:
            figures["cpu_us"] = (cpu_seconds(pids) - before) * 1e6 / max(figures["acknowledged"], 1)
        if figures["failed"]:
            print(
                "note: %s, %s, %d clients: %d failed (%s)"
                % (system.name, mode, clients, figures["failed"], figures["first_failure"]),
                file=sys.stderr,
            )
        self.raw.append(dict(figures, system=system.name, mode=mode, clients=clients))
        return figures

    def redis_benchmark(self, system, clients, pipeline, count):
        command = [
            "redis-benchmark",
            "-h",
            "127.0.0.1",
            "-p",
            str(system.ports[0]),
            "-c",
            str(clients),
            "-P",
            str(pipeline),
            "-r",
            "1000000",
            "-n",
            str(count),
            "-d",
            "256",
            "-t",
            "set",
            "--csv",
        ]
        out = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
        rate = re.search(r'^"SET","([0-9.]+)"', out, re.M)
        if not rate:
            raise RuntimeError("redis-benchmark: " + out[-300:])
        self.raw.append(
            {
                "system": system.name,
                "mode": "redis-benchmark",
                "clients": clients,
                "pipeline": pipeline,
                "per_second": float(rate.group(1)),
            }
        )
        return {"per_second": float(rate.group(1))}

    def alternate(self, *measurements):
        """Median figures of each callable (None stays None), run in turn."""
        seen = [[] for _ in measurements]
        for _ in range(self.options.runs):
            for i, measure in enumerate(measurements):
                if measure:
                    seen[i].append(measure())
        return [
            {
                key: statistics.median(r[key] for r in runs)
                for key, value in runs[0].items()
                if isinstance(value, (int, float)) and all(key in r for r in runs)
            }
            if runs
            else None
            for runs in seen
        ]

    # -- the table ----------------------------------------------------------------------------
    def row(self, what, ours, peer, ratio, figure, good, unit="{:.0f}"):
        show = lambda v: "-" if v is None else unit.format(v)  # noqa: E731
        verdict = "-" if good is None else "ok" if good else "MISSED"
        self.rows.append(
            [
                what,
                show(ours),
                show(peer),
                "-" if ratio is None else "%.2f" % ratio,
                figure,
                verdict,
            ]
        )
        print("  ".join(self.rows[-1]), flush=True)

    def compare(self, what, ours, peer, key, least=None, most=None, unit="{:.0f}"):
        a, b = ours and ours.get(key), peer and peer.get(key)
        ratio = a / b if a is not None and b else None
        good = None if ratio is None else ratio >= least if least is not None else ratio <= most
        self.row(
            what,
            a,
            b,
            ratio,
            ">= %gx" % least if least is not None else "<= %gx" % most,
            good,
            unit,
        )

    def absolute(self, what, ours, peer, figure, least=None, most=None, unit="{:.0f}"):
        good = None if ours is None else ours >= least if least is not None else ours <= most
        ratio = ours / (least if least is not None else most) if ours is not None else None
        self.row(what, ours, peer, ratio, figure, good, unit)

    # -- groups of rows -----------------------------------------------------------------------
    def group_etcd(self):
        ours, etcd = self.asterias(3), self.make(Etcd)
        with self.running(ours, etcd):
            run = lambda s, *a, **k: (lambda: self.load(s, *a, **k)) if s else None  # noqa: E731
            for clients in (64, 256):
                a, b = self.alternate(run(ours, "set", clients), run(etcd, "set", clients))
                self.compare(
                    "writes/s, %d clients, against etcd" % clients, a, b, "per_second", least=4
                )
            self.absolute(
                "CPU us per write, 3 nodes, 256 clients (peer: etcd)",
                a and a["cpu_us"],
                b["cpu_us"],
                "<= 35",
                most=35,
                unit="{:.1f}",
            )
            a, b = self.alternate(run(ours, "set", 256, nodes=1), run(etcd, "set", 256, nodes=1))
            self.absolute(
                "  the same, all clients at one node",
                a and a["cpu_us"],
                b["cpu_us"],
                "<= 35",
                most=35,
                unit="{:.1f}",
            )
            a, b = self.alternate(run(ours, "set", 1), run(etcd, "set", 1))
            self.compare("one client, p50 us of a write, against etcd", a, b, "p50_us", most=0.5)
            for s in (ours, etcd):
                if s:
                    self.load(s, "fill", 64, seconds=60, keys=READ_KEYS)
            a, b = self.alternate(
                run(ours, "get", 64, keys=READ_KEYS), run(etcd, "get", 64, keys=READ_KEYS)
            )
            self.compare(
                "linearizable reads/s, 64 clients, against etcd", a, b, "per_second", least=8
            )

    def group_replicated(self):
        ours, redis = self.asterias(3), self.make(Redis, 2)
        with self.running(ours, redis):
            for clients in (50, 256):
                a, b = self.alternate(
                    ours and (lambda: self.load(ours, "set", clients)),
                    lambda: self.load(redis, "set-wait", clients),
                )
                self.compare(
                    "writes/s, %d clients, against Redis 1+2 WAIT 1" % clients,
                    a,
                    b,
                    "per_second",
                    least=1.2,
                )
            a, b = self.alternate(
                ours and (lambda: self.load(ours, "set", 1)),
                lambda: self.load(redis, "set-wait", 1),
            )
            self.row(
                "one client, p50 us of a write (peer: Redis 1+2 WAIT 1)",
                a and a["p50_us"],
                b["p50_us"],
                a["p50_us"] / b["p50_us"] if a else None,
                "-",
                None,
            )

    def group_pipeline(self):
        ours = self.asterias(3)
        with self.running(ours):
            (a,) = self.alternate(ours and (lambda: self.redis_benchmark(ours, 50, 16, 500_000)))
            self.absolute(
                "redis-benchmark -P 16 -r 1000000 SET/s, 3 nodes",
                a and a["per_second"],
                None,
                ">= 100000",
                least=100_000,
            )

    def group_hotkey(self):
        ours, redis = self.asterias(3), self.make(Redis, 0)
        with self.running(ours, redis):
            a, b = self.alternate(
                ours and (lambda: self.load(ours, "incr-hot", 50)),
                lambda: self.load(redis, "incr-hot", 50),
            )
            self.absolute(
                "INCR/s of one key, 50 clients, 3 nodes (peer: one Redis)",
                a and a["per_second"],
                b["per_second"],
                ">= 30000",
                least=30_000,
            )

    def group_single(self):
        ours, redis = self.asterias(1), self.make(Redis, 0)
        with self.running(ours, redis):
            for pipeline, count, least in ((1, 200_000, 1.0), (16, 1_000_000, 0.6)):
                a, b = self.alternate(
                    *[
                        s and (lambda s=s: self.redis_benchmark(s, 50, pipeline, count))
                        for s in (ours, redis)
                    ]
                )
                self.compare(
                    "one durable node, redis-benchmark SET/s, 50 clients, -P %d" % pipeline,
                    a,
                    b,
                    "per_second",
                    least=least,
                )

    def gap(self, system):
        """The longest time without an acknowledged write around the leader's kill -9, in ms."""
        with self.running(system):
            leader = system.leader()
            if leader is None:
                raise RuntimeError("%s: not exactly one node says that it leads" % system.name)
            pid = system.node_pid(leader)
            if pid is None or pid == system.node_pid((leader + 1) % 3):
                raise RuntimeError("the nodes of %s are not processes of their own" % system.name)
            threading.Timer(2.5, os.kill, (pid, 9)).start()
            return {"gap": self.load(system, "set", 16, seconds=8)["longest_gap_ms"]}

    def group_leader(self):
        ours = self.options.asterias and (lambda: self.gap(self.asterias(3)))
        a, b = self.alternate(ours, lambda: self.gap(self.make(Etcd)))
        self.compare("leader killed, longest gap in writes ms, against etcd", a, b, "gap", most=0.6)

    def idle(self, system):
        with self.running(system):
            time.sleep(3)
            pids, begin = system.pids(), time.monotonic()
            before = cpu_seconds(pids)
            time.sleep(10)
            percent = 100 * (cpu_seconds(pids) - before) / (time.monotonic() - begin)
            return {"pss": pss_mib(pids), "cpu": percent, "ready": system.ready_seconds}

    def group_idle(self):
        ours, peer = self.asterias(1), self.make(Redis, 0)
        a, b = ours and self.idle(ours), self.idle(peer)
        get = lambda key: a and a[key]  # noqa: E731
        self.absolute(
            "one idle node, PSS MiB (peer: Redis)",
            get("pss"),
            b["pss"],
            "<= 25",
            most=25,
            unit="{:.1f}",
        )
        self.absolute(
            "one idle node, % of a core", get("cpu"), b["cpu"], "<= 1", most=1, unit="{:.2f}"
        )
        self.absolute(
            "one node, ready after s", get("ready"), b["ready"], "< 1", most=1, unit="{:.2f}"
        )
        three, etcd = self.asterias(3), self.make(Etcd)
        a, b = three and self.idle(three), self.idle(etcd)
        self.absolute(
            "three nodes, ready after s (peer: etcd)",
            get("ready"),
            b["ready"],
            "< 2",
            most=2,
            unit="{:.2f}",
        )

    def build(self, directory, *targets, fresh=False):
        begin = time.monotonic()
        if fresh:
            subprocess.run(
                [
                    "cmake",
                    "-S",
                    ROOT,
                    "-B",
                    directory,
                    "-G",
                    "Ninja",
                    "-DCMAKE_C_COMPILER=clang-19",
                    "-DCMAKE_CXX_COMPILER=clang++-19",
                    "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                ],
                check=True,
                stdout=subprocess.DEVNULL,
                timeout=600,
            )
        subprocess.run(
            ["cmake", "--build", directory, *targets],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=3600,
        )
        return time.monotonic() - begin

    def group_build(self):
        directory = os.path.join(self.directory, "build")
        fresh = self.build(directory, fresh=True)  # no ccache: the launcher comes with the presets
        self.absolute("fresh build, minutes", fresh / 60, None, "<= 15", most=15, unit="{:.1f}")
        os.utime(os.path.join(ROOT, "src/base/bytes.cc"))
        self.absolute(
            "touch one .cc and relink, s",
            self.build(directory),
            None,
            "<= 20",
            most=20,
            unit="{:.1f}",
        )

    def group_failover(self):
        """In namespaces of its own, so in a process of its own."""
        out = os.path.join(self.directory, "failover.json")
        command = [sys.executable, os.path.join(ROOT, "bench/failover.py"), "--json", out]
        runs = ["--runs", str(self.options.runs)]
        subprocess.run(command + runs, check=False, timeout=60 + 120 * self.options.runs)
        with open(out) as f:
            data = json.load(f)
        self.raw.append({"failover": data})
        for what, ours, _, peer, _, ratio, aim, verdict in data["rows"]:
            self.rows.append([what, ours, peer, ratio, aim, verdict])

    def group_floor(self):
        if not self.options.floor or not self.options.asterias:
            return self.row(
                "one client, write against bench/floor", None, None, None, "<= 1.35x", None
            )
        ours = self.asterias(3)
        floor = self.make(Floor, self.options.floor)
        with self.running(ours, floor):
            # Like with like: the floor's first port is its leader's.
            ours.ports.insert(0, ours.ports.pop(ours.leader() or 0))
            a, b = self.alternate(
                lambda: self.load(ours, "set", 1), lambda: self.load(floor, "set", 1)
            )
            self.compare(
                "one client, p50 us of a write, against bench/floor", a, b, "p50_us", most=1.35
            )


GROUPS = "etcd replicated pipeline hotkey single leader failover idle build floor".split()


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((l.split(":")[1].strip() for l in f if l.startswith("model name")), "?")
    load = os.getloadavg()[0]
    return "%d x %s, load %.1f before the start" % (os.cpu_count(), model, load)


def print_table(rows, head=("what", "asterias", "peer", "ratio", "figure", "")):
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    line = (
        lambda cells: "| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths)) + " |"
    )  # noqa: E731
    print(line(head))
    print("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    for r in rows:
        print(line(r))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--asterias",
        help="command line that starts a cluster",
        default=os.path.join(ROOT, "build/release/asterias")
        + " dev --nodes {nodes} --data {data} --resp-port {port} --http-port 0"
        " --peer-port 0 --log-level error",
    )
    parser.add_argument(
        "--floor",
        default=os.path.join(ROOT, "build/release/bench/floor"),
        help="the reference program bench/floor",
    )
    parser.add_argument("--port-step", type=int, default=1)
    parser.add_argument(
        "--rows",
        default="etcd,replicated,pipeline,hotkey,single,leader,idle,floor",
        help="comma-separated, of: " + " ".join(GROUPS),
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--load", default=os.path.join(ROOT, "build/release/bench/asterias-load"))
    parser.add_argument(
        "--directory",
        default=os.path.join(ROOT, "build"),
        help="where the data lives, on a real disk",
    )
    parser.add_argument("--json", help="also write every single measurement here")
    options = parser.parse_args()
    groups = options.rows.split(",")
    if unknown := set(groups) - set(GROUPS):
        parser.error("unknown rows: " + " ".join(sorted(unknown)))
    if not os.path.exists(options.load):
        parser.error("build it first: cmake --build build/release --target asterias-load")
    os.makedirs(options.directory, exist_ok=True)
    print("machine: %s; %d runs of %g s" % (machine(), options.runs, options.seconds))
    failed = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.directory) as directory:
        bench = Bench(options, directory)
        for group in groups:
            try:
                getattr(bench, "group_" + group)()
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                failed.append(group)
                print("rows %s: %s" % (group, error), file=sys.stderr)
    print()
    print_table(bench.rows)
    if options.json:
        with open(options.json, "w") as f:
            json.dump(
                {"machine": machine(), "rows": bench.rows, "measurements": bench.raw}, f, indent=1
            )
    return 1 if failed or any(r[5] == "MISSED" for r in bench.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
