#!/usr/bin/python3
"""What an operator meets who changes who holds a keyspace, while nodes die: warnings, refusals with
the way out, words on what is under way, and exit codes that say whether to try again."""
import json
import subprocess
import time

from _cluster import ASTERIAS, HOST, Cluster, run
from _tap import Claims, equal, expect, poll

DONE, FAILED, USAGE, UNREACHABLE, CHECK_FAILED, REFUSED = range(6)


class Operator:
    """Asks a cluster through the door of one of its nodes."""

    def __init__(self, cluster, at):
        self.cluster = cluster
        self.at = at
        self.by_number = {node.status()["node"]: node for node in cluster.nodes}

    def door(self):
        return ["--node-address", f"{HOST}:{self.at.http[1]}"]

    def order(self, what, *arguments, keyspace="default"):
        words = ["replica", what, "--keyspace", keyspace, *arguments, *self.door()]
        return run(*words, timeout=120)

    def refused(self, code, what, *arguments, texts=(), keyspace="default"):
        told = self.order(what, *arguments, keyspace=keyspace)
        equal(told.returncode, code, f"{what} {told.stdout} {told.stderr}")
        for text in texts:
            expect(text in told.stderr, f"no {text!r} in {told.stderr!r}")

    def done(self, what, *arguments, warns=(), keyspace="default"):
        told = self.order(what, *arguments, keyspace=keyspace)
        equal((told.returncode, told.stdout), (DONE, "done\n"), f"{what} {told.stderr}")
        for text in warns:
            expect(text in told.stderr, f"no {text!r} in {told.stderr!r}")
        if not warns:
            expect("left with" not in told.stderr, told.stderr)

    def members(self, keyspace="default"):
        told = run("replica", "list", "--keyspace", keyspace, "--json", *self.door())
        equal(told.returncode, DONE, told.stderr)
        return json.loads(told.stdout)

    def nodes(self, keyspace="default"):
        return [member["node"] for member in self.members(keyspace)["members"]]

    def why(self, *arguments):
        return run("why", "--node", f"{HOST}:{self.at.http[1]}", *arguments)

    def says(self, *texts):
        told = self.why()
        return told.returncode == CHECK_FAILED and all(text in told.stdout for text in texts)

    def disconnected(self, number):
        """All that run have noticed that this one is gone."""
        return all(
            not member["connected"]
            for node in self.cluster.running()
            for member in node.status()["members"]
            if member["node"] == number
        )


