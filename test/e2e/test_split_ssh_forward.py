# SPDX-License-Identifier: Apache-2.0
"""The forwarder by itself: what it carries and when it stops. The service behind it is whatever the test puts there."""

import contextlib
import hashlib
import os
import random
import signal
import socket
import struct
import threading

import processes
import pytest
from splitssh import COMMAND, LIBEXEC, SplitSsh, forwarders, listens
from waiting import wait_for

POLICY = """
test.Refused * work vault deny
* * work vault allow
"""


@pytest.fixture
def keys(world):
    keys = SplitSsh(world, POLICY)
    world.add_service("test.Cat", "exec cat", domain="vault")
    world.add_service("test.Bridge", "exec socat - UNIX-CONNECT:%s" % keys.socket_of(), domain="vault")
    world.start()
    yield keys
    keys.close()


def connect(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(path)
    return client


def read_all(client):
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data


def _say(client, data):
    with contextlib.suppress(BrokenPipeError):
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)


def exchange(path, data):
    """Say DATA, and that this is all; return the answer to its end."""
    with contextlib.closing(connect(path)) as client:
        sender = threading.Thread(target=_say, args=(client, data))
        sender.start()
        answer = read_all(client)
        sender.join()
    return answer


def test_what_goes_in_comes_back(keys):
    keys.forward("--service", "test.Cat", "--target", "vault")
    generator = random.Random(1)
    for size in 0, 1, 4096, 65536, 65537, 1000003, 16 << 20:
        data = generator.randbytes(size)
        assert hashlib.sha256(exchange(keys.path, data)).digest() == hashlib.sha256(data).digest(), size


def test_an_agent_behind_it(keys):
    public = keys.install_key("id")
    keys.start_agent()
    keys.forward("--service", "test.Bridge", "--target", "vault")
    listed = keys.ssh_add("-L")
    assert listed.returncode == 0 and listed.stdout.decode().strip() == public
    assert keys.ssh_add("-l").stdout.decode().split()[1].startswith("SHA256:")


def test_one_process_for_many_connections(keys):
    keys.forward("--service", "test.Cat", "--target", "vault")
    clients = [connect(keys.path) for _ in range(64)]
    for number, client in enumerate(clients):
        client.sendall(struct.pack(">I", number))
    for number, client in enumerate(clients):
        assert client.recv(4) == struct.pack(">I", number)
    assert len(forwarders()) == 1
    assert len(keys.world.audit(service="test.Cat", event="start")) == 64
    # One more waits for its turn, and gets it.
    late = connect(keys.path)
    late.sendall(b"late")
    late.settimeout(0.2)
    with pytest.raises(TimeoutError):
        late.recv(4)
    assert len(keys.world.audit(service="test.Cat", event="start")) == 64
    clients.pop().close()
    late.settimeout(30)
    assert late.recv(4) == b"late"
    for client in [*clients, late]:
        client.close()
    wait_for(lambda: not processes.running("/usr/bin/cat"), "the services' end")


def test_each_connection_takes_its_own_way(keys):
    """One that does not read holds up nobody."""
    keys.forward("--service", "test.Cat", "--target", "vault")
    stuck = connect(keys.path)
    stuck.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while stuck.send(b"x" * 65536):
            pass
    assert exchange(keys.path, b"hello") == b"hello"
    stuck.close()


def test_the_client_is_gone(keys):
    keys.world.add_service("test.Wait", "echo there; exec cat >/dev/null", domain="vault")
    keys.forward("--service", "test.Wait", "--target", "vault")
    client = connect(keys.path)
    assert client.recv(6) == b"there\n"
    client.close()
    wait_for(lambda: not processes.running("/usr/bin/cat"), "the service's end")
    # Its end is known, not only that we went away.
    keys.world.wait_audit(service="test.Wait", event="end", how="exited")


