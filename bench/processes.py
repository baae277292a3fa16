"""Processes, ports and figures from /proc for the benchmarks.

Everything started here is ended here, by pid.
"""
import os
import random
import signal
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


def free_port_base(count):
    """The first of `count` consecutive loopback ports that are free now."""
    for _ in range(200):
        base = random.randrange(20000, 30000)
        try:
            for port in range(base, base + count):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    raise RuntimeError("no %d free ports in a row" % count)


def wait_until(what, check, seconds):
    """Polls check() until it is true; returns the seconds it took."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        try:
            if check():
                return time.monotonic() - begin
        except (OSError, ValueError):
            pass
        time.sleep(0.01)
    raise TimeoutError("%s: not within %g s" % (what, seconds))


def descendants(pid):
    """`pid` and all processes below it that are alive."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as f:
                    parent = int(f.read().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
            except OSError:
                pass
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        if os.path.exists("/proc/%d" % one):
            found.append(one)
        todo += children.get(one, [])
    return found


def cpu_seconds(pids):
    """User and system time of living processes, their threads included."""
    total = 0
    for pid in pids:
        with open("/proc/%d/stat" % pid) as f:
            fields = f.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def pss_mib(pids):
    total = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total / 1024


def listener(port, among):
    """Which of the processes `among` listens on a loopback port."""
    wanted = ":%04X" % port
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as f:
            next(f)
            for line in f:
                fields = line.split()
                if fields[1].endswith(wanted) and fields[3] == "0A":
                    inodes.add("socket:[%s]" % fields[9])
    for pid in among:
        for fd in os.listdir("/proc/%d/fd" % pid):
            try:
                if os.readlink("/proc/%d/fd/%s" % (pid, fd)) in inodes:
                    return pid
            except OSError:
                pass
    return None


class Processes:
    """Children with their output in log files; stop() ends them and whatever they started."""

    def __init__(self, directory):
        self.directory = directory
        self.children = []

    def start(self, name, command):
        log = open(os.path.join(self.directory, name + ".log"), "wb")
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.children.append(child)
        return child

    def pids(self):
        return [pid for child in self.children for pid in descendants(child.pid)]

    def stop(self):
        below = self.pids()
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(timeout=10)
        own = {child.pid for child in self.children}
        for pid in below:
            if pid not in own and os.path.exists("/proc/%d" % pid):
                os.kill(pid, signal.SIGKILL)
        self.children = []
