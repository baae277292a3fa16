"""Frames between nodes as src/service/rpc/frame.h lays them out, to be sent by a test that is no
node."""
import struct

FORMAT = 5
HELLO, RAFT, FORWARD, FORWARD_REPLY, CALL, CALL_REPLY = range(1, 7)


def _table():
    rows = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        rows.append(value)
    return rows


TABLE = _table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def frame(
    kind,
    cluster,
    body=b"",
    *,
    incarnation=1,
    form=FORMAT,
    request=1,
    length=None,
    crc=None,
    length_crc=None
):
    """length, its checksum, the checksum of the rest, the rest; each can be given a wrong value."""
    rest = struct.pack("<HHQIIQQ", form, kind, cluster, incarnation, 0, request, 0) + body
    size = struct.pack("<I", len(rest) if length is None else length)
    return (
        size
        + struct.pack("<I", crc32c(size) if length_crc is None else length_crc)
        + struct.pack("<I", crc32c(rest) if crc is None else crc)
        + rest
    )


def varint(number):
    out = b""
    while number >= 128:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    body = varint(value)
    return varint(number) + varint(len(body)) + body


def hello(cluster, node, shard=0, **keywords):
    """What a node says first: its number, incarnation, shard, lane, and whom it looks for."""
    body = b"".join(field(i, value) for i, value in enumerate((node, 99, shard, 1, 0), 1))
    return frame(HELLO, cluster, body, **keywords)
