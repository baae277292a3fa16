#!/usr/bin/python3
"""What the program says of itself and how: every command with --json through a parser, help, the
manual page, completion in three shells, the map, words about misspelt ones, JSON logs, and what
`cmake --install` lays down."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from _cluster import ASTERIAS, BUILD, HOST, ROOT, Cluster, free_ports, run
from _tap import Claims, equal, expect, poll

DONE, FAILED, USAGE, UNREACHABLE, CHECK_FAILED, REFUSED = range(6)
# A node that serves; a text for this or that shell; the simulator, whose options are its own.
NO_JSON = {("serve",), ("completion",), ("sim",)}


def tree():
    told = run("help", "--json")
    equal(told.returncode, DONE, told.stderr)
    return json.loads(told.stdout)


def leaves():
    return {tuple(each["path"]): each for each in tree()["commands"] if each["leaf"]}


# -------------------------------------------------------------------------------------------- json


def ways(cluster):
    """How each command is called, and with which exit code it ends, on a cluster of one node."""
    node = cluster.nodes[0]
    http = f"{HOST}:{node.http[1]}"
    redis = ["--node", f"{HOST}:{node.resp[1]}"]
    order = ["--node-address", http, "--keyspace", "default"]
    d = cluster.directory
    pathlib.Path(f"{d}/good.toml").write_text("shards = 1\n", encoding="utf-8")
    pathlib.Path(f"{d}/text").write_text("one two two", encoding="utf-8")
    return {
        ("init",): ([["--data", f"{d}/made"]], DONE),
        ("config",): ([["--config", f"{d}/good.toml"]], DONE),
        ("check-config",): ([[f"{d}/good.toml"]], DONE),
        ("user", "hash"): ([[]], DONE),
        ("status",): ([["--node", http]], DONE),
        ("why",): ([["--node", http]], DONE),
        ("top",): ([["--node", http, "--once", "--interval", "200"]], DONE),
        ("replica", "list"): ([["--node-address", http]], DONE),
        ("replica", "add"): ([[*order, "--node", 1]], REFUSED),
        ("replica", "remove"): ([[*order, "--node", 1]], REFUSED),
        ("replica", "replace"): ([[*order, "--node", 2, "--from", 1]], USAGE),
        ("replica", "transfer"): ([[*order, "--node", 2]], USAGE),
        ("keyspace", "list"): ([["--node-address", http]], DONE),
        ("keyspace", "describe"): ([["--node-address", http, "default"]], DONE),
        ("keyspace", "create"): ([["--node-address", http, "cart"]], DONE),
        ("keyspace", "drop"): ([["--node-address", http, "cart"]], DONE),
        ("demo",): ([[f"{d}/text", "--nodes", 1, "--chaos", "none"]], DONE),
        ("kv", "put"): ([[*redis, "k", "v"]], DONE),
        ("kv", "get"): ([[*redis, "k"]], DONE),
        ("kv", "scan"): ([[*redis]], DONE),
        ("kv", "watch"): ([[*redis, "k", "--seconds", 0.1, "--interval", 20]], DONE),
        ("kv", "del"): ([[*redis, "k"]], DONE),
        ("bench",): ([[*redis, "--seconds", 0.2, "--keys", 10]], DONE),
        ("map",): ([[]], DONE),
        ("help",): ([[]], DONE),
    }


def json_everywhere(_):
    """every command has --json, and what it prints then parses; a new command stands here, too"""
    there = leaves()
    lacking = {
        path
        for path, each in there.items()
        if not any("--json" in option["names"] for option in each["options"])
    }
    equal(lacking, NO_JSON & set(there), "commands without --json")
    with Cluster(nodes=1) as cluster:
        known = ways(cluster)
        equal(set(there) - NO_JSON - {("dev",)}, set(known) & set(there), "commands to be called")
        for path, (calls, code) in known.items():  # in this order: put comes before get
            for arguments in calls if path in there else []:
                told = run(*path, *arguments, "--json", input="secret\n")
                equal(told.returncode, code, f"{path} {told.stdout} {told.stderr}")
                documents = [told.stdout]
                if path in (("kv", "watch"), ("demo",)):
                    documents = told.stdout.splitlines()
                for document in documents:
                    found = json.loads(document)
                    equal(found.get("exit_code", DONE), code, f"{path} {found}")
    port = free_ports(3)  # dev goes on until it is told to end
    ends = ["--resp-port", port[0], "--http-port", port[1], "--peer-port", port[2]]
    with tempfile.TemporaryDirectory() as directory, subprocess.Popen(
        [ASTERIAS, "dev", "--json", "--data", f"{directory}/dev", *map(str, ends)],
        stdout=subprocess.PIPE, text=True,
    ) as process:
        equal(len(json.loads(process.stdout.readline())["nodes"]), 1)
        process.terminate()
        equal(process.wait(30), DONE)


def json_of_failures(_):
    """who cannot reach a node, or is misspelt, says so in one JSON document with its exit code"""
    door = f"{HOST}:{free_ports(1)[0]}"
    calls = {
        ("status", "--node", door): UNREACHABLE,
        ("top", "--node", door): UNREACHABLE,
        ("top", "--node", door, "--once"): UNREACHABLE,
        ("kv", "put", "k", "v", "--node", door): UNREACHABLE,
        ("bench", "--node", door): UNREACHABLE,
        ("bench", "every"): USAGE,
        ("kv", "gte", "k"): USAGE,
        ("check-config", "/no/such"): USAGE,
        ("config", "--config", "/no/such"): USAGE,
        ("init", "--nodes", "9"): USAGE,
        ("init", "--data", "/proc/none"): REFUSED,
        ("map", "no such words"): CHECK_FAILED,
    }
    for arguments, code in calls.items():
        told = run(*arguments, "--json")
        equal(told.returncode, code, f"{arguments} {told.stdout} {told.stderr}")
        found = json.loads(told.stdout)
        if arguments[0] != "map":
            equal(found["exit_code"], code)
            expect(found["error"], found)


def json_logs(_):
    """serve --log-format json: each line of the log is an object, whatever stands in it"""
    with tempfile.TemporaryDirectory() as directory:
        equal(run("init", "--data", f"{directory}/n").returncode, DONE)
        port = free_ports(3)
        ports = ["--resp-port", port[0], "--http-port", port[1], "--peer-port", port[2]]
        name = 'a "name" with \\ and \x01 and \udcff'  # the last is a byte that is no UTF-8
        with subprocess.Popen(
            [ASTERIAS, "serve", "--data", f"{directory}/n", "--log-format", "json", "--log-level",
             "debug", "--name", name, *map(str, ports)],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        ) as process:
            lines = [process.stderr.readline()]
            # It catches SIGTERM before it says anything.
            process.terminate()
            lines += process.stderr.read().splitlines()
        for line in lines:
            found = json.loads(line.decode())
            equal(set(found), {"time", "level", "node", "room", "text"})
            equal(found["node"], 'a "name" with \\ and \x01 and \ufffd')


# ------------------------------------------------------------------------------------------- words


def misspelt(_):
    """a misspelt command or option is answered with the nearest one, and with what there is"""
    for arguments, *texts in (
        (["statsu"], "Did you mean status?", "The subcommands are: init"),
        (["kv", "gte"], "Did you mean get?", "The subcommands are: get put del scan watch"),
        (["status", "--jsn"], "Did you mean --json?"),
        (["replica", "lst"], "Did you mean list?"),
        (["serve", "--resp-prot=1"], "Did you mean --resp-port?"),
        (["help", "bnech"], "Did you mean bench?"),
        (["entirely-else"], "The subcommands are: init"),
    ):
        told = run(*arguments)
        equal(told.returncode, USAGE, told.stderr)
        for text in texts:
            expect(text in told.stderr, f"no {text!r} in {told.stderr!r}")
    expect("Did you mean" not in run("entirely-else").stderr, "it guesses wildly")


def help_words(_):
    """help NAME is NAME --help; each command has one line of what it is, and an example"""
    for path, each in leaves().items():
        expect(each["what"], f"{path} has no words")
        if path == ("sim",):
            continue
        told, same = run("help", *path), run(*path, "--help")
        equal((told.returncode, told.stdout), (DONE, same.stdout))
        expect("Example" in told.stdout, f"no example for {path}")


def written_down(_):
    """docs/cli.md names every command, and has every exit code in the program's own words"""
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    for path in leaves():
        expect(f"`{' '.join(path)}" in text, f"docs/cli.md lacks {' '.join(path)}")
    flat = " ".join(text.split())
    for each in tree()["exit_codes"]:
        expect(f"| {each['code']} | {each['means']} |" in flat, f"docs/cli.md lacks {each}")
    for each in tree()["exit_codes"]:
        expect(each["means"] in run("--help").stdout, f"help lacks {each}")


