#!/usr/bin/python3
"""README.md and docs/*.md: every block of commands is run, and prints what the text says.

    docs_blocks.py [NAME...]      only documents whose path contains one of these

A document is a session: its blocks run in order, in one shell and one new directory. Fences:

    ```sh         one script that has to end well (set -e)
    ```console    lines `$ ` are commands (`> ` continues one), the others what they print; `...`
                  stands for any text within a line, alone on a line for any lines
    ```python     a script for Debian's python3
    ```toml, ```ini, ```text       no commands

Any other fence is a failure. HTML comments before a fence say more:

    <!-- not run: reason -->  it needs what a test has not: a package manager, systemd, the network
    <!-- goes on -->          its one command stays; what it is to print is waited for
    <!-- ended -->            behind it everything that goes on was ended (Ctrl-C in its terminal)
    <!-- until -->            asked again until it prints that
    <!-- machine 2 -->        typed there: its /var/lib is not that of machine 1

What a text says and what is run differ in this, and in nothing else:

    6379 to 6382, 8080 to 8083, 7400 to 7403     free ports, also where the program's defaults are
    10.0.0.1 to 10.0.0.3                         127.0.0.1 to 127.0.0.3
    /var/lib/asterias, /etc/asterias             directories of the session; /var/lib of a machine
    redis-cli                                    redis-cli --no-raw: as it prints on a terminal
    ./dev up                                     asterias dev --nodes 3: it is built already

Of what is printed two kinds of lines do not count: NOISE.
"""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from _cluster import ASTERIAS, ROOT, free_ports
from _tap import Claims, Failure, expect, poll

SECONDS_MAX = 60  # of one command: only a hang meets it
UNTIL_SECONDS_MAX = 30
FIRST_PORTS = (6379, 8080, 7400)
PORTS_EACH = 4
RUN = ("sh", "console", "python")
DATA = ("toml", "ini", "text")
SAYS = re.compile(r"not run: .+|goes on|ended|until|machine [123]")

PROGRAM = """#!/bin/bash
# The program, at the ports of the test where none is named.
names() { local flag="$1"; shift; [[ " $* " == *" $flag "* ]]; }
flags=()
case "$1" in
    dev | serve)
        names --config "$@" || names --resp-port "$@" || flags+=(--resp-port %(resp)s)
        names --config "$@" || names --http-port "$@" || flags+=(--http-port %(http)s)
        names --config "$@" || names --peer-port "$@" || flags+=(--peer-port %(peer)s)
        if names --config "$@"; then
            export ASTERIAS_RESP_PORT=%(resp)s ASTERIAS_HTTP_PORT=%(http)s
            export ASTERIAS_PEER_PORT=%(peer)s
        fi ;;
    why | status) names --node "$@" || flags=(--node 127.0.0.1:%(http)s) ;;
    replica | keyspace)
        names --node-address "$@" || flags=(--node-address 127.0.0.1:%(http)s) ;;
esac
names --help "$@" && flags=()
exec -a "${CALLED:-asterias}" '%(program)s' "$@" "${flags[@]}"
"""
CLIENT = """#!/bin/bash
[[ " $* " == *" -p "* ]] || set -- -p %(resp)s "$@"
exec /usr/bin/redis-cli --no-raw "$@"
"""
DEV = """#!/bin/bash
[[ "$1" == up ]] || exit 2
CALLED=build/release/asterias exec asterias dev --nodes 3 "${@:2}"
"""


class Block:
    def __init__(self, path, line, language, says, lines):
        self.path, self.line, self.language, self.says = path, line, language, says
        self.lines = lines

    def __str__(self):
        first = self.lines[0] if self.lines else ""
        return f"{self.path}:{self.line} {first.removeprefix('$ ')[:60]}"

    def reason(self):
        return next((s[9:] for s in self.says if s.startswith("not run: ")), None)

    def commands(self):
        """Of a console: [(command, what it prints)]."""
        out = []
        for line in self.lines:
            if line.startswith("$ "):
                out.append((line[2:], []))
            elif line.startswith("> ") and out and not out[-1][1]:
                out[-1] = (out[-1][0] + "\n" + line[2:], [])
            else:
                expect(out, f"{self}: prints before anything was asked")
                out[-1][1].append(line)
        return out


