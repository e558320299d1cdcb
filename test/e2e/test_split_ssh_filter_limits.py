# SPDX-License-Identifier: Apache-2.0
"""The test matrix of split-ssh (specification, 16.2): limits, and an agent that misbehaves."""

import os
import socket
import struct
import subprocess
import threading

import pytest
from sshvault import ALL, CUT_OFF, FAILURE, TIMEOUT, comments, message, messages, sign_request, string


# N: limits


def test_N1_rate(vault):
    vault.policy("key = <priv>", "rate = 2/60")
    assert [vault.ssh("a", "true")[0] for _ in range(3)] == [0, 0, 255]
    assert vault.whys() == ["-", "-", "rate"]


def test_N1_corrupt_rate_file(vault):
    """It is as if nothing were left, once."""
    vault.policy("key = <priv>", "rate = 2/60")
    assert vault.ssh("a", "true")[0] == 0
    vault.write("st/work@t.rate", "nonsense")
    assert vault.ssh("a", "true")[0] == 255
    assert vault.read("st/work@t.rate").count("\n") == 3


def test_N2_prompt_rate(vault):
    vault.policy("key = <priv>", "prompt-rate = 1/60", confirm="ask")
    assert [vault.ssh("a", "true")[0] for _ in range(2)] == [0, 255]
    assert vault.whys() == ["-", "prompt-rate"]


def test_N3_connections(vault):
    vault.policy("key = *", "max-connections = 1")
    with vault.connect() as connection:
        assert connection.ask(message(11))[0] == 12
        assert vault.run("ssh-add", "-l")[0] in CUT_OFF
    vault.statuses()
    assert vault.run("ssh-add", "-l")[0] == 0


def test_N4_idle(vault):
    vault.policy("key = *", "idle-timeout = 2")
    with vault.connect() as connection:
        assert connection.ask(message(11))[0] == 12
        assert connection.rest() == b""
    assert vault.statuses() == [0]


def test_N5_many_at_once(vault):
    vault.policy("key = *", "max-connections = 64")
    commands = [vault.start_command("ssh-add", "-l") for _ in range(50)]
    for command in commands:
        out = command.communicate(timeout=TIMEOUT)[0].decode()
        assert command.returncode == 0 and comments(out) == ALL


# U: an agent that misbehaves, scripted


class Agent:
    """Answers each request with what SCRIPT says: bytes, or None to close."""

    def __init__(self, path, script):
        self._script, self.requests = script, []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        connection, _ = self._listener.accept()
        with connection:
            for answer in self._script:
                head = connection.recv(4, socket.MSG_WAITALL)
                if len(head) < 4:
                    return
                self.requests.append(connection.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL))
                if answer is None:
                    return
                connection.sendall(answer)
            connection.recv(1)

    def close(self):
        self._listener.close()


def identities(*pairs):
    return message(12, struct.pack(">I", len(pairs)) + b"".join(string(blob) + string(comment) for blob, comment in pairs))


@pytest.mark.parametrize("script, expect, status", [
    pytest.param([message(5)], [5], 0, id="failure"),
    pytest.param([message(30)], [5], 0, id="old-failure"),
    pytest.param([message(6)], [5], 0, id="success"),
    pytest.param([message(14, string("x"))], [5], 0, id="other-type"),
    pytest.param([identities()], [12], 0, id="empty"),
    pytest.param([message(12, struct.pack(">I", 1))], [5], 0, id="fewer-than-said"),
    pytest.param([message(12, struct.pack(">I", 0) + b"x")], [5], 0, id="trailing"),
    pytest.param([message(12, struct.pack(">I", 2049) + 2049 * (string("") + string("")))], [5], 0, id="too-many"),
    pytest.param([struct.pack(">I", 0)], [5], 4, id="empty-message"),
    pytest.param([struct.pack(">I", 262145)], [5], 4, id="too-long"),
    pytest.param([identities() + identities()], [5], 4, id="two-answers"),
    pytest.param([None], [5], 4, id="closes"),
])
def test_U_list(vault, script, expect, status):
    agent = Agent(vault.path("fake.sock"), script)
    vault.agent_socket = vault.path("fake.sock")
    try:
        assert [number for number, _ in messages(vault.raw(message(11)))] == expect
        assert vault.statuses() == [status]
        assert agent.requests == [b"\x0b"]
    finally:
        agent.close()
        os.unlink(vault.path("fake.sock"))


