#!/usr/bin/python3
"""asterias status and top: a cluster on one screen, whole, with a node away, with many keyspaces;
on a terminal, without one, and as JSON."""
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios

from _cluster import ASTERIAS, HOST, Cluster, run
from _tap import Claims, equal, expect, poll

DONE, FAILED, USAGE, UNREACHABLE, CHECK_FAILED, REFUSED = range(6)
KEYSPACES = [f"space{i}" for i in range(20)]


def door(node):
    return ["--node", f"{HOST}:{node.http[1]}"]


def picture(node, *options, code=DONE):
    told = run("top", *door(node), "--once", "--interval", 300, "--json", *options)
    equal(told.returncode, code, f"exit code with {told.stdout} {told.stderr}")
    return json.loads(told.stdout)


def whole(node):
    """The cluster just started: until its nodes know each other."""
    def is_whole():
        told = run("top", *door(node), "--once", "--interval", 100)
        return told.returncode == DONE

    poll(is_whole, 30, "a whole cluster")


def status_screen(cluster):
    """status of 22 groups is a screen: those that are not well first, the rest counted"""
    node = cluster.nodes[0]
    told = run("status", *door(node))
    equal(told.returncode, DONE, told.stderr)
    lines = told.stdout.splitlines()
    expect(len(lines) < 24 and max(map(len, lines)) <= 80, told.stdout)
    expect("nodes: 1 2 3" in lines, told.stdout)
    groups = len(cluster.nodes[0].status()["groups"])
    expect(f"and {groups - 12} more, all well: --all shows them" in lines, told.stdout)
    whole_list = run("status", *door(node), "--all").stdout
    for name in ("system", "default", *KEYSPACES):
        expect((name in whole_list) or groups < 22, f"no {name} in {whole_list}")
    equal(len(whole_list.splitlines()), 3 + groups)


def top_json(cluster):
    """top --once --json: every node and group, rates, reads that were timed, and gaps"""
    node = cluster.nodes[1]

    def quiet():
        """A picture in which every node was in time: on a pressed machine one may not be."""
        told = run("top", *door(node), "--once", "--interval", 500, "--json")
        if told.returncode != DONE:
            return None
        found = json.loads(told.stdout)
        return found if all(n["reads"]["count"] > 1 for n in found["nodes"]) else None

    found = poll(quiet, 60, "a picture of the whole cluster")
    equal(sorted(each["node"] for each in found["nodes"]), [1, 2, 3])
    equal({each["keyspace"] for each in found["groups"]}, {"system", "default", *KEYSPACES})
    for each in found["nodes"]:
        expect(each["answers"] and each["reads"]["count"] > 0, each)
        expect(each["reads"]["trouble"] == "" and each["reads"]["max_us"] > 0, each)
        expect(each["commands_per_second"] > 0, each)  # the reads themselves
    for each in found["groups"]:
        expect(each["well"] and each["leader"] in (1, 2, 3), each)
        equal((each["copies"], each["wanted"]), (3, 3))
    load = subprocess.Popen(
        [ASTERIAS, "bench", "set", "--node", f"{HOST}:{node.resp[1]}", "--seconds", "600",
         "--warmup", "0", "--connections", "4", "--keys", "100"],
        stdout=subprocess.DEVNULL,
    )
    try:
        def busy():
            told = run("top", *door(node), "--once", "--interval", 300, "--json")
            found = json.loads(told.stdout)
            group = [g for g in found["groups"] if g["keyspace"] == "default"]
            rate = group[0]["commands_per_second"] if group else 0
            return (rate or 0) > 100 and any(each["sync_us"] for each in found["nodes"])

        poll(busy, 60, "the rate of a group under load, and the time of syncs")
    finally:
        load.send_signal(signal.SIGINT)
        expect(load.wait(60) in (DONE, CHECK_FAILED), "the load ends")


