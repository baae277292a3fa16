"""Where a node keeps what, byte by byte: places in its files to damage. Drawn in
docs/formats/journal.md and identity.md; RocksDB's tables as far as their blocks."""
import mmap
import pathlib
import shutil
import struct

from _cluster import last_lines
from _tap import equal, expect

REFUSED = 5  # exit code of serve: starting it again does not help

SEGMENT_FIELDS = [
    ("magic", 0),
    ("checksum", 4),
    ("format", 8),
    ("zero", 12),
    ("number", 16),
    ("size", 24),
    ("cluster", 32),
    ("node", 40),
    ("shard", 48),
    ("life", 56),
    ("rest", 300),
]
RECORD_FIELDS = [
    ("magic", 0),
    ("checksum", 4),
    ("format", 8),
    ("fragment", 9),
    ("type", 10),
    ("kind", 11),
    ("body bytes", 12),
    ("segment", 16),
    ("offset", 24),
    ("synced offset", 28),
    ("synced segment", 32),
    ("group", 40),
    ("term", 48),
    ("index", 56),
    ("entry checksum", 64),
    ("checksum before", 68),
    ("body checksum", 72),
    ("entry bytes", 76),
    ("oldest", 80),
    ("zero", 84),
]
RECORD_BYTES = 88
RECORD_TYPES = [
    *("", "start", "groups", "vote", "purge", "entry"),
    *("moved", "release", "begin", "end", "reset"),
]
TABLE_PARTS = [
    "first data block",
    "a data block",
    "index",
    "checksum of the index",
    "properties or filter",
    "index of metadata",
    "checksum type in the footer",
    "handles in the footer",
    "version in the footer",
    "magic in the footer",
]
IDENTITY_FIELDS = [
    ("magic", 0),
    ("format", 8),
    ("checksum", 9),
    ("node", 13),
    ("start", 21),
    ("nonce", 29),
    ("shards", 37),
    ("born", 41),
    ("founding format", 42),
    ("cluster", 43),
    ("cluster incarnation", 51),
    ("expected members", 55),
    ("member", 62),
]


class Record:
    """A record of a segment, whole as its header says."""

    def __init__(self, path, offset, data):
        self.path = path
        self.offset = offset
        self.body = struct.unpack_from("<I", data, offset + 12)[0]
        self.type = RECORD_TYPES[data[offset + 10]]
        self.fragment = data[offset + 9]
        self.group = struct.unpack_from("<Q", data, offset + 40)[0]
        self.synced = struct.unpack_from("<QI", data, offset + 32)[0], struct.unpack_from(
            "<I", data, offset + 28
        )[0]
        self.end = offset + (RECORD_BYTES + self.body + 7) // 8 * 8


def records(path, behind=512):
    """Of this segment, in order, up to where they stop to follow each other."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        return read_records(path, data, behind)


def read_records(path, data, at):
    number = int(pathlib.Path(path).stem, 16)
    found = []
    while at + RECORD_BYTES <= len(data) and data[at : at + 4] == b"AJRR":
        if struct.unpack_from("<QI", data, at + 16) != (number, at):
            break
        found.append(Record(path, at, data))
        at = found[-1].end
    return found


def segments(directory):
    """Segments with records, oldest first."""
    found = sorted(pathlib.Path(directory).glob("*.journal"))
    return [path for path in found if records(path)]


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def is_table(path):
    """One of RocksDB's that was written to its end, which is its magic number."""
    return pathlib.Path(path).read_bytes()[-8:] == bytes.fromhex("f7cff485b741e288")


def table_places(path):
    """(name, offset) of every kind of byte in one of RocksDB's tables."""
    data = pathlib.Path(path).read_bytes()
    footer = len(data) - 53
    meta_at, at = varint(data, footer + 1)
    meta_size, at = varint(data, at)
    index_at, at = varint(data, at)
    index_size, at = varint(data, at)
    places = [
        20,
        index_at // 2,
        index_at + index_size // 2,
        index_at + index_size + 2,
        (max(index_at + index_size + 5, 0) + meta_at) // 2,
        meta_at + meta_size // 2,
        footer,
        footer + 2,
        footer + 41,
        footer + 47,
    ]
    return list(zip(TABLE_PARTS, places))


def flip(path, offset, bit=1):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ bit]))


class Patient:
    """A node of the cluster that is down, with a copy of its files from before any damage."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.node = cluster.nodes[2]
        self.node.kill()
        self.healthy = self.node.data + ".healthy"
        shutil.copytree(self.node.data, self.healthy)
        self.served = False

    def path(self, name):
        return pathlib.Path(self.node.data) / name

    def journal(self):
        """The segment with the acknowledged records, and how far it is written."""
        found = max(
            pathlib.Path(self.node.data, "journal-0").glob("*.journal"),
            key=lambda path: len(path.read_bytes().rstrip(b"\0")),
        )
        return found, len(found.read_bytes().rstrip(b"\0"))

    def heal(self):
        """As it was before any damage, but for the file that says how often it was started: the
        others would take it for what it is, an old copy."""
        self.node.kill()
        if self.served:
            shutil.copy(self.path("identity"), self.healthy)
        self.served = False
        shutil.rmtree(self.node.data)
        shutil.copytree(self.healthy, self.node.data)
        pathlib.Path(self.node.log_path()).write_text("", encoding="ascii")

    def refuses(self, *texts):
        self.node.start()
        self.node.process.wait(timeout=30)
        told = self.node.log()
        equal(self.node.process.returncode, REFUSED, f"exit code with {last_lines(told)}")
        self.node.process = None
        for text in texts:
            expect(text in told, f"no {text!r} in {last_lines(told)}")

    def start(self):
        """For a start that may succeed: the others see it."""
        self.node.start()
        self.served = True