@pytest.mark.parametrize("key, flags, answer, why", [
    pytest.param("work", 0, message(14, string(string("ssh-ed25519") + string(64 * b"s"))), "-", id="good"),
    pytest.param("work", 0, message(14, string(string("ssh-ed25519")) + b"x"), "agent-error", id="trailing"),
    pytest.param("work", 0, message(14), "agent-error", id="nothing"),
    pytest.param("work", 0, message(6), "agent-error", id="success"),
    pytest.param("work", 0, message(5), "agent-refused", id="failure"),
    pytest.param("work", 0, message(102), "agent-refused", id="old-failure"),
    pytest.param("rsa", 4, message(14, string(string("rsa-sha2-512") + string("s"))), "-", id="rsa"),
    pytest.param("rsa", 4, message(14, string(string("rsa-sha2-256") + string("s"))), "rsa-sha1", id="rsa-weaker"),
    pytest.param("rsa", 4, message(14, string(string("ssh-rsa") + string("s"))), "rsa-sha1", id="rsa-sha1"),
    pytest.param("work", 0, None, "agent-error", id="closes"),
])
def test_U_sign(vault, key, flags, answer, why):
    agent = Agent(vault.path("fake.sock"), [identities((vault.blob(key), "c")), answer])
    vault.agent_socket = vault.path("fake.sock")
    vault.policy("key = *", "sign = raw")
    try:
        answers = messages(vault.raw(sign_request(vault.blob(key), b"data", flags)))
        assert [number for number, _ in answers] == [14 if why == "-" else 5]
        assert vault.whys() == [why]
        assert [request[0] for request in agent.requests] == [11, 13]
        assert vault.statuses() == [4 if answer is None else 0]
    finally:
        agent.close()
        os.unlink(vault.path("fake.sock"))


def test_U_answer_before_the_question(vault):
    """What answers a request that it has not heard cannot be talked to: the rest would be taken for the next one."""
    vault.policy("key = *", "sign = raw")
    vault.agent_socket = vault.path("fake.sock")

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(5, socket.MSG_WAITALL)
            connection.sendall(identities((vault.blob("work"), "work")))
            # The rest does not fit into the socket.
            connection.recv(5, socket.MSG_WAITALL)
            connection.sendall(message(14, string(string("ssh-ed25519") + string(64 * b"s"))))
            ended.wait(TIMEOUT)

    with socket.socket(socket.AF_UNIX) as listener:
        ended = threading.Event()
        listener.bind(vault.agent_socket)
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert vault.raw(sign_request(vault.blob("work"), 250000 * b"x")) == FAILURE
            assert vault.statuses() == [4] and vault.whys() == ["agent-error"]
        finally:
            ended.set()
            thread.join()
            os.unlink(vault.agent_socket)


def test_U_silent_agent(vault):
    """One that takes its time is refused in the end, and cannot be talked to any more."""
    agent = Agent(vault.path("fake.sock"), [identities((vault.blob("work"), "c")), b""])
    vault.agent_socket = vault.path("fake.sock")
    vault.policy("key = *", "sign = raw", "[agent t]", "reply-timeout = 5")
    try:
        assert vault.raw(sign_request(vault.blob("work"), b"data")) == FAILURE
        assert vault.whys() == ["agent-error"] and vault.statuses() == [4]
    finally:
        agent.close()
        os.unlink(vault.path("fake.sock"))


def test_U_large_answers(vault):
    """As many identities as there may be, through pipes that take a piece at a time."""
    pairs = [(string("type") + string(b"%04d" % n), "comment %d" % n) for n in range(2048)]
    agent = Agent(vault.path("fake.sock"), 3 * [identities(*pairs)])
    vault.agent_socket = vault.path("fake.sock")
    try:
        done = subprocess.run(vault.command(), input=3 * message(11), stdout=subprocess.PIPE, timeout=TIMEOUT)
        assert done.returncode == 0 and done.stdout == 3 * identities(*pairs)
    finally:
        agent.close()
        os.unlink(vault.path("fake.sock"))


def test_U_reader_gone(vault):
    """Nobody reads the answers: an end, not an error, and whatever else was asked for is not done."""
    with subprocess.Popen(vault.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(message(11))
        process.stdin.flush()
        assert process.stdout.read(5)[4] == 12
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0


def test_U_agent_starts_again(vault):
    assert vault.run("ssh-add", "-l")[0] == 0
    vault.stop_agent()
    assert vault.run("ssh-add", "-l")[0] in CUT_OFF
    vault.start_agent("priv")
    assert comments(vault.run("ssh-add", "-l")[1]) == ["priv"]


def test_U_key_loaded_later(vault):
    """A connection that has listed finds what has come since."""
    vault.policy("key = *", "sign = raw")
    request = sign_request(vault.blob("other"), b"data")
    with vault.connect() as connection:
        assert connection.ask(message(11))[0] == 12
        assert connection.ask(request) == b"\x05"
        vault.agent("ssh-add", "-q", "other")
        assert connection.ask(request)[0] == 14
