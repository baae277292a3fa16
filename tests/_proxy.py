"""Between a node and those that dial it: frames that carry a snapshot to it pass a function that
may hold, change or drop them. The others are started with redirect.c preloaded, which leads their
connections here; docs/formats/rpc.md has the bytes."""
import contextlib
import pathlib
import shutil
import socket
import struct
import subprocess
import threading

from _frames import crc32c
from _tap import Failure

SOURCE = pathlib.Path(__file__).resolve().parent / "redirect.c"
HEADER_BYTES = 48
BEFORE_LENGTH_ENDS = 12  # length, its checksum, the checksum of the rest
SNAPSHOT = 8
BEGIN, PIECE = 1, 2
FRAME_FIELDS = [
    ("length", 0),
    ("checksum of the length", 4),
    ("checksum", 8),
    ("format", 12),
    ("type", 14),
    ("cluster", 16),
    ("cluster incarnation", 24),
    ("remaining time", 28),
    ("request", 32),
    ("trace", 40),
]


def build(directory):
    """The library to preload, made in `directory`: its path."""
    library = f"{directory}/redirect.so"
    compiler = next(name for name in ("clang-19", "clang", "gcc") if shutil.which(name))
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", library, str(SOURCE), "-ldl"],
        check=True,
        timeout=60,
    )
    return library


class Frame:
    """A Snapshot frame: its bytes, which may be changed, and where its fields begin."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.at = {}
        self.number = None
        place = HEADER_BYTES
        for name in ("group", "from", "to", "term"):
            self.at[name] = place
            value, place = self._varint(place)
            if name == "group":
                self.group = value
        self.at["id"], self.at["kind"] = place, place + 8
        self.kind = self.data[place + 8]
        place += 9
        if self.kind == BEGIN:
            self.at["head"] = place
        else:
            self.at["number"] = place
            self.number, place = self._varint(place)
            self.at["crc of the content"], self.at["last"] = place, place + 4
            self.last = self.data[place + 4]
            place += 5
            if self.last:
                self.at["pairs of all"] = place
                _, place = self._varint(place)
                self.at["crc of all"] = place
                place += 4
            self.at["length of the content"] = place
            _, self.content = self._varint(place)
            self.at["content"] = (self.content + len(self.data)) // 2

    def _varint(self, place):
        value = shift = 0
        while True:
            byte = self.data[place]
            value |= (byte & 127) << shift
            place, shift = place + 1, shift + 7
            if byte < 128:
                return value, place

    def flip(self, place, bit=1):
        self.data[place] ^= bit

    def make_piece_right(self):
        """The piece's own checksum, as a sender would make it that read something else."""
        crc = crc32c(self.data[self.content :])
        struct.pack_into("<I", self.data, self.at["crc of the content"], crc)

    def make_frame_right(self):
        struct.pack_into("<I", self.data, 8, crc32c(self.data[BEFORE_LENGTH_ENDS:]))


class Proxy:
    """`on_snapshot(frame)` is called in a thread of the connection and may change the frame's data;
    what is raised there is kept in `trouble`."""

    def __init__(self, to):
        self.to = to
        self.on_snapshot = None
        self.trouble = []
        self.listener = socket.create_server((to[0], 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def prefix(self, library):
        """For the nodes that shall come this way."""
        return [
            "env",
            f"LD_PRELOAD={library}",
            f"REDIRECT_FROM={self.to[1]}",
            f"REDIRECT_TO={self.port}",
        ]

    def close(self):
        self.listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self.listener.accept()
                try:
                    far = socket.create_connection(self.to, timeout=10)
                except OSError:  # the node is down
                    near.close()
                    continue
                far.settimeout(None)
                for link in (near, far):
                    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for work in (self._there, self._back):
                    threading.Thread(target=work, args=(near, far), daemon=True).start()

    def _back(self, near, far):
        with contextlib.suppress(OSError):
            while data := far.recv(1 << 18):
                near.sendall(data)
        end(near, far)

    def _there(self, near, far):
        try:
            with contextlib.suppress(OSError):
                with near.makefile("rb") as stream:
                    while head := stream.read(HEADER_BYTES):
                        (length,) = struct.unpack_from("<I", head)
                        more = BEFORE_LENGTH_ENDS + length - HEADER_BYTES
                        far.sendall(self._looked_at(head + stream.read(more)))
        except Exception as error:  # told by whoever waits for what this should have done
            self.trouble.append(error)
        end(near, far)

    def _looked_at(self, data):
        hook = self.on_snapshot
        if hook is None or struct.unpack_from("<H", data, 14)[0] != SNAPSHOT:
            return data
        frame = Frame(data)
        hook(frame)
        return frame.data

    def expect_no_trouble(self):
        if self.trouble:
            raise Failure(f"the proxy failed: {self.trouble[0]!r}")


def end(*links):
    for link in links:
        with contextlib.suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)


class Hold:
    """A hook that holds a snapshot of `group` at the first piece for which wanted(frame) is true,
    and everything behind it, until release()."""

    def __init__(self, group, wanted):
        self.group = group
        self.wanted = wanted
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, frame):
        if frame.group == self.group and frame.kind == PIECE and self.wanted(frame):
            self.reached.set()
            self.go_on.wait(60)

    def release(self):
        self.go_on.set()
