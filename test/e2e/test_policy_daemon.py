# SPDX-License-Identifier: Apache-2.0
"""qrexec-policy-daemon as root starts it: its sockets, whom it serves, and what it runs as."""

import grp
import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import threading

import pytest

DAEMON = "/usr/lib/qubes/qrexec-policy-daemon"
SOCKETS = ("/run/qubes/policy.sock", "/etc/qubes-rpc/policy.EvalSimple", "/etc/qubes-rpc/policy.EvalGUI")


@pytest.fixture
def daemon(world):
    world.add_domain("desk")
    world.add_domain("work", guivm="desk")
    world.add_domain("vault", guivm="desk")
    world.set_policy("my.Go * work vault allow user=keys\n")
    os.makedirs("/run/qubes/policy.d", exist_ok=True)
    ready, given = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), "/run/test/ready"
    ready.bind(given)
    os.chmod(given, 0o777)
    ready.settimeout(10)
    world.write(SOCKETS[0], "an old file in the way")
    process = subprocess.Popen([DAEMON], stderr=subprocess.PIPE, env={"NOTIFY_SOCKET": given})
    assert ready.recv(4096) == b"READY=1"
    ready.close()
    yield process
    if process.poll() is None:
        process.terminate()
        process.wait(20)
    process.stderr.close()


def ask(path, request, shut=True):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(request)
        if shut:
            client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as stream:
            return stream.read()


REQUEST = b"source=work\nintended_target=vault\nservice_and_arg=my.Go+x\n\n"


def test_sockets_are_for_root_and_the_group(daemon):
    for path in SOCKETS:
        entry = os.stat(path)
        assert stat.S_ISSOCK(entry.st_mode)
        assert (entry.st_uid, entry.st_gid) == (0, grp.getgrnam("qubes").gr_gid)
        assert stat.S_IMODE(entry.st_mode) == 0o660


def test_what_it_runs_as(daemon):
    with open("/proc/%d/status" % daemon.pid) as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    account = pwd.getpwnam("qrexec").pw_uid
    assert set(map(int, status["Uid"].split())) == {account}
    assert set(map(int, status["Gid"].split())) == {grp.getgrnam("qubes").gr_gid}
    assert status["Groups"].split() == []
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0


def test_answers(daemon):
    lines = ask(SOCKETS[0], REQUEST, shut=False).decode().split("\n")
    assert lines[:3] == ["user=keys", "result=allow", "target=vault"]
    assert lines[4:] == ["autostart=True", "requested_target=vault"]
    assert ask(SOCKETS[0], REQUEST.replace(b"=work", b"=vault")) == b"result=deny"
    assert ask(SOCKETS[0], b"source=work\n\n") == b""
    evaluate = b"policy.EvalSimple+my.Go desk\0work\0vault"
    assert ask(SOCKETS[1], evaluate) == b"result=allow\n"
    assert ask(SOCKETS[2], evaluate.replace(b"Simple", b"GUI")) == b"result=allow\n"
    assert ask(SOCKETS[2], evaluate) == b""


def test_what_was_saved_decides_the_next_request(daemon, world):
    """Policy and domains are kept between requests; a change counts at once, also for one who has connected already."""
    allow, deny = "my.Go * work vault allow user=keys\n", "my.Go * work vault deny\n"
    for _ in range(10):
        world.set_policy(deny)
        assert ask(SOCKETS[0], REQUEST) == b"result=deny"
        world.set_policy(allow)
        assert b"result=allow" in ask(SOCKETS[0], REQUEST)
    with socket.socket(socket.AF_UNIX) as early:
        early.settimeout(20)
        early.connect(SOCKETS[0])
        assert b"result=allow" in ask(SOCKETS[0], REQUEST)  # its process is there by now
        world.set_policy(deny)
        assert ask(SOCKETS[0], REQUEST) == b"result=deny"
        early.sendall(REQUEST)
        assert early.recv(4096) == b"result=deny"
    world.set_policy(allow)
    shutil.move("/etc/qubes/domains.d/vault.conf", "/run/test")
    assert ask(SOCKETS[0], REQUEST) == b"result=deny"
    world.set_policy("junk\n")
    assert ask(SOCKETS[0], REQUEST) == b"result=deny"
    shutil.move("/run/test/vault.conf", "/etc/qubes/domains.d")
    world.set_policy(allow)
    assert b"result=allow" in ask(SOCKETS[0], REQUEST)


class Agent:
    """A policy agent in dom0: gives one answer to each question, keeps what it was told."""

    def __init__(self, service, answer):
        self.path, self.answer, self.told = "/etc/qubes-rpc/" + service, answer, []
        self.socket = socket.socket(socket.AF_UNIX)
        if os.path.islink(self.path):
            os.unlink(self.path)  # to the socket of the agent that comes with us
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.socket.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as stream:
                header, _, params = stream.read().partition(b"\0")
                self.told.append((header.decode(), json.loads(params)))
                peer.sendall(self.answer)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(20)
        os.unlink(self.path)


def test_a_person_is_asked_and_told(daemon, world):
    world.add_domain("home", guivm="dom0")
    world.set_policy("my.Go * home vault ask user=keys\nmy.Tell * home vault allow notify=yes\n")
    asking, telling = Agent("policy.Ask", b"allow:vault"), Agent("policy.Notify", b"")
    try:
        request = REQUEST.replace(b"source=work", b"source=home")
        assert ask(SOCKETS[0], request).startswith(b"user=keys\nresult=allow\ntarget=vault\n")
        ((header, question),) = asking.told
        assert header == "policy.Ask dom0 name dom0"
        assert (question["source"], question["service"], question["argument"]) == ("home", "my.Go", "+x")
        assert question["targets"] == ["vault"]
        assert telling.told == []

        asking.answer = b"deny"
        assert ask(SOCKETS[0], request) == b"result=deny"
        assert telling.told == []  # who has said no need not be told

        asking.answer = b"allow:work"
        assert ask(SOCKETS[0], request) == b"result=deny"
        assert [notice["resolution"] for _, notice in telling.told] == ["deny"]
        assert b"result=allow" in ask(SOCKETS[0], request.replace(b"my.Go+x", b"my.Tell"))
        assert telling.told[1][1] == {
            "resolution": "allow", "service": "my.Tell", "argument": "+", "source": "home", "target": "vault"
        }
    finally:
        asking.close()
        telling.close()
    assert ask(SOCKETS[0], request) == b"result=deny"  # nobody is there to ask


def test_one_who_is_silent_keeps_nobody_waiting(daemon):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(SOCKETS[0])
        silent.sendall(b"source=work\n")
        assert b"result=allow" in ask(SOCKETS[0], REQUEST)


def test_a_change_counts_at_once_and_a_broken_policy_refuses(daemon, world):
    world.set_policy("my.Go * work vault deny\n")
    assert ask(SOCKETS[0], REQUEST) == b"result=deny"
    world.set_policy("my.Go\n")
    assert ask(SOCKETS[0], REQUEST) == b"result=deny"
    world.set_policy("my.Go * work vault allow\n")
    assert b"result=allow" in ask(SOCKETS[0], REQUEST)


def test_log_and_end(daemon):
    ask(SOCKETS[0], REQUEST)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(20) == 0
    assert daemon.stderr.read() == b"qrexec: my.Go+x: work -> vault: allowed to vault\n"


def test_nowhere_to_listen(world):
    result = subprocess.run([DAEMON, "--socket-path", "/run/test/none/socket"], capture_output=True, timeout=20)
    assert result.returncode == 1
    assert b"/run/test/none/socket: No such file or directory" in result.stderr