def test_the_service_is_done(keys):
    keys.world.add_service("test.Once", "head -c 1; exit 3", domain="vault")
    keys.forward("--service", "test.Once", "--target", "vault")
    with contextlib.closing(connect(keys.path)) as client:
        client.sendall(b"ab")
        assert read_all(client) == b"a"
    keys.world.wait_log(r"split-ssh: call \d+: test.Once in vault ended with status 3")


def test_last_words_of_a_service(keys):
    """What it has written before it ended arrives, however much."""
    keys.world.add_service("test.Much", "head -c 3000000 /dev/zero", domain="vault")
    keys.forward("--service", "test.Much", "--target", "vault")
    with contextlib.closing(connect(keys.path)) as client:
        assert len(read_all(client)) == 3000000


@pytest.mark.parametrize("service, words", [
    ("test.Refused", "refused: the administrator finds the reason"),
    ("test.Nowhere", "vault has no service test.Nowhere: install split-ssh there"),
])
def test_no_call(keys, service, words):
    keys.forward("--service", service, "--target", "vault")
    result = keys.ssh_add("-l")
    assert result.returncode == 1 and "communication with agent failed" in result.stderr
    keys.world.wait_log(words)
    assert len(forwarders()) == 1


def test_complaints_of_the_service_stay_out_of_the_stream(keys):
    keys.world.add_service("test.Complain", "echo 'no\tgood' >&2; echo good", domain="vault")
    keys.forward("--service", "test.Complain", "--target", "vault")
    with contextlib.closing(connect(keys.path)) as client:
        assert read_all(client) == b"good\n"
    keys.world.wait_log(r"vault says: no\\tgood")


def test_a_broker_that_comes_back(keys):
    keys.forward("--service", "test.Cat", "--target", "vault")
    before = connect(keys.path)
    before.sendall(b"a")
    assert before.recv(1) == b"a"
    keys.world.restart_broker()
    # The call goes on, and a new one finds the new broker.
    before.sendall(b"b")
    assert before.recv(1) == b"b"
    assert exchange(keys.path, b"after") == b"after"
    before.close()


def test_no_broker(keys):
    keys.forward("--service", "test.Cat", "--target", "vault")
    assert exchange(keys.path, b"x") == b"x"
    keys.world.stop()
    with contextlib.closing(connect(keys.path)) as client:
        assert read_all(client) == b""
    keys.world.wait_log("cannot ask for test.Cat in vault: .*; is the service running")
    keys.world.start()
    assert exchange(keys.path, b"again") == b"again"


def test_only_its_own_user_and_root(keys):
    process = keys.forward("--service", "test.Cat", "--target", "vault")
    os.chmod(keys.path, 0o666)
    for folder in os.path.dirname(keys.path), os.path.dirname(os.path.dirname(keys.path)):
        os.chmod(folder, 0o755)
    assert exchange(keys.path, b"root") == b"root"
    script = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('%s'); print(s.recv(1))" % keys.path
    assert keys.run("vault", "/usr/bin/python3", "-c", script).stdout == b"b''\n"
    keys.world.wait_log("closed a connection of user %d" % keys.vault.pw_uid)
    assert len(keys.world.audit(service="test.Cat", event="start")) == 1
    assert process.poll() is None


def test_the_socket(keys):
    process = keys.forward("--service", "test.Cat", "--target", "vault")
    assert os.stat(keys.path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(keys.path)).st_mode & 0o777 == 0o700
    second = keys.run("work", COMMAND, "forward", "--listen", keys.path)
    assert second.returncode == 1 and "another program listens there already" in second.stderr
    # One that died leaves its socket behind, which the next replaces.
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert os.path.exists(keys.path) and not listens(keys.path)
    assert keys.ssh_add("-l").returncode == 2
    keys.start("work", COMMAND, "forward", "--listen", keys.path, "--service", "test.Cat", "--target", "vault")
    wait_for(lambda: listens(keys.path), "the forwarder")
    assert exchange(keys.path, b"new") == b"new"