def blocks_of(path):
    """The fences of a document, each with the comments that stand right before it."""
    found, says, fence = [], [], None
    for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
        if fence is not None:
            if line.startswith("```"):
                found.append(fence)
                fence, says = None, []
            else:
                fence.lines.append(line)
        elif line.startswith("```"):
            fence = Block(path, number, line[3:].strip(), says, [])
        elif comment := re.fullmatch(r"<!-- (.+) -->", line):
            says = says + [comment.group(1)]
            if comment.group(1) == "ended":
                found.append(Block(path, number, "ended", [], []))
        elif line.strip():
            expect("```" not in line, f"{path}:{number}: a fence begins its line")
            says = []
    expect(fence is None, f"{path}: a fence is not closed")
    return found


def pattern(lines):
    """What lines of expected output match: `...` is any text, alone on its line any lines."""
    parts = []
    for line in lines:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            text = r".*".join(re.escape(part.rstrip()) for part in line.split("..."))
            parts.append(text + r"[ ]*\n")
    return re.compile("".join(parts))


# The shell's own words on jobs, and those of a node on a busy machine, or one of few descriptors.
NOISE = re.compile(
    r"^(?:(?:/\S+|bash): line \d+: +\d+ (?:Killed|Terminated).*"
    r"|\S+ \S+ warning (?:runtime: a turn of shard|serve: maxclients is) .*)\n",
    re.M,
)


def clean(output):
    return NOISE.sub("", output).rstrip() + "\n"