def manual(_):
    """the manual page is made of the same tree, and groff finds nothing wrong with it"""
    page = run("help", "--man")
    equal(page.returncode, DONE)
    for path in leaves():
        expect(".SS asterias " + " ".join(path).replace("-", "\\-") in page.stdout, f"no {path}")
    equal(page.stdout.count("no node was reached"), 1)
    if not shutil.which("groff"):
        print("skip no groff: the manual page is not set")
        return
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-P-c"], input=page.stdout, capture_output=True,
        text=True, timeout=60, check=False,
    )
    equal((done.returncode, done.stderr), (0, ""))
    shown = re.sub(".\b", "", done.stdout)
    for text in ("ASTERIAS(1)", "--password-file", "asterias kv get", "EXIT STATUS"):
        expect(text in shown, f"no {text} in the page")


def the_map(_):
    """map: the rows of docs/map.md; what is there in full, what is not by name"""
    rows = json.loads(run("map", "--json").stdout)["concepts"]
    equal([row["number"] for row in rows], list(range(1, 129)))
    table = (ROOT / "docs/map.md").read_text(encoding="utf-8")
    there = [row for row in rows if row["there"]]
    equal(len(there), 128 - len(re.findall(r"\| not yet \|", table)))
    text = run("map").stdout
    for row in rows:
        expect(row["concept"].split()[0] in text, f"no {row['concept']}")
        expect(not row["there"] or f"see it:   {row['see']}\n" in text, f"how to see {row}")
    expect(f"Not there yet, {128 - len(there)} of 128" in text, text[-300:])
    one = run("map", "65").stdout
    expect(one.startswith(" 65  Raft\n"), one)
    expect("expected: " in run("map", "shard").stdout, "what is expected of a row that is missing")