class Following:
    """A command that waits for its change; what it says is read as it comes."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [ASTERIAS, *map(str, arguments)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def until_says(self, text):
        heard = []
        while not heard or text not in heard[-1]:
            line = self.process.stderr.readline()
            expect(line, f"it ended without {text!r}: {heard}")
            heard.append(line)

    def ends(self, code):
        out, told = self.process.communicate(timeout=120)
        equal(self.process.returncode, code, f"exit code with {out} {told}")
        return out, told


def wanted_copies(_):
    """what leaves fewer copies than at the founding needs --force, is warned of, and stays told"""
    with Cluster(nodes=4, options=["--log-level", "info"]) as cluster:
        me = Operator(cluster, cluster.nodes[0])
        poll(lambda: me.why().returncode == DONE, 20, "all is well")
        first, second, third = me.nodes()
        free = ({1, 2, 3, 4} - {first, second, third}).pop()
        more = f"asterias replica add --keyspace default --node {free}"
        texts = ["2 of 3 copies: both are needed, so one more loss stops it", more, "--force"]
        me.refused(REFUSED, "remove", "--node", third, texts=texts)
        equal(me.nodes(), [first, second, third])
        me.done("remove", "--node", third, "--force", warns=["is left with 2 of 3 copies"])
        fewer = ["warning:", "keyspace default: 2 of 3 copies", f"next: {more[:-1]}"]
        poll(lambda: me.says(*fewer), 20, "two are fewer than wanted")
        me.refused(REFUSED, "remove", "--node", second, texts=["1 of 3 copies: one more loss"])
        me.done("remove", "--node", second, "--force", warns=["1 of 3 copies: one more loss loses"])
        alone = "keyspace default: 1 of 3 copies: one more loss loses the data"
        poll(lambda: me.says("critical:", alone), 20, "one is fewer than wanted")

        def severities():
            found = json.loads(me.why("--json").stdout)["findings"]
            return [each["severity"] for each in found]

        # The removed copy may still be on its way out, which is a warning of its own.
        poll(lambda: severities() == ["critical"], 20, "it is critical, and nothing else is told")
        listed = run("replica", "list", *me.door()).stdout
        expect("default: led by node" in listed and "1 of 3 copies" in listed, listed)
        told = run("status", "--node", f"{HOST}:{me.by_number[first].http[1]}").stdout
        for text in (" 1/3", "1 of 3 copies: one more loss loses the data; asterias replica add"):
            expect(text in told, f"no {text!r} in {told}")

        # Removed in order, and started for the first time: neither is an error.
        gone = me.by_number[third]
        poll(lambda: "was removed, and with it" in gone.log(), 20, "it is gone")
        why_gone = "replica: group 2 goes from this node: this replica was removed"
        expect(why_gone in gone.log(), gone.log())
        for node in cluster.nodes:
            expect(" error " not in node.log(), node.log())

        me.done("add", "--node", free)
        me.done("add", "--node", third)
        poll(lambda: me.why().returncode == DONE, 20, "all is well again")
        me.done("add", "--node", second)
        me.done("remove", "--node", free)  # of four, three are left
        cluster.expect_serving()


def dead_newcomer(_):
    """a node that is down takes no copy; forced, it bars other changes (code 1) until removed"""
    with Cluster(nodes=4) as cluster:
        me = Operator(cluster, cluster.nodes[0])
        holders = me.nodes()
        dead = ({1, 2, 3, 4} - set(holders)).pop()
        if me.by_number[dead] is me.at:
            me.at = cluster.nodes[1]
        me.by_number[dead].kill()
        poll(lambda: me.disconnected(dead), 20, "they notice")
        goes = holders[-1]
        unreachable = [f"node {dead} is not connected", "start it", "--force"]
        me.refused(REFUSED, "add", "--node", dead, texts=unreachable)
        me.refused(REFUSED, "replace", "--from", goes, "--node", dead, texts=unreachable)
        equal(me.nodes(), holders)

        for order in (["add"], ["replace", "--from", goes]):
            under_way = me.order(*order, "--node", dead, "--force", "--no-wait")
            equal((under_way.returncode, under_way.stdout), (DONE, "under way\n"), under_way.stderr)
            barred = [f"node {dead} is still catching up: wait for it, or remove it"]
            me.refused(FAILED, "remove", "--node", goes, "--force", texts=barred)
            me.refused(FAILED, "add", "--node", dead, "--force", texts=barred)
            expect(dead in me.nodes(), "it is there as a learner")
            me.done("remove", "--node", dead)
            equal(me.nodes(), holders)
        me.done("transfer")
        cluster.expect_serving()


def asked_node_dies(_):
    """who waits for a change is told when the asked node dies, and follows it through the others"""
    with Cluster(nodes=4) as cluster:
        me = Operator(cluster, cluster.nodes[0])
        holders = me.nodes()
        late = ({1, 2, 3, 4} - set(holders)).pop()
        asked = next(n for n in holders if n != me.members()["leader"])
        me.at = me.by_number[asked]
        me.by_number[late].kill()
        poll(lambda: me.disconnected(late), 20, "they notice")
        words = ["replica", "add", "--keyspace", "default", "--node", late, "--force"]
        words += ["--timeout", 60]
        with Following(*words, *me.door()) as command:
            command.until_says(f"node {late} catches up")
            me.at.kill()
            command.until_says("; asking ")
            me.by_number[late].start()
            out, _ = command.ends(DONE)
            equal(out, "done\n")

        # All of them are gone: it says what is known and what is not.
        me.at.start()
        me.by_number[late].kill()
        me.at = me.by_number[asked]
        poll(lambda: cluster.answers(me.at), 30, "it serves again")
        me.done("remove", "--node", late)
        poll(lambda: me.disconnected(late), 20, "they notice")
        began = time.monotonic()
        with Following(*words, *me.door(), "--json") as command:
            command.until_says(f"node {late} catches up")
            for node in cluster.nodes:
                node.kill()
            out, told = command.ends(UNREACHABLE)
            print(f"  it ended {time.monotonic() - began:.0f} s after the order", flush=True)
            for text in ("no node answers", "The order was taken", "asterias replica list"):
                expect(text in told, f"no {text!r} in {told}")
            equal(json.loads(out)["exit_code"], UNREACHABLE)
        told = run(*words, *me.door())
        equal(told.returncode, UNREACHABLE, told.stderr)


def partial_list(_):
    """list shows the keyspaces that it can, names the others and why, and ends with 4"""
    with Cluster(nodes=4, keyspaces=["orders"]) as cluster:
        me = Operator(cluster, cluster.nodes[0])
        everyone = run("replica", "list", *me.door())
        equal(everyone.returncode, DONE, everyone.stderr)
        # Of two nodes that end, `default` has one: it goes on, and `system` does not.
        outside = ({1, 2, 3, 4} - set(me.nodes())).pop()
        inside = next(n for n in me.nodes("orders") if n != outside and n in me.nodes())
        for number in (outside, inside):
            me.by_number[number].kill()
        me.at = cluster.running()[0]
        cluster.leader()

        def told():
            listed = run("replica", "list", *me.door())
            return listed.returncode == CHECK_FAILED and listed.stdout

        text = poll(told, 30, "a partial answer")
        for part in ("default: led by node", "system: could not be asked: nobody was found who"):
            expect(part in text, f"no {part!r} in {text}")
        listed = json.loads(run("replica", "list", "--json", *me.door()).stdout)
        expect("system" in [each["of"] for each in listed["not_asked"]], listed)
        expect("default" in [each["keyspace"] for each in listed["groups"]], listed)


def main():
    claims = Claims()
    claims.run([wanted_copies, dead_newcomer, asked_node_dies, partial_list], None)
    claims.end()


if __name__ == "__main__":
    main()
