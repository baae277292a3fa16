"""Connections of a Redis door that were answered once and then say nothing: many of them, held by
one epoll, for tests and for `./dev bench --rows connections`."""
import errno
import resource
import select
import socket
import ssl
import time

PING = b"*1\r\n$4\r\nPING\r\n"
PER_SOURCE = 20_000  # connections from one address of 127/8: it has no more ports than 28,232


def allow_descriptors():
    """As many as this process may have; how many those are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def pss(pid):
    """Bytes of memory of a process, what is shared counted in part. The kernel's are not in it."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return sum(int(line.split()[1]) << 10 for line in rollup if line.startswith("Pss:"))


def refusal(address, timeout=20):
    """What a door says by itself to one that it does not want, up to the end; or what it is waiting
    for: nothing is sent."""
    with socket.create_connection(address, timeout=timeout) as link:
        said = b""
        while part := link.recv(1000):
            said += part
        return said


class Link:
    def __init__(self, raw):
        self.socket = raw
        self.number = raw.fileno()
        self.connected = False
        self.asked = False
        self.got = b""


class Idle:
    """`tls`: a context, or None. `hello` is sent first; `answer` is what it is answered. `at_once`:
    connections on their way to that."""

    def __init__(self, address, tls=None, hello=PING, answer=b"+PONG\r\n", at_once=64):
        self.address, self.tls, self.at_once = address, tls, at_once
        self.hello, self.answer = hello, answer
        self.epoll = select.epoll()
        self.coming, self.held = {}, {}  # by descriptor
        self.refused = []  # why, each
        self.made = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for link in [*self.coming.values(), *self.held.values()]:
            link.socket.close()
        self.coming, self.held = {}, {}
        self.epoll.close()

    def open(self, count, seconds=300):
        """So many more; TimeoutError if they are not all answered or refused within this time."""
        deadline = time.monotonic() + seconds
        while count or self.coming:
            while count and len(self.coming) < self.at_once:
                self.begin()
                count -= 1
            left = deadline - time.monotonic()
            events = self.epoll.poll(left) if left > 0 else []
            if not events and time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.coming)} connections without an answer")
            for number, _ in events:
                if link := self.coming.get(number):
                    self.step(link)

    def lost(self):
        """How many of those held are not as they were: ended, or told something."""
        return len(self.epoll.poll(0))

    def begin(self):
        raw = socket.socket()
        raw.setblocking(False)
        self.made += 1
        if source := self.made // PER_SOURCE:
            raw.bind((f"127.0.0.{1 + source}", 0))
        failed = raw.connect_ex(self.address)
        if failed not in (0, errno.EINPROGRESS):
            raw.close()
            self.refused.append(errno.errorcode[failed])
            return
        link = Link(raw)
        self.coming[link.number] = link
        self.epoll.register(link.number, select.EPOLLOUT)

    def connected(self, link):
        if failed := link.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(errno.errorcode[failed])
        link.connected = True
        if self.tls:  # it keeps the descriptor
            link.socket = self.tls.wrap_socket(
                link.socket, server_hostname=self.address[0], do_handshake_on_connect=False
            )

    def step(self, link):
        wants = select.EPOLLIN
        try:
            if not link.connected:
                self.connected(link)
            if not link.asked:
                if self.tls:
                    link.socket.do_handshake()
                link.socket.send(self.hello)
                link.asked = True
            part = link.socket.recv(4096)
            link.got += part
            if not part:
                raise OSError("closed")
            if len(link.got) < len(self.answer):
                return
            if link.got != self.answer:
                raise OSError("another answer")
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except ssl.SSLWantWriteError:
            wants = select.EPOLLOUT
        except OSError as error:
            self.refused.append(link.got.decode("latin-1").strip() or str(error))
            del self.coming[link.number]
            link.socket.close()
            return
        self.epoll.modify(link.number, wants)
        if link.got == self.answer:
            self.held[link.number] = self.coming.pop(link.number)
