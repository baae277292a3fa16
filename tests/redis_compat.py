#!/usr/bin/python3
"""The same commands to Asterias and to a real redis-server 7.0: the bytes of the replies are equal,
in RESP2 and in RESP3. Without a redis-server of that version the claims are skipped."""
import random
import shlex
import socket
import subprocess
import sys
import tempfile

from _cluster import HOST, Cluster, free_ports
from _resp import Resp, encode
from _tap import Claims, Failure, equal, expect, poll

FAR = 4_000_000_000  # seconds since 1970: deadlines that are told, and do not pass

# One connection each; a line is a command as in a terminal. What they differ in on purpose is in
# docs/compat/resp.md, and not here.
SCRIPTS = {
    "set": """
        set k v | get k | set k w nx | set k w xx get | get k | set absent v xx
        set absent v xx get | set n v nx get | set n w nx get | get n | set k v get keepttl
        set k v exat FAR | expiretime k | set k w keepttl | pexpiretime k | set k v | ttl k
        set k v pxat FAR999 | pexpiretime k | expiretime k | set k v ex 0
        set k v px 9223372036854775807 | set k v ex 9223372036854775807
        set k v exat 9223372036854775807 | set k v nx xx | set k v ex 5 keepttl | set k v persist
        setnx k v | setnx fresh v | get fresh | setex k 100 v | setex k 0 v | setex k -1 v
        setex k x v | psetex k 100000 v | psetex k 0 v | psetex k 9223372036854775807 v
        setex k 9223372036854775807 v | getset k w | getset none w | get none | ttl k | getset k
        getdel k | getdel k | exists k | mset a 1 b 2 a 3 | mget a b c a | msetnx a 9 z 9
        exists z | msetnx y 1 z 2 y 3 | mget y z | mset a | msetnx a 1 b | mget | set | set k
        append k x | append k yz | strlen k | strlen absent
    """,
    "getex": """
        set k v | getex k | getex k ex 100 persist | getex k exat FAR | expiretime k
        getex k persist | ttl k | getex k ex 0 | getex k ex x | getex k nx | getex k keepttl
        getex k ex | getex absent | getex absent foo | getex k px 9223372036854775807
        getex k pxat 1 | exists k | getex k
    """,
    "ranges": """
        setrange k 0 "" | exists k | setrange k 3 foo | get k | setrange k 1 xy | get k
        setrange k 6 tail | get k | setrange k -1 x | setrange k x x | setrange k 0 ""
        getrange k 0 -1 | getrange k -3 -1 | getrange k 2 1 | getrange k -1 -2 | getrange k 0 100
        getrange k -100 2 | getrange k 100 200 | getrange absent 0 -1 | substr k 1 3
        getrange k x 1 | getrange k 0 x | getrange k 0
        getrange k -9223372036854775808 9223372036854775807 | substr k -2 -1 | getrange k 5 5
    """,
    "counters": r"""
        incr n | incrby n 41 | decr n | decrby n 2 | get n | set n 9223372036854775807 | incr n
        get n | set n -9223372036854775808 | decr n | decrby n -9223372036854775808 | incrby n x
        set n " 1" | incr n | set n 01 | incr n | set n 1.5 | incr n | incrbyfloat n 1.5
        incrbyfloat n 1e2 | incrbyfloat n -103 | incrbyfloat n x | incrbyfloat n nan
        incrbyfloat n inf | incrbyfloat n -inf | incrbyfloat n " 1" | incrbyfloat n 0x10
        incrbyfloat n 1.1 | incrbyfloat n 3.0e-17 | incrbyfloat n 12345678901234567890 | set n -0
        incrbyfloat n 0 | incrbyfloat n -1.23456789012345678901 | set n 5e-5000 | incrbyfloat n 1
        set n foo | incrbyfloat n 1 | set n 1e4932 | incrbyfloat n 9e4932 | incrbyfloat n 1e4932
        incrbyfloat fresh 0.1 | incrbyfloat fresh 0.2 | set n 1 exat FAR | incr n | expiretime n
        incrbyfloat n 1 | expiretime n | append n 0 | expiretime n | setrange n 0 5 | expiretime n
        get n
    """,
    "deadlines": """
        set k v | expire k 100 nx | expire k 100 nx | expire k 200 gt | expire k 100 gt
        expire k 300 lt | expireat k FAR | expiretime k | pexpireat k FAR999 | pexpiretime k
        expireat k FAR gt | persist k | persist k | expire k 10 gt | expire k 10 xx
        expireat k FAR lt | pexpiretime k | expireat k x | expireat k FAR foo
        expireat k FAR nx xx | expireat k FAR gt lt | expireat k 9223372036854775807
        expire k 9223372036854775807 | pexpire k 9223372036854775807
        expire k -9223372036854775808 | pexpireat k 9223372036854775807 | pexpiretime k
        expiretime k | expiretime absent | persist absent | pexpiretime absent | ttl absent
        expire absent 10 | expireat absent FAR | expire k -1 | exists k | set k v | expiretime k
        pexpireat k -9223372036854775808 | get k | set k v | pexpire k 0 | get k
    """,
    "keys": """
        mset a 1 b 2 | rename a c | get a | get c | rename absent c | rename c c | renamenx c b
        renamenx c c | renamenx c d | renamenx absent d | get d | rename d b | get b | exists d b
        copy b e | get e | copy b e | set b 3 | copy b e replace | get e | copy b b
        copy absent e | copy b e db 1 | copy b e db 1 | select 1 | get e | select 0
        copy b b db 2 | copy b e db x | copy b e db 99 | copy b e db | copy b e foo | move b 3
        get b | select 3 | get b | move b 3 | move b 0 | move b 0 | select 0 | get b | move b x
        move b 99 | move absent 1 | type b | type absent | touch b e absent b
        unlink b e absent b | exists b e | del a b c d | randomly | set t 1 exat FAR | rename t u
        expiretime u | copy u v | expiretime v | set w 1 | rename w u | ttl u | move v 5
        select 5 | expiretime v | del v | select 0 | select 16 | select x | select -1
    """,
    "objects": """
        set i 123 | object encoding i | set s short | object encoding s | object refcount s
        set l aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | object encoding l
        object encoding absent | object freq s | object freq absent | object idletime absent
        object idletime s | object refcount absent | set i 9223372036854775808 | object encoding i
        set i -5 | object encoding i | set i 007 | object encoding i | object foo s
        object encoding | memory usage absent | memory usage s samples x
        memory usage s samples -1 | memory usage s foo | memory usage
    """,
    "getkeys": """
        command getkeys rename a b | command getkeys copy a b db 1 | command getkeys lcs a b len
        command getkeys msetnx a 1 b 2 | command getkeys object encoding a
        command getkeys watch a b
        command getkeys memory usage a | command getkeys restore a 0 x | command getkeys multi
        command getkeys move a 1 | command getkeys touch a b | command getkeys getex a persist
        command getkeys exec | command getkeys nosuch a | command getkeys rename a
    """,
    "lcs": """
        mset a ohmytext b mynewtext | lcs a b | lcs a b len | lcs a b idx
        lcs a b idx withmatchlen | lcs a b idx minmatchlen 4
        lcs a b idx minmatchlen -4 withmatchlen | lcs a b idx len | lcs a b minmatchlen
        lcs a b minmatchlen x | lcs a b foo | lcs a absent | lcs absent absent idx
        lcs a absent len | mset a abcabcabba b cbabacabca | lcs a b | lcs a b idx withmatchlen
        lcs a | lcs a a idx | mset a xaxbxcx b yaybycy | lcs a b idx | lcs b a idx
    """,
    "restore": r"""
        restore k 0 "\x00\x08ohmytext\n\x00\xb6]\xeb\xe1\x8c\x03\xed\x88" | get k
        restore k 0 "\x00\x08ohmytext\n\x00\xb6]\xeb\xe1\x8c\x03\xed\x88"
        restore k 0 "\x00\xc0{\n\x00H\xe2S\xe1\x00zg\xb9" replace | get k | ttl k
        restore k FAR000 "\x00\xc0{\n\x00H\xe2S\xe1\x00zg\xb9" replace absttl idletime 5
        expiretime k | restore k 1 "\x00\xc0{\n\x00H\xe2S\xe1\x00zg\xb9" replace absttl freq 5
        get k | restore n 0 "\x00\xc0{\n\x00H\xe2S\xe1\x00zg\xb8" | restore n 0 foo
        set i 1 | restore n 0 "" | restore i 0 "" | restore n x foo
        restore n -1 foo | restore n 0 foo bar
        restore n 0 foo idletime x | restore n 0 foo idletime -1
        restore n 0 foo idletime 1 freq 3 | restore n 0 foo freq 256 | restore n 0 foo freq -1
        restore n 0 | dump absent | set i -129 | dump i | set i 70000 | dump i | set i 12345678901
        dump i | set i "" | dump i | set i 2147483648 | dump i | set i -2147483648 | dump i | dump
    """,
    "settings": """
        config set timeout 70 | config get timeout | config get TimeOut | config set TIMEOUT 0
        config set timeout 5 slowlog-max-len 7 | config get slowlog-max-len
        config set timeout 5 timeout 6 | config set maxmemory 1 maxmemory 2
        config set daemonize yes
        config set nosuch 1 | config set timeout 9 nosuch 1 | config set timeout 9 port
        config set timeout x | config set timeout -1 | config set timeout 99999999999
        config set slowlog-max-len x | config set slowlog-log-slower-than 1gb
        config set timeout 8 slowlog-max-len x | config get timeout | config set timeout
        config set timeout 0 slowlog-max-len 128 | config get daemonize | config get appendonl x
        config resetstat x | config resetstat | config get nosuch | config get
        multi | config set timeout 60 | config get timeout | exec | config set timeout 0
    """,
    "slow": """
        config set slowlog-log-slower-than -1 | slowlog reset | slowlog len | slowlog get
        slowlog get -2 | slowlog get x | slowlog get 1 2 | slowlog get 0 | slowlog len x | slowlog
        slowlog foo | config set slowlog-log-slower-than 0 slowlog-max-len 3 | ping | ping | ping
        slowlog len | ping | slowlog len | config set slowlog-max-len 2 | slowlog len
        config set slowlog-log-slower-than 10000 slowlog-max-len 128 | slowlog reset | slowlog len
        debug | debug foo | debug sleep | debug sleep 0 | debug sleep x | debug sleep -1
        multi | debug sleep 0 | ping | exec
    """,
    "latency": """
        latency reset | config set latency-monitor-threshold 0 | latency latest
        latency history nosuch | latency history | latency graph nosuch | latency reset a b
        latency help x | latency foo | latency | latency histogram nosuch
        latency latest x | latency doctor x
    """,
    "transactions": """
        multi | set a 1 | incr a | get a | exec | get a | exec | discard | multi | multi | watch a
        exec | multi | set a x | incr a | append a y | set a z ex foo | mget a b | exec | multi
        set a 9 | discard | get a | multi | nosuch x | set a 8 | exec | get a | multi | get | exec
        multi | ping | ping hello | echo x | select 3 | set in3 1 | get in3 | select 99
        dbsizeish | exec | get in3 | multi | ping | select 3 | set in3 1 | get in3 | select 99
        echo e | get in3 | exec | get in3 | select 0 | get in3 | multi | exec | watch a | multi
        get a | exec | watch a | set a 10 | multi | set a 11 | exec | get a | watch a | set a 10
        unwatch | multi | set a 12 | exec | get a | watch a b | set b 1 | multi | set a 13 | exec
        get a | watch c | set c 1 | multi | get c | exec | watch c | del c | multi | get c | exec
        watch a | multi | unwatch | set a 14 | exec | get a | multi | mset x 1 y 2 | rename x z
        getdel y | mget x y z | del z | exists z | exec | multi | set x 1 exat FAR | expiretime x
        persist x | ttl x | copy x y | lcs x y | setnx x 5 | ttl x | exec | watch a | multi
        nosuch | exec | multi | get a | exec | multi | set x 1 | reset | exec | watch | multi x
        exec x | unwatch x | watch a | select 1 | set a 1 | select 0 | multi | ping | exec
        select 1 | watch a | select 0 | set a 77 | multi | ping | exec | watch a | watch a
        set a 78 | multi | ping | exec | multi | getex absent | get absent | mget a absent | exec
        multi | client setname x | client getname | time extra | exec | client getname
        client setname "" | multi | auth x | auth default y | auth nobody z | auth 1 2 3
        hello 2 auth nobody z | ping | exec | get k
    """,
    "clients": """
        client reply on | client reply x | client reply | client no-evict on | client no-evict x
        client kill nobody | client kill id 0 | client kill id x | client kill id 10 wrong
        client kill type wrong | client kill user wrong | client kill skipme perhaps
        client kill id 999999 | client kill addr 1.1.1.1:1 skipme no | client kill type master
        client kill | client list type wrong | client list id x | client list foo
        client list id 999999 | client list type replica | client list type pubsub | client info x
        client no-evict | multi | client list id 999999 | exec
        client pause | client pause x | client pause -1 | client pause 10 foo
        client pause 10 write x | client pause 99999999999999999999 | client unpause
        client unpause x | client pause 0 | client pause 1 write | client unpause
        client unblock x | client unblock 1 foo | client unblock 1 timeout x
        client unblock 999999 ERROR | client unblock 999999 | client unblock
        multi | client pause 60000 write | client unpause | client unblock 999999 | exec
        monitor x | multi | monitor | exec | lolwut version x | multi | shutdown | exec | memory foo
        client unpause | set k v | monitor | get k | set k w | publish c x | reset | get k
    """,
    # One channel at a time, since each command is compared by its first reply.
    "messages": """
        publish c x | spublish c x | pubsub numsub a b | pubsub numpat | pubsub channels
        pubsub channels a b | pubsub shardchannels | pubsub shardnumsub a | pubsub numsub
        pubsub nosuch | pubsub numpat x | unsubscribe | punsubscribe | sunsubscribe
        unsubscribe nosuch | punsubscribe nosuch | sunsubscribe nosuch | subscribe a | subscribe a
        psubscribe a* | ssubscribe s | subscribe b | ping | ping hi | ping hi ho
        pubsub channels a* | pubsub numsub a c | pubsub numpat | pubsub shardnumsub s
        publish a x | spublish s x | publish nobody x | get k | config get nosuch | multi
        get k | exec | select 1 | select 0 | nosuch | get | unsubscribe a | unsubscribe
        punsubscribe a* | sunsubscribe nosuch | sunsubscribe s | ping | ping | ping | get k
        subscribe | psubscribe | publish a | publish | spublish a | multi | publish a x | ping
        pubsub numpat | exec | multi | subscribe m | exec | ping | multi | unsubscribe m | exec
        unsubscribe m | subscribe a | psubscribe b* | ssubscribe c | reset | ping | get k | multi
        ssubscribe z | exec
    """,
    # Lists of more than one key come in another order from Redis: they are compared elsewhere.
    "spans": """
        flushall | dbsize | randomkey | keys * | scan 0 | set k v | dbsize | keys k* | keys x*
        randomkey | scan 0 | scan 0 match k count 100 | scan 0 match x | scan 0 type string
        scan 0 type list | scan 0 type | scan 0 count 0 | scan 0 count x | scan 0 count -5
        scan 0 foo 1 | scan x | scan "" | scan 0 match | scan | keys | keys a b | dbsize x
        randomkey x | select 3 | dbsize | set a 1 | set b 1 | set c 1 | dbsize | keys a
        keys [a] | keys [^bc] | keys [c-z] | del a b | keys ? | flushdb | dbsize | select 0 | dbsize
        select 3 | set z 1 | flushdb async | flushdb sync | flushdb foo | flushall foo
        flushall async sync | select 0 | exists k | flushall sync | exists k | dbsize
        set a 1 | watch a | flushall | multi | ping | exec | set a 1 | watch a | flushdb | multi
        ping | exec | set b 1 | watch b | select 5 | flushdb | select 0 | multi | flushall | set a 2
        exec | dbsize | get a | multi | set b 1 | flushdb | get b | set c 1 | exec | keys *
        set e 1 px 1 | pexpire c 1 | flushall | command getkeys flushall
    """,
}


