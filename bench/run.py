#!/usr/bin/python3
"""Measures Asterias beside its peers and prints the figures of the blueprint as a table.

    bench/run.py [--rows LIST] [--runs N] [--seconds S] [--asterias CMD]

CMD starts a cluster, with {nodes}, {data} and {port} filled in; by default `asterias dev` of the
release build. Node i's RESP door is expected at {port} + i * --port-step.

Without --rows it prints all of them, in about an hour on two quiet cores. `test` tells what the
last whole `./dev test` took; `run-tests` runs it first and is not among the default ones. What
cannot be measured here (no root for `failover`, say) is a row that says so.
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

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "bench"), os.path.join(ROOT, "tests")]
import doors  # noqa: E402
from processes import cpu_seconds, pss_mib  # noqa: E402
from systems import Asterias, AsteriasNode, Etcd, Floor, Redis  # noqa: E402
from table import Table, machine, print_table  # noqa: E402

READ_KEYS = 10_000
SIM_SEEDS = 20


class Bench:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.table, self.raw, self.made, self.seed = Table(), [], 0, 0

    # -- systems ------------------------------------------------------------------------------
    def make(self, kind, *args):
        self.made += 1
        return kind(os.path.join(self.directory, "s%d" % self.made), *args)

    def asterias(self, nodes):
        if not self.options.asterias:
            return None
        return self.make(Asterias, self.options.asterias, nodes, self.options.port_step)

    def node(self, certificate=None):
        """One durable node of the program itself; None if there is none."""
        if not self.options.asterias:
            return None
        return self.make(AsteriasNode, self.options.program, certificate)

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
    def load(self, system, mode, clients, seconds=None, nodes=None, keys=100_000, pipeline=1):
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
            "--pipeline",
            str(pipeline),
            "--tls",
            "yes" if system.tls else "no",
            "--seconds",
            str(seconds),
            "--value-bytes",
            "256",
            "--keys",
            str(keys),
            "--seed",
            str(self.seed),
        ]
        os.sync()  # no measurement pays for what the one before it left to be written
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
        self.raw.append(
            dict(figures, system=system.name, mode=mode, clients=clients, pipeline=pipeline)
        )
        return figures

    def redis_benchmark(self, system, clients, pipeline, count, test="set", keep=True):
        """Operations per second, and cpu_us as load(); without `keep` each on a new connection."""
        command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(system.ports[0])]
        command += ["-c", str(clients), "-P", str(pipeline), "-n", str(count), "-t", test, "--csv"]
        command += ["-r", "1000000", "-d", "256", "-k", str(int(keep))]
        command += ["--tls", "--insecure"] if system.tls else []
        os.sync()
        pids = system.pids()
        before = cpu_seconds(pids)
        out = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
        rate = re.search(r'^"%s","([0-9.]+)"' % test.upper(), out, re.M)
        if not rate:
            raise RuntimeError("redis-benchmark: " + out[-300:])
        figures = {
            "per_second": float(rate.group(1)),
            "cpu_us": (cpu_seconds(pids) - before) * 1e6 / count,
        }
        about = {"mode": "redis-benchmark " + test, "clients": clients, "pipeline": pipeline}
        self.raw.append(dict(figures, system=system.name, keep=keep, **about))
        return figures

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

    # -- groups of rows -----------------------------------------------------------------------
    def group_etcd(self):
        ours, etcd = self.asterias(3), self.make(Etcd)
        with self.running(ours, etcd):
            run = lambda s, *a, **k: (lambda: self.load(s, *a, **k)) if s else None  # noqa: E731
            for clients in (64, 256):
                a, b = self.alternate(run(ours, "set", clients), run(etcd, "set", clients))
                self.table.compare(
                    "writes/s, %d clients, against etcd" % clients, a, b, "per_second", least=4
                )
            self.table.absolute(
                "CPU us per write, 3 nodes, 256 clients (peer: etcd)",
                a and a["cpu_us"],
                b["cpu_us"],
                "<= 35",
                most=35,
                unit="{:.1f}",
            )
            a, b = self.alternate(run(ours, "set", 256, nodes=1), run(etcd, "set", 256, nodes=1))
            self.table.absolute(
                "  the same, all clients at one node",
                a and a["cpu_us"],
                b["cpu_us"],
                "<= 35",
                most=35,
                unit="{:.1f}",
            )
            a, b = self.alternate(run(ours, "set", 1), run(etcd, "set", 1))
            self.table.compare(
                "one client, p50 us of a write, against etcd", a, b, "p50_us", most=0.5
            )
            for s in (ours, etcd):
                if s:
                    self.load(s, "fill", 64, seconds=60, keys=READ_KEYS)
            a, b = self.alternate(
                run(ours, "get", 64, keys=READ_KEYS), run(etcd, "get", 64, keys=READ_KEYS)
            )
            self.table.compare(
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
                self.table.compare(
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
            self.table.row(
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
            self.table.absolute(
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
            self.table.absolute(
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
                self.table.compare(
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
            os.sync()  # load() does so, too, and shall not take of the time until the kill
            threading.Timer(2.5, os.kill, (pid, 9)).start()
            return {"gap": self.load(system, "set", 16, seconds=8)["longest_gap_ms"]}

    def group_leader(self):
        ours = self.options.asterias and (lambda: self.gap(self.asterias(3)))
        a, b = self.alternate(ours, lambda: self.gap(self.make(Etcd)))
        self.table.compare(
            "leader killed, longest gap in writes ms, against etcd", a, b, "gap", most=0.6
        )

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
        self.table.absolute(
            "one idle node, PSS MiB (peer: Redis)",
            get("pss"),
            b["pss"],
            "<= 25",
            most=25,
            unit="{:.1f}",
        )
        self.table.absolute(
            "one idle node, % of a core", get("cpu"), b["cpu"], "<= 1", most=1, unit="{:.2f}"
        )
        self.table.absolute(
            "one node, ready after s", get("ready"), b["ready"], "< 1", most=1, unit="{:.2f}"
        )
        three, etcd = self.asterias(3), self.make(Etcd)
        a, b = three and self.idle(three), self.idle(etcd)
        self.table.absolute(
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
        self.table.absolute(
            "fresh build, minutes", fresh / 60, None, "<= 15", most=15, unit="{:.1f}"
        )
        os.utime(os.path.join(ROOT, "src/base/bytes.cc"))
        self.table.absolute(
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
        done = subprocess.run(command + runs, check=False, timeout=60 + 120 * self.options.runs)
        if not os.path.exists(out):
            why = "bench/failover.py ended with %d" % done.returncode
            return self.table.missing("leader lost: kill -9, SIGSTOP, cut, planned", "-", why)
        with open(out) as f:
            data = json.load(f)
        self.raw.append({"failover": data})
        for what, ours, worst, peer, peer_worst, ratio, aim, verdict in data["rows"]:
            ours, peer = "%s ms (worst %s)" % (ours, worst), "%s ms (worst %s)" % (peer, peer_worst)
            self.table.cells(what, ours, peer, ratio, aim, verdict)

    def group_sim(self):
        """By the scenario beside this file; a seed's cost is its own CPU, whatever else runs."""
        command = [self.options.program, "sim", "--seeds", str(SIM_SEEDS), "--no-shrink"]
        command += ["--jobs", "1", "--scenario", os.path.join(ROOT, "bench/sim_rate.txt")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
        last = re.search(
            r"^passed: .* (\d+) operations,.* in (\d+) simulated s; (\d+) simulated s per CPU s",
            done.stdout,
            re.M,
        )
        if not last:
            raise RuntimeError("the simulator: " + (done.stdout + done.stderr)[-300:])
        operations, simulated, rate = map(float, last.groups())
        self.raw.append({"sim": last.group(0)})
        what = "simulator, 5 nodes, 32 groups, faults on: "
        self.table.absolute(what + "simulated s per CPU s", rate, None, ">= 200", least=200)
        asked = operations / simulated
        self.table.absolute(what + "operations per simulated s", asked, None, ">= 50", least=50)

    def group_test(self):
        what, figure = "whole ./dev test, minutes (without its build)", "<= 25"
        record = os.path.join(ROOT, "build/release/last-whole-test.json")
        if not os.path.exists(record):
            return self.table.missing(what, figure, "no whole ./dev test has ended in this build")
        with open(record) as f:
            last = json.load(f)
        self.raw.append({"test": last})
        if last["failed"]:
            return self.table.missing(what, figure, "the last one failed: %s" % last)
        self.table.absolute(what, last["seconds"] / 60, None, figure, most=25, unit="{:.1f}")
        print("note: ./dev test of %(ended)s at commit %(commit)s" % last, file=sys.stderr)

    def group_run_tests(self):
        command = [sys.executable, os.path.join(ROOT, "tools/run_tests.py")]
        command += ["--build", os.path.join(ROOT, "build/release")]
        subprocess.run(command, check=False, timeout=7200, stdout=sys.stderr)
        self.group_test()

    def group_tls(self):
        doors.tls(self)

    def group_connections(self):
        doors.connections(self)

    def group_floor(self):
        if not self.options.floor or not self.options.asterias:
            return self.table.missing(
                "one client, p50 us of a write, against bench/floor",
                "<= 1.35x",
                "a program is missing",
            )
        ours = self.asterias(3)
        floor = self.make(Floor, self.options.floor)
        with self.running(ours, floor):
            # Like with like: the floor's first port is its leader's.
            ours.ports.insert(0, ours.ports.pop(ours.leader() or 0))
            a, b = self.alternate(
                lambda: self.load(ours, "set", 1), lambda: self.load(floor, "set", 1)
            )
            self.table.compare(
                "one client, p50 us of a write, against bench/floor", a, b, "p50_us", most=1.35
            )


GROUPS = (
    "etcd replicated pipeline hotkey single leader failover idle floor sim build test"
    " tls connections"
).split()
ON_REQUEST = ["run-tests"]


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
    parser.add_argument(
        "--program",
        default=os.path.join(ROOT, "build/release/asterias"),
        help="for the rows sim, tls and connections, which --asterias does not start",
    )
    parser.add_argument("--port-step", type=int, default=1)
    parser.add_argument(
        "--rows",
        default=",".join(GROUPS),
        help="comma-separated; default: all of " + " ".join(GROUPS) + "; on request: run-tests",
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
    if unknown := set(groups) - set(GROUPS + ON_REQUEST):
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
                getattr(bench, "group_" + group.replace("-", "_"))()
            except (RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
                failed.append(group)
                bench.table.missing("(rest of the rows %s)" % group, "-", error)
    rows = bench.table.rows
    print()
    print_table(rows)
    if options.json:
        with open(options.json, "w") as f:
            json.dump({"machine": machine(), "rows": rows, "measurements": bench.raw}, f, indent=1)
    return 1 if failed or any(r[5] == "MISSED" for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