def top_text(cluster):
    """top without a terminal prints one picture below the other, without codes of a terminal"""
    node = cluster.nodes[0]
    with subprocess.Popen(
        [ASTERIAS, "top", *door(node), "--interval", "100"], stdout=subprocess.PIPE, text=True
    ) as process:
        heads = 0
        while heads < 3:
            line = process.stdout.readline()
            expect(line and "\x1b" not in line, repr(line))
            heads += line.startswith("cluster ")
        process.terminate()
        process.stdout.read()
        equal(process.wait(20), DONE)
    with subprocess.Popen(
        [ASTERIAS, "top", *door(node), "--interval", "100", "--json"], stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for _ in range(2):
            equal(len(json.loads(process.stdout.readline())["nodes"]), 3)
        process.stdout.close()  # whoever reads goes away
        expect(process.wait(20) != DONE, "it ends")


class Terminal:
    """A program on a terminal of its own, of 24 lines."""

    def __init__(self, *arguments):
        self.parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(child)
        self.child = child
        self.process = subprocess.Popen([ASTERIAS, *arguments], stdin=child, stdout=child)
        self.seen = ""

    def until(self, text):
        while text not in self.seen:
            ready, _, _ = select.select([self.parent], [], [], 30)
            expect(ready, f"no {text!r} in {self.seen!r}")
            self.seen += os.read(self.parent, 65536).decode(errors="replace")

    def close(self):
        self.until("\x1b[?1049l")
        equal(self.process.wait(20), DONE)
        equal(termios.tcgetattr(self.child), self.before, "the terminal afterwards")
        os.close(self.parent)
        os.close(self.child)


def top_terminal(cluster):
    """top on a terminal: drawn in its lines, again and again; q and signals give it back"""
    for end in ("q", signal.SIGTERM, signal.SIGINT):
        terminal = Terminal("top", *door(cluster.nodes[0]), "--interval", "100")
        terminal.until("q quits")
        terminal.until("more lines")  # 22 groups are more than the screen
        first = terminal.seen
        expect("\x1b[?1049h" in first and " of 3 nodes answer" in first, repr(first))
        drawn = first.split("\x1b[H")[1].split("\x1b[J")[0]
        expect(drawn.count("\n") < 24, f"more than the screen: {drawn!r}")
        terminal.seen = ""
        terminal.until("q quits")
        if end == "q":
            os.write(terminal.parent, b"xq")
        else:
            terminal.process.send_signal(end)
        terminal.close()


def node_away(cluster):
    """with a node killed top and status name it, and top ends with 4; the gap is seen"""
    node, away = cluster.nodes[1], cluster.leader()
    if node is away:
        node = cluster.nodes[2]
    with subprocess.Popen(
        [ASTERIAS, "top", *door(node), "--interval", "200", "--json"], stdout=subprocess.PIPE,
        text=True,
    ) as process:
        def answering():
            return [n["answers"] for n in json.loads(process.stdout.readline())["nodes"]]

        poll(lambda: all(answering()), 60, "a picture of the whole cluster")
        away.kill()

        def named():
            nodes = json.loads(process.stdout.readline())["nodes"]
            lost = [n for n in nodes if not n["answers"]]
            others = [n for n in nodes if n["answers"]]
            # Where it led the others could not read until there was another leader.
            return (
                len(lost) == 1
                and lost[0]["reads"]["trouble"]
                and lost[0]["reads"]["longest_gap_ms"] > 0
                and all(n["reads"]["trouble"] == "" and n["reads"]["count"] for n in others)
            )

        poll(named, 60, "who is away")
        process.terminate()
        process.stdout.read()
    text = run("top", *door(node), "--once", "--interval", 200)
    equal(text.returncode, CHECK_FAILED, text.stdout)
    expect("2 of 3 nodes answer" in text.stdout, text.stdout)
    expect("it does not answer" in text.stdout, text.stdout)
    told = poll(
        lambda: (s := run("status", *door(node)).stdout) and "(away)" in s and s, 30, "status"
    )
    expect("is not connected" in told and len(told.splitlines()) < 24, told)
    away.start()
    whole(node)


def locked(_):
    """top at a door with users: without a password it shows the nodes, and why it measures none"""
    cluster = Cluster(nodes=1)
    node = cluster.nodes[0]
    secret = cluster.directory + "/secret"
    with open(secret, "w", encoding="utf-8") as file:
        file.write("a secret\n")
    with open(secret, encoding="utf-8") as given:
        hashed = run("user", "hash", stdin=given)
    with open(cluster.directory + "/node.toml", "w", encoding="utf-8") as file:
        file.write("[users]\n" + hashed.stdout)
    node.options += ["--config", cluster.directory + "/node.toml"]
    try:
        equal(run("init", "--data", node.data).returncode, DONE)
        node.start()
        poll(lambda: run("top", *door(node), "--once").returncode == DONE, 30, "the node")
        reads = picture(node)["nodes"][0]["reads"]
        equal(reads["count"], 0)
        expect("NOAUTH" in reads["trouble"], reads)
        reads = picture(node, "--password-file", secret)["nodes"][0]["reads"]
        expect(reads["count"] > 0 and reads["trouble"] == "", reads)
    finally:
        cluster.__exit__(None)


def main():
    claims = Claims()
    with Cluster(keyspaces=KEYSPACES) as cluster:
        whole(cluster.nodes[0])
        claims.run([status_screen, top_json, top_text, top_terminal, node_away], cluster)
    claims.run([locked], None)
    claims.end()


if __name__ == "__main__":
    sys.exit(main())
