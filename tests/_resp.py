"""A small blocking RESP2 client on a raw socket: fast enough to load a cluster, and plain enough to
say exactly which bytes were sent."""
import socket


class Error(Exception):
    """An error reply, without its '-'."""

    @property
    def code(self):
        return str(self).split(" ", 1)[0]


class Closed(ConnectionError):
    """The peer closed the connection."""


def encode(*arguments):
    out = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if not isinstance(argument, bytes):
            argument = str(argument).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(argument), argument))
    return b"".join(out)


class Resp:
    def __init__(self, address, timeout=10.0):
        self.socket = socket.create_connection(address, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def call(self, *arguments):
        """The reply; an error reply is raised."""
        self.send(encode(*arguments))
        reply = self.reply()
        if isinstance(reply, Error):
            raise reply
        return reply

    def reply(self):
        """One reply; an error reply is returned."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode("latin-1")
        if kind == b"-":
            return Error(rest.decode("latin-1"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self._exactly(length + 2)[:-2]
        if kind == b"*":
            return None if int(rest) < 0 else [self.reply() for _ in range(int(rest))]
        raise Error(f"no RESP2 reply: {line[:80]!r}")

    def at_end(self):
        """Whether the peer closes without another byte."""
        if self.unread:
            return False
        try:
            self.unread = self.socket.recv(65536)
        except ConnectionResetError:
            return True
        return not self.unread

    def _more(self):
        data = self.socket.recv(262144)
        if not data:
            raise Closed("the peer closed the connection")
        self.unread += data

    def _line(self):
        while True:
            end = self.unread.find(b"\r\n")
            if end >= 0:
                line, self.unread = self.unread[:end], self.unread[end + 2 :]
                return line
            self._more()

    def _exactly(self, count):
        while len(self.unread) < count:
            self._more()
        data, self.unread = self.unread[:count], self.unread[count:]
        return data
