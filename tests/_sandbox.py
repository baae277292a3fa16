"""A world of its own for one script: its processes, mounts and network interfaces live in
namespaces that end with it, however it ends, so nothing is left to be cleaned up.

`enter()` starts the script again in there. `Network` gives every node an interface on a bridge and
cuts, loses and slows what they send to each other; `Volume` is a small file system. The kernel's
netem is not needed: a packet filter of eight instructions drops what a node hears from another."""
import contextlib
import os
import signal
import subprocess
import sys
import threading

MARK = "ASTERIAS_TEST_SANDBOX"
NET = "10.77.0."
GATEWAY = NET + "254"
MIB = 1024 * 1024


class Unavailable(Exception):
    """What this machine does not let us do."""


def tell(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:  # it is not installed
        raise Unavailable(str(error)) from error
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def enter():
    """Comes back in the sandbox only. The process that was called waits for it and ends with its
    exit code. Raises Unavailable outside of it."""
    os.environ["PATH"] += ":/usr/sbin"  # of ip and tc, for who is not root
    if os.environ.get(MARK) != "inside":
        unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if os.geteuid() != 0:
            unshare += ["--user", "--map-root-user"]
        tell(*unshare, "ip", "link", "set", "lo", "up")
        environment = dict(os.environ, **{MARK: "inside"})
        inside = subprocess.Popen([*unshare, sys.executable, *sys.argv], env=environment)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever is inside hears it, and tidies up
        raise SystemExit(inside.wait())
    tell("ip", "link", "set", "lo", "up")
    tell("mount", "-t", "tmpfs", "tmpfs", "/run")  # where ip keeps the names of namespaces


class Network:
    """One namespace with the interface `eth0` for each node, and a bridge between them, on which
    this process is GATEWAY. All cuts are silent: packets vanish."""

    def __init__(self, count):
        self.count = count
        self.one_at_a_time = threading.Lock()
        self.lost = {}  # {(from, to): share of the packets that vanish}
        tell("ip", "link", "add", "bridge", "type", "bridge")
        tell("ip", "address", "add", GATEWAY + "/24", "dev", "bridge")
        tell("ip", "link", "set", "bridge", "up")
        for at in range(count):
            self.plug(at)
        self.cut(0, count - 1)  # whether this machine can
        self.heal()

    def plug(self, at):
        tell("ip", "netns", "add", f"n{at}")
        tell(*f"ip link add v{at} type veth peer name eth0 netns n{at}".split())
        tell(*f"ip link set v{at} master bridge up".split())
        self.inside(at, "ip", "address", "add", f"{self.host(at)}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            self.inside(at, "ip", "link", "set", device, "up")
        self.inside(at, "tc", "qdisc", "add", "dev", "eth0", "ingress")

    @staticmethod
    def host(at):
        return f"{NET}{at + 1}"

    @staticmethod
    def prefix(at):
        """What makes a program live on this node's side."""
        return ["nsenter", f"--net=/run/netns/n{at}"]

    def inside(self, at, *command):
        return tell(*self.prefix(at), *command)

    def lose(self, sender, hearer, share):
        """Of what `hearer` would hear from `sender` this share vanishes; 1: all, 0: none."""
        where = ["dev", "eth0", "parent", "ffff:", "prio", str(sender + 1)]
        with self.one_at_a_time:
            if self.lost.get((sender, hearer), 0) == share:
                return
            if self.lost.pop((sender, hearer), 0):
                self.inside(hearer, "tc", "filter", "del", *where)
            if share:
                kind = ["protocol", "ip", "bpf", "da", "bytecode", drop_program(sender, share)]
                self.inside(hearer, "tc", "filter", "add", *where, *kind)
                self.lost[(sender, hearer)] = share

    def cut(self, one, other, share=1):
        self.lose(one, other, share)
        self.lose(other, one, share)

    def dropped(self):
        """Packets that have vanished."""
        total = 0
        for at in range(self.count):
            told = self.inside(at, *"tc -s qdisc show dev eth0 ingress".split())
            total += int(told.partition("(dropped ")[2].partition(",")[0])
        return total

    def unplug(self, at):
        tell("ip", "link", "set", f"v{at}", "down")

    def slow(self, at, kbit):
        """What it sends waits for a line of so many kbit/s, with up to 256 KiB in the queue."""
        line = f"tbf rate {kbit}kbit burst 16kb limit 256kb"
        self.inside(at, "tc", "qdisc", "replace", "dev", "eth0", "root", *line.split())

    def reset(self, at):
        """Its connections to other nodes end at once, on both sides."""
        with contextlib.suppress(Unavailable):  # none there
            self.inside(at, "ss", "-K", f"dst {NET}0/24 and not dst {GATEWAY}")

    def heal(self):
        for sender, hearer in list(self.lost):
            self.lose(sender, hearer, 0)
        for at in range(self.count):
            tell("ip", "link", "set", f"v{at}", "up")
            with contextlib.suppress(Unavailable):  # none there
                self.inside(at, "tc", "qdisc", "del", "dev", "eth0", "root")


def drop_program(sender, share):
    """Classic BPF: IPv4 from `sender` is dropped with this probability."""
    a, b, c, d = map(int, Network.host(sender).split("."))
    address = a << 24 | b << 16 | c << 8 | d
    code = [
        (40, 0, 0, 12),  # half a word at 12: the type of the frame
        (21, 0, 5, 0x0800),
        (32, 0, 0, 26),  # the word at 26: the source
        (21, 0, 3, address),
        (32, 0, 0, 0xFFFFF000 + 56),  # a random word
        (37, 1, 0, int(share * (1 << 32)) - 1),
        (6, 0, 0, 2),  # drop
        (6, 0, 0, 0xFFFFFFFF),  # ask the next filter
    ]
    return f"{len(code)}," + ",".join(" ".join(map(str, line)) for line in code)


class Volume:
    """A file system of so many MiB, in a file where loop devices work, else in memory."""

    def __init__(self, path, mib):
        self.path = path
        self.ballast = os.path.join(path, "ballast")
        os.makedirs(path)
        try:
            image = path + ".image"
            with open(image, "wb") as file:
                file.truncate(mib * MIB)
            tell("mkfs.ext4", "-q", "-F", "-m", "0", image)
            tell("mount", "-o", "loop", image, path)
            self.kind = "ext4"
        except Unavailable:
            tell("mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", path)
            self.kind = "tmpfs"

    def free(self):
        """Bytes."""
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    def fill(self, leave):
        """Takes all but `leave` bytes."""
        with open(self.ballast, "ab") as file:
            more = self.free() - leave
            if more > 0:
                os.posix_fallocate(file.fileno(), file.tell(), more)

    def end(self):
        tell("umount", self.path)

    def clear(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.ballast)