# -------------------------------------------------------------------------------------- completion


def bash_completion(_):
    """bash: commands, options, choices and files, where the cursor is"""
    script = run("completion", "bash").stdout
    asked = r"""
eval "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _asterias; printf '%s\n' "${COMPREPLY[@]}"
"""

    def complete(*words):
        done = subprocess.run(
            ["bash", "-c", asked, "bash", script, "asterias", *words], capture_output=True,
            text=True, timeout=60, check=False, cwd=ROOT,
        )
        equal((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    expect({"serve", "kv", "bench", "--version"} <= set(complete("")), complete(""))
    equal(complete("benc"), ["bench"])
    expect({"get", "put", "del", "scan", "watch"} <= set(complete("kv", "")), "kv")
    equal(complete("kv", "get", "--js"), ["--json"])
    equal(complete("kv", "get", "--json", "--us"), ["--user"])
    expect({"leader", "all", "none"} <= set(complete("demo", "--chaos", "")), "kinds of chaos")
    expect({"bash", "zsh", "fish"} <= set(complete("completion", "")), "shells")
    equal(complete("check-config", "CMakeLi"), ["CMakeLists.txt"])
    equal(complete("serve", "--config", "CMakeLi"), ["CMakeLists.txt"])
    equal(complete("status", "--node", ""), [])
    for path in leaves():
        expect(path[-1] in complete(*path[:-1], ""), f"{path} is not offered")


def other_shells(_):
    """zsh and fish: the scripts load, and fish offers what stands there"""
    for shell in ("zsh", "fish"):
        script = run("completion", shell)
        equal(script.returncode, DONE)
        for path in leaves():
            expect("/" + "/".join(path) in script.stdout, f"{shell} lacks {path}")
        program = os.environ.get("ASTERIAS_" + shell.upper()) or shutil.which(shell)
        if not program:
            print(f"skip no {shell}: its completion is not loaded")
            continue
        checked = subprocess.run([program, "-n"], input=script.stdout, capture_output=True,
                                 text=True, timeout=60, check=False)
        equal((checked.returncode, checked.stderr), (0, ""))
        if shell == "zsh":
            # Its own functions, which need a terminal, tell what they are given.
            told = """compdef() {}; _files() { print FILES }
                compadd() { shift; print -l -- "$@" }; _describe() { print -l -- "${(@P)2}" }
                """ + script.stdout + """
                words=(asterias kv ''); CURRENT=3; _asterias
                words=(asterias demo --chaos ''); CURRENT=4; _asterias"""
            done = subprocess.run([program, "-f"], input=told, capture_output=True, text=True,
                                  timeout=60, check=False)
            equal(done.stderr, "")
            offered = [line.split(":")[0] for line in done.stdout.splitlines()]
            equal(set(offered) & {"get", "watch", "leader", "serve"}, {"get", "watch", "leader"})
        if shell == "fish":
            asked = [f'complete -C "asterias {words} "' for words in ("kv", "demo --chaos")]
            asked = "\n".join([script.stdout, *asked])
            done = subprocess.run([program, "--no-config"], input=asked, capture_output=True,
                                  text=True, timeout=60, check=False)
            offered = [line.split("\t")[0] for line in done.stdout.splitlines()]
            equal(set(offered) & {"get", "watch", "leader", "serve"}, {"get", "watch", "leader"})


def installed(_):
    """cmake --install lays down the program, its manual page and the completions"""
    if not os.path.exists(f"{BUILD}/cmake_install.cmake"):
        print("skip the program lies in no build directory")
        return
    with tempfile.TemporaryDirectory() as prefix:
        done = subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix],
                              capture_output=True, text=True, timeout=120, check=False)
        equal(done.returncode, 0, done.stderr)
        for path, arguments in (
            ("share/man/man1/asterias.1", ["help", "--man"]),
            ("share/bash-completion/completions/asterias", ["completion", "bash"]),
            ("share/zsh/site-functions/_asterias", ["completion", "zsh"]),
            ("share/fish/vendor_completions.d/asterias.fish", ["completion", "fish"]),
        ):
            text = (pathlib.Path(prefix) / path).read_text(encoding="utf-8")
            equal(text, run(*arguments).stdout, path)
        told = subprocess.run([f"{prefix}/bin/asterias", "--version"], capture_output=True,
                              text=True, timeout=60, check=False)
        equal((told.returncode, told.stdout), (DONE, run("--version").stdout))


def main():
    claims = Claims()
    claims.run(
        [json_everywhere, json_of_failures, json_logs, misspelt, help_words, written_down, manual,
         the_map, bash_completion, other_shells, installed],
        None,
    )
    claims.end()


if __name__ == "__main__":
    sys.exit(main())
