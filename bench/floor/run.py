#!/usr/bin/python3
"""Runs bench/floor: three processes on free loopback ports, redis-benchmark against them.

Prints operations per second, latency, and CPU per operation over the three processes (from
/proc/PID/stat; the load generator's own CPU is not in it). Data goes to a temporary directory.
"""

import argparse
import csv
import os
import signal
import socket
import subprocess
import sys
import tempfile


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])  # utime, stime
    return ticks / os.sysconf("SC_CLK_TCK")


def start(binary, directory, extra):
    ports = free_ports(4)
    clients, peers = ports[:3], ports[3]
    processes = []
    for i in range(3):
        path = os.path.join(directory, str(i))
        os.mkdir(path)
        role = ["leader", "--peers", str(peers)] if i == 0 else ["follower", "--leader", str(peers)]
        processes.append(
            subprocess.Popen(
                [binary, *role, "--clients", str(clients[i]), "--dir", path, *extra],
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        if i == 0:
            wait_for_port(peers, processes[0])
    for p in processes:
        if p.stdout.readline().strip() != "ready":
            raise RuntimeError(f"process {p.pid} did not become ready")
    return processes, clients


def wait_for_port(port, process):
    """Until something listens there, by the kernel's table: a connection would count as a peer."""
    wanted = f":{port:04X} 00000000:0000 0A"
    while process.poll() is None:
        with open("/proc/net/tcp") as f:
            if wanted in f.read():
                return
    raise RuntimeError("the leader ended")


def benchmark(ports, clients, operations, size, pipeline):
    """One redis-benchmark per port, at the same time; clients and operations are shared out."""
    runs = []
    for i, port in enumerate(ports):
        share = clients // len(ports) + (i < clients % len(ports))
        if share == 0:
            continue
        command = ["redis-benchmark", "-p", str(port), "-t", "set", "-d", str(size), "--csv"]
        command += ["-r", "1000000", "-P", str(pipeline), "-c", str(share)]
        command += ["-n", str(max(1, operations * share // clients))]
        runs.append(
            (
                share,
                subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                ),
            )
        )
    total = {"rps": 0.0, "avg": 0.0, "p50": 0.0, "p99": 0.0}
    for share, run in runs:
        row = list(
            csv.DictReader(
                line for line in run.communicate()[0].splitlines() if line.startswith('"')
            )
        )[0]
        total["rps"] += float(row["rps"])
        total["avg"] += float(row["avg_latency_ms"]) * share / clients
        total["p50"] = max(total["p50"], float(row["p50_latency_ms"]))
        total["p99"] = max(total["p99"], float(row["p99_latency_ms"]))
    return total


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "binary",
        nargs="?",
        default="build/release/bench/floor",
        help="the program (default %(default)s)",
    )
    parser.add_argument(
        "--clients", default="1,64,256", help="numbers of clients (default %(default)s)"
    )
    parser.add_argument(
        "--mode",
        default="leader,follower,spread",
        help="which nodes the clients use (default %(default)s)",
    )
    parser.add_argument(
        "--seconds", type=float, default=3, help="aim for this long per row (default %(default)s)"
    )
    parser.add_argument(
        "--size", type=int, default=256, help="bytes per value (default %(default)s)"
    )
    parser.add_argument(
        "--pipeline", type=int, default=1, help="redis-benchmark -P (default %(default)s)"
    )
    parser.add_argument("--no-sync", action="store_true", help="without fdatasync")
    parser.add_argument("--dir", help="where the data goes (default: the temporary directory)")
    options = parser.parse_args()
    extra = ["--no-sync"] if options.no_sync else []
    with tempfile.TemporaryDirectory(prefix="floor-", dir=options.dir) as directory:
        processes, ports = start(options.binary, directory, extra)
        pids = [p.pid for p in processes]
        try:
            print(
                f"{'clients at':<10} {'clients':>7} {'ops/s':>9} {'avg ms':>8} {'p50 ms':>8}"
                f" {'p99 ms':>8} {'CPU us/op':>10}"
            )
            for mode in options.mode.split(","):
                at = {"leader": ports[:1], "follower": ports[1:2], "spread": ports}[mode]
                for clients in map(int, options.clients.split(",")):
                    if mode == "spread" and clients < len(ports):
                        continue
                    guess = benchmark(at, clients, 300 * clients, options.size, options.pipeline)[
                        "rps"
                    ]
                    operations = int(guess * options.seconds)
                    before = cpu_seconds(pids)
                    r = benchmark(at, clients, operations, options.size, options.pipeline)
                    cpu = (cpu_seconds(pids) - before) / operations * 1e6
                    print(
                        f"{mode:<10} {clients:>7} {r['rps']:>9.0f} {r['avg']:>8.3f}"
                        f" {r['p50']:>8.3f} {r['p99']:>8.3f} {cpu:>10.1f}",
                        flush=True,
                    )
        finally:
            for p in processes:
                p.send_signal(signal.SIGTERM)
            for p in processes:
                p.wait()


if __name__ == "__main__":
    sys.exit(main())