class Session:
    """One document: a shell in a directory of its own, and what goes on beside it."""

    def __init__(self, ports):
        self.directory = tempfile.mkdtemp(prefix="asterias-test-")
        self.ports = {
            str(first + i): str(ports[PORTS_EACH * kind + i])
            for kind, first in enumerate(FIRST_PORTS)
            for i in range(PORTS_EACH)
        }
        self.machine = "1"
        self.going_on = []
        self.marks = 0
        self.make_programs()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ASTERIAS")}
        self.environment = dict(environment, PATH=f"{self.directory}/bin:/usr/bin:/bin", LC_ALL="C")
        self.place = f"{self.directory}/place"
        self.shell = self.spawn(["bash", "--norc"], subprocess.PIPE, subprocess.PIPE)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.shell.stdout, selectors.EVENT_READ)

    def make_programs(self):
        values = {
            "resp": self.ports["6379"],
            "http": self.ports["8080"],
            "peer": self.ports["7400"],
            "program": os.path.abspath(ASTERIAS),
        }
        for place in ("bin", "place", "etc", "var1", "var2", "var3"):
            os.mkdir(f"{self.directory}/{place}")
        programs = {"bin/asterias": PROGRAM, "bin/redis-cli": CLIENT}
        for name, text in programs.items():
            pathlib.Path(self.directory, name).write_text(text % values, encoding="utf-8")
            os.chmod(f"{self.directory}/{name}", 0o755)
        pathlib.Path(self.directory, "place/dev").write_text(DEV, encoding="utf-8")
        os.chmod(f"{self.directory}/place/dev", 0o755)

    def spawn(self, words, stdin, stdout):
        return subprocess.Popen(
            words,
            cwd=self.place,
            env=self.environment,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def close(self, failed):
        self.end_going_on()
        end_group(self.shell)
        self.shell.wait()
        self.selector.close()
        self.shell.stdin.close()
        self.shell.stdout.close()
        if failed:
            print(f"  data and logs: {self.directory}", flush=True)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def here(self, text):
        """What the document says, at the ports and paths of this session."""
        text = re.sub(r"(?<!\d)\d{4}(?!\d)", lambda m: self.ports.get(m[0], m[0]), text)
        text = re.sub(r"\b10\.0\.0\.([123])\b", r"127.0.0.\1", text)
        text = text.replace("/var/lib/asterias", f"{self.directory}/var{self.machine}/asterias")
        return text.replace("/etc/asterias", f"{self.directory}/etc")

    def shell_does(self, command, strict=False):
        """Output and exit code of one command of the session's shell."""
        self.marks += 1
        mark = f"=== {self.marks} ends "
        script = f"{{ {command}\n}} < /dev/null 2>&1\nprintf '\\n%s%d\\n' '{mark}' $?\n"
        if strict:
            script = f"set -e\n{script}set +e\n"
        self.shell.stdin.write(script.encode())
        self.shell.stdin.flush()
        output, deadline = b"", time.monotonic() + SECONDS_MAX
        ends = re.compile(rb"\n" + mark.encode() + rb"(\d+)\n")
        while not (end := ends.search(output)):
            left = deadline - time.monotonic()
            expect(left > 0, f"`{command}` goes on after {SECONDS_MAX} s: {output.decode()}")
            if self.selector.select(min(left, 0.2)):
                part = os.read(self.shell.stdout.fileno(), 65536)
                expect(part, f"`{command}` failed: {output.decode()}")
                output += part
            elif self.shell.poll() is not None:  # what goes on may hold its output open
                raise Failure(f"`{command}` failed: {output.decode()}")
        return output[: end.start()].decode(errors="replace"), int(end.group(1))

    def run(self, block):
        for said in block.says:
            expect(SAYS.fullmatch(said), f"the comment '{said}' means nothing")
            expect(said != "until" or block.language == "console", "until is for what is printed")
            if said.startswith("machine"):
                self.machine = said.split()[1]
        if block.language == "ended":
            return self.end_going_on()
        if "goes on" in block.says:
            return self.begin(block)
        if block.language == "console":
            if "until" not in block.says:
                return self.converse(block)
            return self.converse_until(block)
        script = self.here("\n".join(block.lines))
        if block.language == "python":
            script = f"/usr/bin/python3 - <<'END OF SCRIPT'\n{script}\nEND OF SCRIPT"
        output, code = self.shell_does(script, strict=block.language == "sh")
        return expect(code == 0, f"exit code {code}: {output}")

    def converse(self, block):
        for command, prints in block.commands():
            output = clean(self.shell_does(self.here(command))[0])
            wanted = self.here("\n".join(prints)).split("\n")
            if not pattern(wanted).fullmatch(output):
                raise Failure(f"`{command}` printed {output!r}, not {wanted}")

    def converse_until(self, block):
        last = []

        def agrees():
            try:
                self.converse(block)
            except Failure as error:
                last[:] = [error]
                return False
            return True

        try:
            poll(agrees, UNTIL_SECONDS_MAX, "it")
        except Failure:
            raise last[0] from None

    def begin(self, block):
        command, prints = block.commands()[0]
        path = f"{self.directory}/goes-on-{len(self.going_on)}"
        with open(path, "wb") as out:
            words = ["bash", "-c", self.here(command)]
            self.going_on.append(self.spawn(words, subprocess.DEVNULL, out))
        wanted = pattern([*self.here("\n".join(prints)).split("\n"), "..."])

        def printed():
            text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
            if self.going_on[-1].poll() is not None:
                raise Failure(f"it ended: {text}")
            return wanted.fullmatch(text)

        poll(printed, SECONDS_MAX, f"what `{command}` prints")

    def end_going_on(self):
        for process in self.going_on:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            end_group(process)
            process.wait()
        self.going_on = []


def end_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run_document(path, ports):
    """[(claim, why it does not hold or None)]: behind the first that fails nothing is run."""
    results, session = [], None
    try:
        blocks = blocks_of(path)
    except Failure as error:
        return [(path, error)]
    for block in blocks:
        try:
            if block.language in DATA:
                continue
            if block.reason():
                results.append((f"{block} (not run: {block.reason()})", None))
                continue
            known = block.language in RUN or block.language == "ended"
            expect(known, f"a fence '{block.language}' is neither run nor says why not")
            session = session or Session(ports)
            session.run(block)
            if block.language != "ended":
                results.append((str(block), None))
        except Exception as error:  # also of a client's process: it is told below
            results.append((str(block), error))
            break
    if session:
        session.close(bool(results and results[-1][1]))
    return results


def main():
    documents = ["README.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
    if len(sys.argv) > 1:
        documents = [d for d in documents if any(word in d for word in sys.argv[1:])]
    claims = Claims()
    each = PORTS_EACH * len(FIRST_PORTS)
    ports = free_ports(each * len(documents))  # of all at once, so that no two have the same
    runs = [ports[i : i + each] for i in range(0, len(ports), each)]
    with concurrent.futures.ThreadPoolExecutor(len(documents)) as pool:
        for results in pool.map(run_document, documents, runs):
            for text, error in results:
                with claims.claim(text):
                    if error:
                        raise error
    claims.end()


if __name__ == "__main__":
    main()
