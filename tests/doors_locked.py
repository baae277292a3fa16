#!/usr/bin/python3
"""Passwords of the Redis door with real clients: redis-cli and python3-redis."""
import pathlib
import signal
import socket
import subprocess

import redis

from _cluster import Cluster, run
from _resp import Resp
from _tap import Claims, equal, expect, poll

SECRET, OTHER = "correct horse", "battery staple"


def hashed(user, password):
    made = run("user", "hash", "--name", user, input=password + "\n")
    equal(made.returncode, 0, made.stderr)
    expect(password not in made.stdout, "a hash shows its password")
    return made.stdout


def write_users(path, users):
    lines = [hashed(user, password) for user, password in users.items()]
    pathlib.Path(path).write_text("[users]\n" + "".join(lines), encoding="utf-8")


def cli(node, *arguments, env=None):
    done = subprocess.run(
        ["redis-cli", "-p", str(node.resp[1]), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=env,
    )
    return (done.stdout + done.stderr).strip()


class Locked:
    """A node with users, and the file that names them."""

    def __init__(self):
        self.cluster = Cluster(nodes=1)
        self.node = self.cluster.nodes[0]
        self.file = self.node.data + ".toml"
        write_users(self.file, {"default": SECRET, "bob": OTHER})
        self.node.options += ["--config", self.file]
        self.node.resp_client = self.client  # also who waits until it serves has the password

    def client(self, timeout=10.0):
        client = Resp(self.node.resp, timeout)
        client.call("AUTH", SECRET)
        return client

    def __enter__(self):
        self.cluster.__enter__()
        return self

    def __exit__(self, *error):
        return self.cluster.__exit__(*error)


def clients(locked):
    """redis-cli and redis-py get in with the password, as default and by name, and not without"""
    node = locked.node
    equal(cli(node, "get", "k"), "NOAUTH Authentication required.")
    equal(cli(node, "--no-auth-warning", "-a", SECRET, "set", "k", "v"), "OK")
    equal(cli(node, "--no-auth-warning", "--user", "bob", "-a", OTHER, "get", "k"), "v")
    expect("WRONGPASS" in cli(node, "-a", OTHER, "get", "k"), "a wrong password")
    expect("NOAUTH" in cli(node, "-a", OTHER, "get", "k"), "nothing after a wrong password")
    client = redis.Redis(port=node.resp[1], username="bob", password=OTHER)
    equal(client.get("k"), b"v")
    for wrong in ({}, {"password": OTHER}, {"username": "eve", "password": OTHER}):
        try:
            redis.Redis(port=node.resp[1], **wrong).get("k")
        except redis.exceptions.RedisError as error:
            expect("WRONGPASS" in str(error) or "required" in str(error), str(error))
            continue
        raise AssertionError(f"{wrong} came in")


def small_before(locked):
    """what is not authenticated may send small requests only, and is told so as by Redis"""
    for request, answer in (
        (b"*11\r\n", b"unauthenticated multibulk length"),
        (b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", b"unauthenticated bulk length"),
    ):
        with Resp(locked.node.resp, 10) as raw:
            raw.socket.sendall(request)
            expect(answer in raw.socket.recv(1000), f"{request} is not refused")
            equal(raw.socket.recv(1), b"", "the connection ends")


def again(locked):
    """SIGHUP takes the users of the file again; a file with an error in it changes nothing"""
    node = locked.node
    write_users(locked.file, {"default": OTHER})
    node.process.send_signal(signal.SIGHUP)
    quiet = ("--no-auth-warning", "-a")
    poll(lambda: cli(node, *quiet, OTHER, "get", "k") == "v", 20, "the new password")
    expect("WRONGPASS" in cli(node, *quiet, SECRET, "get", "k"), "the old password is gone")
    pathlib.Path(locked.file).write_text('[users]\ndefault = "plain"\n', encoding="utf-8")
    node.process.send_signal(signal.SIGHUP)
    poll(lambda: "nothing was changed" in node.log(), 20, "the log tells")
    equal(cli(node, *quiet, OTHER, "get", "k"), "v")
    expect("plain" not in node.log(), "the log shows what stands for a hash")
    # A file that was cut off before the users, or is empty, opens no door.
    for number, text in enumerate(("", "[users]\n", "insecure = true\n")):
        pathlib.Path(locked.file).write_text(text, encoding="utf-8")
        node.process.send_signal(signal.SIGHUP)
        poll(lambda n=number: node.log().count("[users] has nobody") == n + 1, 20, "it tells")
        expect("NOAUTH" in cli(node, "get", "k"), "SIGHUP opened the door")


def nothing_told(locked):
    """no password and no hash stands in the log, in INFO, in CONFIG GET or on a page"""
    node = locked.node
    client = redis.Redis(port=node.resp[1], password=OTHER)
    text = str(client.info()) + str(client.config_get("*")) + node.log()
    for word in (SECRET, OTHER, "scrypt"):
        expect(word not in text, f"{word!r} is told")
    write_users(locked.file, {"default": OTHER})
    shown = run("config", "--config", locked.file)
    expect("default" in shown.stdout.splitlines()[-1], shown.stdout + shown.stderr)
    expect("scrypt" not in shown.stdout, "config shows a hash")


def crowd(locked):
    """clients that come in numbers and say nothing leave room for HTTP and for other nodes"""
    node = locked.node
    write_users(locked.file, {"default": SECRET})
    node.terminate()
    node.prefix = ["prlimit", "--nofile=400"]
    node.start()
    poll(lambda: cli(node, "--no-auth-warning", "-a", SECRET, "ping") == "PONG", 30, "it serves")
    silent = [socket.create_connection(node.resp, 10) for _ in range(300)]
    try:
        # Accepted in order: when the last is refused, all before it have their answer.
        equal(silent[-1].recv(100), b"-ERR max number of clients reached\r\n")
        equal(silent[-1].recv(100), b"", "who is refused is closed at once")
        expect(node.status(10.0) is not None, "HTTP has no room")
        expect("max_connections" not in node.log(), "connections of all ports ran out")
    finally:
        for connection in silent:
            connection.close()


def main():
    claims = Claims()
    with Locked() as locked:
        claims.run([clients, small_before, again, nothing_told, crowd], locked)
    claims.end()


if __name__ == "__main__":
    main()