class Raw(Resp):
    """Replies as bytes: what follows of a reply is known from its first line."""

    def raw(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        text = line + b"\r\n"
        if kind in b"$=" and int(rest) >= 0:
            return text + self._exactly(int(rest) + 2)
        below = int(rest) * (2 if kind == b"%" else 1) if kind in b"*~%>" else 0
        return text + b"".join(self.raw() for _ in range(below))

    def ask(self, words):
        self.send(encode(*words))
        return self.raw()


DEBUG = ["--enable-debug-command", "local"]


def words_of(line):
    line = line.replace("FAR", str(FAR))
    return [w.encode().decode("unicode_escape").encode("latin-1") for w in shlex.split(line)]


def lines(script):
    for text in script.strip().splitlines():
        for line in text.split(" | "):
            yield words_of(line)


def compared(ours, theirs, commands):
    for done, words in enumerate(commands):
        found, wanted = ours.ask(words), theirs.ask(words)
        if found != wanted:
            before = list(commands)[max(0, done - 8) : done]
            differ = f"found {found[:300]!r}, wanted {wanted[:300]!r}"
            raise Failure(f"{words}: {differ}; before: {before}")


def everything(ours):
    names = set("abcdefghijklmnopqrstuvwxyz")
    for script in SCRIPTS.values():
        names |= {w.decode("latin-1") for words in lines(script) for w in words}
    for database in range(16):
        ours.call("select", database)
        ours.call("del", *sorted(names))
    ours.call("select", 0)


def scripts(cluster, server):
    """scripted corner cases: string keys, transactions, messages, clients: the same bytes"""
    for version in (2, 3):
        for name, script in SCRIPTS.items():
            with Raw(cluster.nodes[0].resp) as ours, Raw((HOST, server)) as theirs:
                everything(ours)
                theirs.call("flushall")
                ours.ask([b"hello", str(version).encode()])
                theirs.ask([b"hello", str(version).encode()])
                try:
                    compared(ours, theirs, list(lines(script)))
                except Failure as failure:
                    raise Failure(f"RESP{version} {name}: {failure}") from failure


# Sent at once; all bytes up to the last word, or to the end of the connection, are compared.
SILENCES = """
    client reply off | reset | echo last
    client reply skip | reset | echo last
    client reply off | multi | subscribe x | unsubscribe | exec | client reply on | echo last
    client reply off | multi | ssubscribe x | publish x y | exec | client reply on | echo last
    client reply off | subscribe x | reset | echo last
    client reply skip | multi | get a | exec | echo last
    client reply skip | client reply skip | ping | echo last
    client reply skip | ping | *x
"""


def sent_at_once(address, text):
    with Resp(address) as client:
        client.send(text.replace(" | ", "\r\n").encode() + b"\r\n")
        found = b""
        while not found.endswith(b"last\r\n"):
            data = client.socket.recv(65536)
            if not data:
                return found + b" and its end"
            found += data
        return found


def silences(cluster, server):
    """CLIENT REPLY: what is silent and what comes all the same, byte for byte"""
    for text in SILENCES.strip().splitlines():
        found = sent_at_once(cluster.nodes[0].resp, text.strip())
        equal(found, sent_at_once((HOST, server), text.strip()), text.strip())


class Draw:
    """Random commands on few keys."""

    def __init__(self, seed):
        self.prng = random.Random(seed)

    def key(self):
        return self.prng.choice("abcde")

    def value(self):
        p = self.prng
        some = ["", "x", "10", "-3", "2.5", "007", "abc" * p.randrange(30)]
        return p.choice([*some, str(p.randrange(10**9))])

    def number(self):
        return str(self.prng.choice([-20, -2, -1, 0, 1, 2, 7, 100]))

    def command(self):
        p, k, v, n = self.prng, self.key(), self.value(), self.number()
        at = str(FAR + p.randrange(5))
        some = [self.key() for _ in range(p.randrange(1, 4))]
        pairs = [w for key in some for w in (key, self.value())]
        condition = p.choice([[], ["nx"], ["xx"], ["gt"], ["lt"]])
        return p.choice(
            [
                ["get", k], ["set", k, v], ["set", k, v, "nx"], ["set", k, v, "xx", "get"],
                ["set", k, v, "keepttl"], ["set", k, v, "exat", at], ["getex", k, "persist"],
                ["getex", k, "exat", at], ["getdel", k], ["getset", k, v], ["setnx", k, v],
                ["mset", *pairs], ["msetnx", *pairs], ["mget", *some], ["incrby", k, n],
                ["decr", k],
                ["incrbyfloat", k, v or "1"], ["append", k, v], ["strlen", k],
                ["setrange", k, n.lstrip("-"), v], ["getrange", k, n, self.number()],
                ["lcs", k, self.key(), *p.choice([["len"], ["idx", "withmatchlen"], []])],
                ["expireat", k, at, *condition], ["pexpireat", k, at + "500", *condition],
                ["expiretime", k], ["pexpiretime", k], ["persist", k], ["expire", k, "-1"],
                ["del", *some], ["unlink", k], ["exists", *some], ["touch", *some], ["type", k],
                ["rename", k, self.key()], ["renamenx", k, self.key()],
                ["copy", k, self.key(), *p.choice([[], ["replace"], ["db", "1"]])],
                ["move", k, p.choice("01")], ["select", p.choice("001")],
            ]
        )


def drawn(cluster, server):
    """random commands and transactions, four connections: the same bytes"""
    draw = Draw(7)
    for round_ in range(4):
        with Raw(cluster.nodes[round_ % 3].resp) as ours, Raw((HOST, server)) as theirs:
            everything(ours)
            theirs.call("flushall")
            commands = []
            for _ in range(250):
                commands.append(draw.command())
                if draw.prng.random() < 0.06:
                    inside = [draw.command() for _ in range(draw.prng.randrange(8))]
                    watched = [["watch", draw.key(), draw.key()], draw.command()]
                    commands += [*watched, ["multi"], *inside, ["exec"]]
            compared(ours, theirs, [[w.encode() for w in words] for words in commands])


def dumps(cluster, server):
    """DUMP of one, RESTORE at the other, both ways, also of what Redis compresses"""
    values = [b"", b"0", b"-129", b"2147483648", bytes(range(256)), b"ab" * 20_000, b"x" * 100_000]
    values += [random.Random(i).randbytes(i * 37) + b"same" * i for i in range(40)]
    with Resp(cluster.nodes[0].resp) as ours, Resp((HOST, server)) as theirs:
        for value in values:
            for one, other in ((ours, theirs), (theirs, ours)):
                one.call("set", "dumped", value)
                dumped = one.call("dump", "dumped")
                equal(other.call("restore", "dumped", 0, dumped, "replace"), "OK")
                equal(other.call("get", "dumped"), value)


def told(cluster, server):
    """COMMAND INFO: arity, flags, keys and categories are those of Redis"""

    def described(resp):
        found = {}
        for info in resp.call("command"):
            for one in [info, *(info[9] if len(info) > 9 else [])]:
                found[one[0]] = [one[1], sorted(one[2]), one[3:6], sorted(one[6])]
        return found

    with Resp(cluster.nodes[0].resp) as ours, Resp((HOST, server)) as theirs:
        wanted = described(theirs)
        for name, found in described(ours).items():
            if name in wanted:
                equal(found, wanted[name], name)


def refused(cluster, server):
    """what Redis 7.0 has and this has not is refused with a reason; what is unknown, as unknown"""
    with Resp((HOST, server)) as theirs:
        names = [info[0].decode() for info in theirs.call("command")]
    with Resp(cluster.nodes[0].resp) as ours:
        known = {info[0].decode() for info in ours.call("command")}
        for name in names:
            if name in known:
                continue
            ours.send(encode(name, "x", "y"))
            answer = str(ours.reply())
            expect(answer.startswith(f"ERR '{name}' is not supported: "), answer)


class Server:
    """A redis-server without persistence; `port` is None if there is none of version 7.0."""

    def __enter__(self):
        self.port = self.process = None
        self.directory = tempfile.TemporaryDirectory()
        try:
            about = subprocess.run(
                ["redis-server", "--version"], capture_output=True, text=True, check=True
            )
        except (FileNotFoundError, subprocess.CalledProcessError):
            return self
        if " v=7.0." not in about.stdout:
            return self
        self.port = free_ports(1)[0]
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", HOST, "--save", ""]
            + ["--dir", self.directory.name, *DEBUG],
            stdout=subprocess.DEVNULL,
        )
        poll(self.answers, 20, "redis-server")
        return self

    def answers(self):
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=10)
        self.directory.cleanup()


def main():
    claims = Claims()
    with Server() as server:
        if server.port is None:
            print("ok # SKIP there is no redis-server 7.0 to compare with")
            return sys.exit(0)
        with Cluster(options=DEBUG) as cluster:
            claims.run([scripts, silences, drawn, dumps, told, refused], cluster, server.port)
    claims.end()


if __name__ == "__main__":
    main()