def test_background(keys):
    result = keys.run("work", COMMAND, "forward", "--background", "--service", "test.Cat", "--target", "vault")
    assert result.returncode == 0 and result.stdout == b""
    assert exchange(keys.path, b"x") == b"x"
    (process,) = forwarders()
    process.kill(signal.SIGTERM)
    assert process.wait(10)


@pytest.mark.parametrize("settings, environment, target", [
    (None, {}, "@default"),
    (None, {"QUBES_SSH_DOMAIN": "vault"}, "vault"),
    ("vault\n", {"QUBES_SSH_DOMAIN": "nowhere"}, "vault"),
])
@pytest.mark.parametrize("program", ["forward", "forward-one"])
def test_which_vault(keys, program, settings, environment, target):
    if settings:
        keys.make_folder("/home/work/.config/qubes", keys.work)
        keys.write_as(keys.work, "/home/work/.config/qubes/split-ssh-vault", settings)
    if program == "forward":
        keys.start("work", COMMAND, "forward", "--service", "test.Cat", environment=environment)
        wait_for(lambda: os.path.exists(keys.path), "the forwarder")
        # One that is refused is reset, since nobody has read what it said.
        with contextlib.suppress(ConnectionResetError):
            exchange(keys.path, b"x")
    else:
        keys.run("work", LIBEXEC + "/forward-one", "test.Cat", environment=environment)
    keys.world.wait_audit(service="test.Cat", requested_target=target)


@pytest.mark.parametrize("arguments", [[], ["a", "b"], [""], ["a/b"], ["+x"]])
def test_forward_one_wants_a_service(keys, arguments):
    result = keys.run("work", LIBEXEC + "/forward-one", *arguments)
    assert result.returncode == 1 and result.stdout == b"" and "usage" in result.stderr


def test_a_socket_of_the_service_manager(keys):
    """systemd-socket-activate is systemd's own, and passes the socket as a unit does."""
    keys.make_folder(os.path.dirname(keys.path), keys.work)
    keys.start("work", "systemd-socket-activate", "-l", keys.path, "-E", "XDG_RUNTIME_DIR", "-E", "HOME",
               COMMAND, "forward", "--listen", "/nonexistent/x", "--service", "test.Cat", "--target", "vault")
    wait_for(lambda: os.path.exists(keys.path), "the socket")
    assert exchange(keys.path, b"one") == b"one"
    assert exchange(keys.path, b"two") == b"two"
    assert len(forwarders()) == 1


def test_a_process_for_each_connection(keys):
    """What qubes-ssh-agent.socket (Accept=yes) does."""
    keys.make_folder(os.path.dirname(keys.path), keys.work)
    keys.start("work", "systemd-socket-activate", "--accept", "--inetd", "-l", keys.path, "-E", "HOME",
               "-E", "QUBES_SSH_DOMAIN", LIBEXEC + "/forward-one", "test.Cat", environment={"QUBES_SSH_DOMAIN": "vault"})
    wait_for(lambda: os.path.exists(keys.path), "the socket")
    assert exchange(keys.path, b"one") == b"one"
    data = random.Random(2).randbytes(1 << 20)
    assert exchange(keys.path, data) == data


def test_descriptors_stay_few(keys):
    process = keys.forward("--service", "test.Cat", "--target", "vault")
    folder = "/proc/%d/fd" % process.pid
    exchange(keys.path, b"x")
    before = len(os.listdir(folder))
    for _ in range(30):
        exchange(keys.path, b"x")
        connect(keys.path).close()
    wait_for(lambda: len(os.listdir(folder)) <= before, "the descriptors")


@pytest.mark.parametrize("arguments, words", [
    (["--target", "-x"], "is no name of a domain"),
    (["--target", "a b"], "is no name of a domain"),
    (["--service", "a/b"], "is no service"),
    (["--listen", "/" + "x" * 120], "too long"),
    (["more"], "is no option"),
    (["--nonsense"], "nonsense"),
])
def test_wrong_words(keys, arguments, words):
    result = keys.run("work", COMMAND, "forward", *arguments)
    assert result.returncode == 1 and words in result.stderr and result.stdout == b""
