#!/usr/bin/python3
"""The command line as its user meets it: what it says when something is in the way, with which exit
code, and that it starts and stops as it should."""
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error

from _cluster import ASTERIAS, HOST, Cluster, fetch, fetch_json, free_ports, run
from _resp import Resp
from _tap import Claims, equal, expect, poll

DONE, FAILED, USAGE, UNREACHABLE, CHECK_FAILED, REFUSED = range(6)


def refused(done, code, *texts):
    equal(done.returncode, code, f"exit code with {done.stdout} {done.stderr}")
    for text in texts:
        expect(text in done.stderr, f"no {text!r} in {done.stderr!r}")
    expect("Traceback" not in done.stderr and "CHECK" not in done.stderr, done.stderr)


def three_ports():
    ports = free_ports(3)
    return ["--resp-port", ports[0], "--http-port", ports[1], "--peer-port", ports[2]], ports


def founded(directory, *arguments):
    made = run("init", "--data", directory, *arguments)
    equal(made.returncode, DONE, made.stderr)
    return made


class Process:
    """A program that goes on until it is told to end."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [ASTERIAS, *map(str, arguments)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def serving(ports):
    def answered():
        try:
            with Resp((HOST, ports[0]), 5) as client:
                return client.call("PING") == "PONG"
        except OSError:
            return False

    return poll(answered, 30, "the node serves")


# --------------------------------------------------------------------------------- words and codes


def usage(directory):
    """wrong use ends with 2 and names what is wrong; help and version with 0"""
    for arguments, text in (
        (["serve", "--nonsense"], "--nonsense"),
        (
            ["nonsense"],
            "The subcommands are: init serve config check-config user dev status why replica "
            "keyspace",
        ),
        ([], "subcommand"),
        (["dev", "--nodes", "8"], "--nodes"),
        (["dev", "--nodes", "x"], "--nodes"),
        (["serve", "--shards", "0"], "--shards"),
        (["demo", "/no/such/file"], "/no/such/file"),
        (["demo", "--chaos", "some"], "--chaos"),
        (["serve", "--log-level", "loud"], "--log-level"),
        (["status", "--node", "nowhere"], "--node"),
        (["replica"], "subcommand"),
        (["replica", "bogus"], "The subcommands are: list add remove replace transfer"),
        (["replica", "add", "--keyspace", "default"], "--node"),
        (["replica", "add", "--keyspace", "default", "--node", "abc"], "1 to 65535"),
        (["replica", "add", "--keyspace", "default", "--node", "-1"], "--node: the number of a"),
        (["replica", "replace", "--keyspace", "k", "--node", 1, "--from", 0], "--from: the number"),
        (["serve", "--replace", "x"], "--replace: takes 0 to 65535"),
        (["replica", "transfer", "--keyspace", "default", "--force"], "--force"),
        (["replica", "remove", "--node", "3"], "--keyspace"),
        (["replica", "list", "--node-address", "nowhere"], "--node-address"),
        (["serve", "--data", directory, "--join", "nowhere"], "--join"),
        (["serve", "--resp-port", "70000"], "--resp-port"),
        (["serve", "--insecure", "--host", "0.0.0.0"], "name the one that they will use"),
        (["dev", "--shards", "0"], "--shards"),
        (["dev", "--log-level", "loud"], "--log-level"),
        (["sim", "--scenario", "swam"], "one of aba, basic, bridge,"),
        (["sim", "--nonsense"], "--nonsense"),
        (["sim", "--trace"], "--seed"),
        (["sim", "--mutant", "raft_double_vote"], "mutants"),
    ):
        refused(run(*arguments), USAGE, text)
    for arguments, text in (
        (["--help"], "Begin with:"),
        (["--version"], "0."),
        (["serve", "--help"], "Example:"),
        (["serve", "--help"], "another process holds the directory"),
        (["replica", "remove", "--help"], "--force"),
        (["dev", "--help"], "Example:"),
        (["init", "--help"], "Example:"),
        (["status", "--help"], "Example:"),
        (["why", "--help"], "Example:"),
        (["replica", "--help"], "exit code 5"),
        (["replica", "add", "--help"], "Example:"),
        (["demo", "--help"], "Example:"),
        (["sim", "--help"], "Examples:"),
        (["sim", "--list"], "swarm "),
    ):
        done = run(*arguments)
        equal(done.returncode, DONE, f"exit code of {arguments}")
        expect(text in done.stdout, f"no {text!r} in the help of {arguments}")


def configuration(directory):
    """a file with settings is read, judged with its lines, and told where each value comes from"""
    path = f"{directory}/node.toml"
    with open(path, "w", encoding="utf-8") as file:
        file.write('pipeline-max = 7\nlog-format = "json"\n')
    equal(run("check-config", path).returncode, DONE)
    shown = run("config", "--config", path, "--shards", 2, env={"ASTERIAS_PIPELINE_MAX": "8"})
    equal(shown.returncode, DONE, shown.stderr)
    for line in (
        "pipeline-max = 8  # ASTERIAS_PIPELINE_MAX",
        f'log-format = "json"  # {path}:2',
        "shards = 2  # --shards",
        "maxclients = 10000  # default",
    ):
        expect(line in shown.stdout.splitlines(), f"no {line!r} in {shown.stdout!r}")
    with open(path, "a", encoding="utf-8") as file:
        file.write("resp-prot = 1\nshards = 0\nhttp-port = 7400\nhost = = 1\n")
        file.write('tls-cert = "/none.crt"\ntls-key = "/none.key"\n')
    wrong = (
        f"{path}:3: there is no 'resp-prot'; did you mean resp-port (0 to 65535)?",
        f"{path}:4: shards takes 1 to 64, not '0'",
        f"{path}:5: http-port and --peer-port both take port 7400; give one of them another",
        f"{path}:6: ",
    )
    for command in (["check-config", path], ["serve", "--config", path]):
        refused(run(*command), USAGE, *wrong)
    files = (f"{path}:7: tls-cert /none.crt: No such file", f"{path}:8: tls-key /none.key: No such")
    refused(run("check-config", path), USAGE, *wrong, *files)
    refused(run("serve", "--config", f"{directory}/none"), USAGE, "No such file")
    refused(run("serve", "--config", ""), USAGE, "--config", "empty")
    empty = run("config", env={"ASTERIAS_HOST": ""})
    refused(empty, USAGE, "ASTERIAS_HOST", "empty")
    # What serve would refuse is not fine.
    for text, word in (
        ('host = "example.com"\n', "give a numeric one"),
        ('tls-cert = "/none.crt"\ntls-key = "/none.key"\n', "/none.crt"),
    ):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        refused(run("check-config", path), USAGE, word)


def simulator(directory):
    """sim needs no checkout: a scenario that is built in, and the same one from a file"""
    shown = run("sim", "--scenario", "crash", "--show", cwd=directory)
    equal(shown.returncode, DONE, shown.stderr)
    with open(f"{directory}/mine.txt", "w", encoding="utf-8") as file:
        file.write(shown.stdout)
    hashes = []
    for scenario in ("crash", "mine.txt"):
        swept = run("sim", "--scenario", scenario, "--seeds", 2, "--hash", cwd=directory)
        equal(swept.returncode, DONE, swept.stdout + swept.stderr)
        hashes.append([line for line in swept.stdout.splitlines() if line.startswith("seed ")])
    equal(len(hashes[0]), 2, "hashes")
    equal(hashes[0], hashes[1], "hashes by name and by file")


def empty_directory(directory):
    """serve where no node lives names both ways out, init and --join, and makes nothing"""
    data = f"{directory}/empty"
    flags, _ = three_ports()
    refused(
        run("serve", "--data", data, *flags),
        REFUSED,
        f"asterias init --data {data}",
        f"asterias serve --data {data} --join HOST:PORT",
    )
    expect(not os.path.exists(data), "it made a directory")
    os.mkdir(data)
    refused(run("serve", "--data", data, *flags), REFUSED, f"no node lives in {data}")
    equal(os.listdir(data), [], "what it left behind")


def init_twice(directory):
    """init where a node lives is refused and says how to start it"""
    data = f"{directory}/twice"
    founded(data)
    refused(run("init", "--data", data), REFUSED, data, f"asterias serve --data {data}")


def init_words(directory):
    """init refuses what cannot be founded, and says what can"""
    for arguments, text in (
        (["--nodes", "0"], "1 to 7"),
        (["--nodes", "8"], "1 to 7"),
        (["--keyspace", "default"], "default"),
        (["--keyspace", "a:b"], "a:b"),
        (["--keyspace", "a b"], "a b"),
        (["--keyspace", "a", "--keyspace", "a"], "once"),
    ):
        refused(run("init", "--data", f"{directory}/words", *arguments), USAGE, text)
        expect(not os.path.exists(f"{directory}/words"), "it made a directory")


def ports_collide(directory):
    """two doors on one port, overlapping ranges, and ranges beyond the last port are refused"""
    data = f"{directory}/collide"
    for arguments, *texts in (
        (["serve", "--resp-port", 7400], "--resp-port", "--peer-port", "7400"),
        (["serve", "--resp-port", 5000, "--http-port", 5000], "--resp-port", "--http-port"),
        (["dev", "--http-port", 6379], "--resp-port", "--http-port", "6379"),
        (["dev", "--nodes", 3, "--http-port", 7398], "--http-port", "--peer-port", "7400"),
        (["dev", "--nodes", 3, "--peer-port", 8082], "--http-port", "--peer-port", "8082"),
        (["dev", "--nodes", 3, "--resp-port", 65534], "--resp-port: 3 nodes need 3 ports up to"),
    ):
        refused(run(*arguments, "--data", data), USAGE, *texts)
        expect(not os.path.exists(data), "it made a directory")


def dev_fails(directory):
    """dev that fails says why, not only which log does; what it made in vain is gone again"""
    flags, _ = three_ports()
    data = f"{directory}/vain"
    wrong = run("dev", "--data", data, "--keyspace", "a:b", *flags)
    refused(wrong, USAGE, "init failed", "keyspace 'a:b'")
    expect(not os.path.exists(data), "it left a directory")
    os.mkdir(data)
    refused(run("dev", "--data", data, "--keyspace", "a:b", *flags), USAGE, "keyspace 'a:b'")
    expect(os.path.exists(data), "the directory was not its own")
    founded(f"{data}/node-1")
    port = free_ports(9)
    apart = ["--resp-port", port[0], "--http-port", port[3], "--peer-port", port[6]]
    size = run("dev", "--data", data, "--nodes", 3, *apart)
    refused(size, FAILED, "was born with --nodes 1")
    keyspace = run("dev", "--data", data, "--keyspace", "late", *flags)
    refused(keyspace, FAILED, "without keyspace 'late'")
    shards = run("dev", "--data", data, "--shards", 2, *flags)
    refused(shards, FAILED, "node 1 ended with exit code 5", "was made with --shards 1")
    expect(os.path.exists(f"{data}/node-1/identity"), "a node lives there")


def demo_stops(directory):
    """demo stops at an answer that asking again cannot change, and says so instead of WRONG"""
    text = f"{directory}/long"
    with open(text, "w", encoding="ascii") as file:
        file.write("word " * 100 + "x" * 70_000 + " more" * 100)
    arguments = ["--nodes", 1, "--chaos", "none", "--data", f"{directory}/stops"]
    done = run("demo", text, *arguments, timeout=30)
    equal(done.returncode, FAILED, f"exit code with {done.stdout} {done.stderr}")
    for told in ("stopped: ", "key-bytes-max (65536 bytes)", "'" + "x" * 32 + "...' (70000 bytes)"):
        expect(told in done.stdout, f"no {told!r} in {done.stdout}")
    expect("WRONG" not in done.stdout and "x" * 40 not in done.stdout, done.stdout)


def beyond_loopback(directory):
    """--host beyond loopback is refused, and the three ways out are named"""
    data = f"{directory}/beyond"
    founded(data)
    flags, _ = three_ports()
    beyond = run("serve", "--data", data, "--host", "192.0.2.1", *flags)
    for way in ("keep to 127.0.0.1", "tls-cert and tls-key", "private-network", "--insecure"):
        refused(beyond, USAGE, "192.0.2.1", way)


def lived_in(directory):
    """dev and demo make directories of their own: where something lives they say so"""
    data = f"{directory}/lived"
    founded(f"{data}/node-1")
    refused(run("demo", "--data", data), USAGE, "holds a cluster already", data)
    flags, _ = three_ports()
    refused(run("dev", "--data", f"{data}/node-1", *flags), FAILED, "directory of one node", data)


def dead_node(_):
    """status of a node that is not there ends with 3 and names address and flag"""
    port = free_ports(1)[0]
    refused(run("status", "--node", f"{HOST}:{port}"), UNREACHABLE, f"{HOST}:{port}", "--node")


def json_errors(_):
    """with --json what went wrong is JSON on standard output, too, with the exit code"""
    door = f"{HOST}:{free_ports(1)[0]}"
    remove = ["replica", "remove", "--keyspace", "default"]
    for arguments, code, text in (
        (["status", "--node", door], UNREACHABLE, "refused"),
        (["why", "--node", door], UNREACHABLE, "refused"),
        (["why", "--node", "nowhere"], USAGE, "--node"),
        (["replica", "list", "--node-address", door], UNREACHABLE, "refused"),
        ([*remove, "--node", 2, "--node-address", door], UNREACHABLE, "refused"),
        ([*remove, "--node", "x"], USAGE, "--node"),
    ):
        told = run(*arguments, "--json")
        refused(told, code, text)
        found = json.loads(told.stdout)
        equal(found["exit_code"], code, "exit code in the JSON")
        expect(text in found["error"], f"no {text!r} in {found}")


# ----------------------------------------------------------------------------------- a serving node


def one_data_directory(directory):
    """a second process on one directory, a wrong --shards and a moved port are refused by name"""
    data = f"{directory}/one"
    founded(data)
    flags, ports = three_ports()
    with Process("serve", "--data", data, *flags):
        serving(ports)
        other, _ = three_ports()
        refused(run("serve", "--data", data, *other), FAILED, "held by another process (pid", data)
    refused(run("serve", "--data", data, "--shards", 2, *flags), REFUSED, "--shards 1")
    moved = [*flags[:5], free_ports(1)[0]]
    refused(run("serve", "--data", data, *moved), REFUSED, f"{HOST}:{ports[2]}")
    with Process("serve", "--data", data, *flags):  # and as it was, it still starts
        serving(ports)


def taken_ports(directory):
    """a taken port: serve names the port, dev the port and the flag that moves it"""
    data = f"{directory}/taken"
    founded(data)
    for at, flag in enumerate(("--resp-port", "--http-port", "--peer-port")):
        flags, ports = three_ports()
        with socket.socket() as holder:
            holder.bind((HOST, ports[at]))
            holder.listen()
            refused(run("dev", "--data", f"{directory}/dev", *flags), FAILED, str(ports[at]), flag)
            shutil.rmtree(data)
            founded(data)
            refused(run("serve", "--data", data, *flags), FAILED, str(ports[at]), flag)


def sigterm(directory):
    """SIGTERM and SIGINT end a serving node with 0; what was acknowledged is there again"""
    data = f"{directory}/term"
    founded(data, "--shards", 2)
    flags, ports = three_ports()
    flags += ["--shards", 2, "--log-level", "info"]
    for i, number in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGTERM)):
        with Process("serve", "--data", data, *flags) as process:
            serving(ports)
            with Resp((HOST, ports[0])) as client:
                equal(client.call("INCR", "starts"), i + 1)
                begun = time.monotonic()
                process.send_signal(number)
                equal(process.wait(20), 0, "exit code")
                print(f"  ended in {time.monotonic() - begun:.2f} s with a client", flush=True)
            # Said when everything has been destroyed in order, not cut off.
            expect("serve: stopped" in process.stderr.read(), "it says that it stopped")


def sigterm_busy(_):
    """SIGTERM under load, one node after another: each ends with 0 and comes back"""
    with Cluster() as cluster:
        for node in cluster.nodes:
            load = subprocess.Popen(
                [
                    "redis-benchmark",
                    "-p",
                    str(node.resp[1]),
                    "-t",
                    "set",
                    "-n",
                    "10000000",
                    "-P",
                    "16",
                    "-q",
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                poll(lambda: commands(node) > 2000, 30, "load")
                begun = time.monotonic()
                equal(node.terminate(20), 0, "exit code")
                print(f"  {node} ended in {time.monotonic() - begun:.2f} s under load", flush=True)
            finally:
                load.kill()
                load.wait()
            node.start()
            poll(lambda: cluster.answers(node), 30, f"{node} serves again")
        cluster.expect_serving()


def commands(node):
    for line in fetch(node.http, "/metrics").splitlines():
        if line.startswith("asterias_resp_commands_total"):
            return int(float(line.split()[-1]))
    return 0


def status(_):
    """status prints a table and JSON of every group; the pages of the HTTP door answer"""
    with Cluster(keyspaces=["orders"]) as cluster:
        address = f"{HOST}:{cluster.nodes[1].http[1]}"
        told = run("status", "--node", address)
        equal(told.returncode, DONE)
        for text in ("cluster ", "system", "default", "orders"):
            expect(text in told.stdout, f"no {text!r} in {told.stdout}")
        found = json.loads(run("status", "--node", address, "--json").stdout)
        equal([group["keyspace"] for group in found["groups"]], ["system", "default", "orders"])
        equal(len(found["members"]), 3)
        for page in ("/livez", "/readyz", "/health"):
            equal(fetch(cluster.nodes[1].http, page), "ok\n", page)
        expect("# TYPE asterias_" in fetch(cluster.nodes[1].http, "/metrics"), "/metrics")


def page_of(node, path):
    """(status, body), also of what is no success."""
    try:
        return 200, fetch(node.http, path)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def probes(_):
    """without a majority a node lives and is not ready, and says who is missing"""
    with Cluster(keyspaces=["orders"], shards=2) as cluster:
        left, *others = cluster.nodes
        others[0].kill()
        poll(lambda: page_of(left, "/readyz") == (200, "ok\n"), 20, "ready with two of three")
        others[1].kill()
        told = poll(
            lambda: (p := page_of(left, "/readyz"))[1].count("hear node 2, node 3") == 2 and p,
            20, "what is missing",
        )
        equal(told[0], 503)
        for text in (
            "[+]loops ok\n[+]running ok\n[+]disk ok\n[+]copies ok\n[-]keyspaces failed: default: ",
            "2 of 3 copies are needed, and this node does not hear node 2, node 3; orders: ",
        ):
            expect(text in told[1], f"no {text!r} in {told[1]!r}")
        expect(told[1].endswith("\nreadyz check failed\n"), told[1])
        equal(page_of(left, "/health")[0], 503)
        equal(page_of(left, "/livez?verbose"), (200, "[+]loops ok\nok\n"))
        equal(page_of(left, "/readyz?exclude=keyspaces"), (200, "ok\n"))
        others[0].start()
        poll(lambda: page_of(left, "/readyz") == (200, "ok\n"), 20, "ready again")


@contextlib.contextmanager
def thread_held(pid, name):
    """One thread of another process stands still: as a tracer holds it."""
    attach, detach, wait_all = 16, 17, 0x40000000
    libc = ctypes.CDLL(None, use_errno=True)
    names = {t: (t / "comm").read_text() for t in pathlib.Path(f"/proc/{pid}/task").iterdir()}
    thread = next(int(t.name) for t, comm in names.items() if comm.strip() == name)
    equal(libc.ptrace(attach, thread, None, None), 0, f"ptrace: {os.strerror(ctypes.get_errno())}")
    os.waitpid(thread, wait_all)
    try:
        yield
    finally:
        libc.ptrace(detach, thread, None, None)


def hung_loop(_):
    """an event loop that hangs is named by /livez and /readyz, and nobody waits for it"""
    with Cluster(nodes=1, shards=2) as cluster:
        node = cluster.nodes[0]
        poll(lambda: page_of(node, "/readyz") == (200, "ok\n"), 20, "ready")
        with thread_held(node.process.pid, "ast-shard-1"):
            for page in ("livez", "readyz"):
                code, text = page_of(node, "/" + page)
                equal(code, 503, text)
                expect(text.startswith("[-]loops failed: the event loop of shard 1 took "), text)
                expect(text.endswith(f"\n{page} check failed\n"), text)
        poll(lambda: page_of(node, "/livez") == (200, "ok\n"), 20, "alive again")
        poll(lambda: page_of(node, "/readyz") == (200, "ok\n"), 20, "ready again")


def why(_):
    """why says that all is well, or which node is missing since when, and what to do"""
    with Cluster(keyspaces=["orders"]) as cluster:
        address = f"{HOST}:{cluster.nodes[1].http[1]}"
        ask = ["why", "--node", address]
        told = poll(lambda: (done := run(*ask)).returncode == DONE and done, 20, "all is well")
        expect("All is well: 3 nodes" in told.stdout, told.stdout)
        peer = cluster.nodes[2].peer[1]
        cluster.nodes[2].kill()

        def says(*texts):
            told = run(*ask)
            return told.returncode == CHECK_FAILED and all(t in told.stdout for t in texts)

        weak = ("orders: 2 of 3 copies are up", "one loss more stops it", f":{peer}: connect",
                "not connected since 2", "next: start it", "exit code 5")
        poll(lambda: says(*weak), 20, "what one loss means")
        status_told = run("status", "--node", address).stdout
        expect(f":{peer} is not connected" in status_told, status_told)
        cluster.nodes[0].kill()
        lost = "keyspace orders: no leader, nothing is served: 2 of 3 copies are needed"
        poll(lambda: says(lost), 20, "what two losses mean")
        found = json.loads(run(*ask, "--keyspace", "orders", "--json").stdout)["findings"]
        expect({"orders", ""} == {each["keyspace"] for each in found}, found)
        refused(run(*ask, "--keyspace", "none"), USAGE, "no keyspace 'none'", "orders")


def replica(_):
    """replica: lists, adds, removes, replaces and transfers while it serves; or refuses"""
    with Cluster(nodes=4, keyspaces=["orders"]) as cluster:
        door = ["--node-address", f"{HOST}:{cluster.nodes[1].http[1]}"]
        index = {node.status()["node"]: node for node in cluster.nodes}
        # The door that is asked stays up.
        kept = cluster.nodes[1].status()["node"]

        def holders(keyspace="default"):
            told = run("replica", "list", "--keyspace", keyspace, "--json", *door)
            equal(told.returncode, DONE, told.stderr)
            return json.loads(told.stdout)

        def nodes(keyspace="default"):
            return sorted(member["node"] for member in holders(keyspace)["members"])

        def order(what, *arguments, keyspace="default"):
            return run("replica", what, "--keyspace", keyspace, *arguments, *door, timeout=90)

        def done(what, *arguments):
            told = order(what, *arguments)
            equal((told.returncode, told.stdout), (DONE, "done\n"), f"{what} {told.stderr}")

        with cluster.nodes[0].resp_client() as client:
            for i in range(500):
                client.call("SET", f"key{i}", i)
        told = run("replica", "list", *door).stdout
        for text in ("system: led by node", "default: led by", "orders: led by", "  voter  "):
            expect(text in told, f"no {text!r} in {told}")
        before = nodes()
        equal(len(before), 3)
        free = ({1, 2, 3, 4} - set(before)).pop()
        refused(order("add", "--node", before[0]), REFUSED, f"node {before[0]} is a member already")
        refused(order("remove", "--node", free), REFUSED, f"node {free}")
        refused(order("add", "--node", 9), USAGE, "there is no node 9", "1, 2, 3, 4")
        refused(order("add", "--node", free, keyspace="none"), USAGE, "no keyspace 'none'")
        done("replace", "--from", before[0], "--node", free)
        equal(nodes(), sorted({free, before[1], before[2]}))
        done("add", "--node", before[0])
        equal(nodes(), [1, 2, 3, 4])
        done("transfer", "--node", free)
        equal(holders()["leader"], free)
        done("transfer")
        expect(holders()["leader"] != free, "it gave the lead away")
        done("remove", "--node", free)
        equal(nodes(), before)
        with index[free].resp_client() as client:  # it holds nothing of it, and answers
            equal(client.call("GET", "key499"), b"499")

        # With one of three down, another one must not be taken away; the dead one may be.
        members = [node for node in before if node != kept]
        dead, other = members[0], members[1]
        index[dead].kill()

        def noticed():
            silent = [member["node"] for member in holders()["members"] if not member["heard"]]
            return silent == [dead]

        poll(noticed, 20, "the leader notices")
        refused(order("remove", "--node", other), REFUSED, "2 of 3 copies", "--force")
        told = order("remove", "--node", other, "--force")
        refused(told, REFUSED, "of the 2 voters that would remain only 1 were heard lately")
        print("  " + told.stderr.strip(), flush=True)
        done("replace", "--from", dead, "--node", free)
        equal(nodes(), sorted({1, 2, 3, 4} - {dead}))
        cluster.expect_serving()


# ---------------------------------------------------------------------------------------------- dev


def dev_one(directory):
    """dev with one node: the card as JSON, commands are served, SIGINT ends it and the node"""
    flags, ports = three_ports()
    data = f"{directory}/dev-one"
    for i in range(2):
        with Process("dev", "--data", data, "--json", *flags) as process:
            card = json.loads(process.stdout.readline())
            print(
                f"  one node ready in {card['ready_seconds'] * 1000:.0f} ms "
                f"({'new' if i == 0 else 'again'})",
                flush=True,
            )
            equal(card["nodes"][0]["redis"], f"{HOST}:{ports[0]}")
            with Resp((HOST, ports[0])) as client:
                equal(client.call("INCR", "starts"), i + 1)
            process.send_signal(signal.SIGINT)
            equal(process.wait(20), 0, "exit code")
            pid = card["nodes"][0]["pid"]
            expect(not os.path.exists(f"/proc/{pid}"), "the node is still there")


def dev_three(directory):
    """dev --nodes 3: every address of the card answers; it says how to start a node that died"""
    port = free_ports(9)
    with Process(
        "dev",
        "--nodes",
        3,
        "--data",
        f"{directory}/dev-three",
        "--json",
        "--resp-port",
        port[0],
        "--http-port",
        port[3],
        "--peer-port",
        port[6],
    ) as process:
        card = json.loads(process.stdout.readline())
        print(f"  three nodes ready in {card['ready_seconds'] * 1000:.0f} ms", flush=True)
        for i, node in enumerate(card["nodes"], 1):
            equal((node["node"], node["directory"]), (i, f"{directory}/dev-three/node-{i}"))
            host, number = node["http"].split(":")
            told = fetch_json((host, int(number)), "/status", 5.0)
            equal(told["node"], i, "what the cluster calls it")
            host, number = node["redis"].split(":")
            with Resp((host, int(number))) as client:
                client.call("INCR", "asked")
            host, number = node["http"].split(":")
            equal(fetch((host, int(number)), "/health"), "ok\n")
        os.kill(card["nodes"][1]["pid"], signal.SIGKILL)
        expect("node 2 ended by signal 9" in process.stderr.readline(), "which node died")
        command = process.stderr.readline().split("start it again:")[1].split()
        again = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            serving([port[1]])
            with Resp((HOST, port[1])) as client:
                equal(client.call("GET", "asked"), b"3")
        finally:
            again.terminate()
            again.wait(20)
        process.send_signal(signal.SIGTERM)
        equal(process.wait(20), DONE, "exit code of dev")


def dev_text(directory):
    """dev without --json: the card says how to reach it"""
    flags, ports = three_ports()
    with Process("dev", "--data", f"{directory}/dev-text", *flags) as process:
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            line = process.stdout.readline()
            expect(line, f"the card ends early: {lines}")
            lines.append(line)
        card = "".join(lines)
        for text in (
            f"redis-cli -p {ports[0]}",
            f"http://{HOST}:{ports[1]}/metrics",
            "linearizable",
            "no password",
        ):
            expect(text in card, f"no {text!r} in {card}")


def main():
    claims = Claims()
    directory = tempfile.mkdtemp(prefix="asterias-test-")
    claims.run(
        [
            usage,
            configuration,
            simulator,
            empty_directory,
            init_twice,
            init_words,
            ports_collide,
            dev_fails,
            demo_stops,
            beyond_loopback,
            lived_in,
            dead_node,
            json_errors,
            one_data_directory,
            taken_ports,
            sigterm,
            sigterm_busy,
            status,
            probes,
            hung_loop,
            why,
            replica,
            dev_one,
            dev_three,
            dev_text,
        ],
        directory,
    )
    if not claims.failed:
        shutil.rmtree(directory)
    claims.end()


if __name__ == "__main__":
    main()
