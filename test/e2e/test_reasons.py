# SPDX-License-Identifier: Apache-2.0
"""What a refused caller learns: a few words, the same ones, in the same time, whether its target exists or not."""

import json
import os
import pwd
import re
import socket
import statistics
import struct
import time

import pytest
import wire

# Three ways to be refused that must look alike.
REFUSALS = {
    "a target that does not exist": ("nowhere", "my.Echo"),
    "a target that is denied": ("other", "my.Echo"),
    "a service that is denied": ("vault", "my.Secret"),
}


@pytest.fixture
def host(world):
    for name in ("work", "vault", "other"):
        world.add_domain(name)
    world.set_policy("my.Echo * work vault allow")
    world.add_service("my.Echo", "exec cat")
    world.add_service("my.Secret", "echo secret")
    world.start()
    return world


def test_the_words_are_the_same(host):
    answers, texts = set(), set()
    for target, service in REFUSALS.values():
        with wire.connect_as("work", wire.SHARED) as connection:
            connection.sendall(wire.trigger(target, service))
            data = wire.receive_all(connection)
        mode, call_id, reason = struct.unpack("<III", data)
        answers.add((mode, reason, len(data)))
        result = host.call("work", target, service)
        texts.add((result.returncode, result.stdout, re.sub(r"call \d+", "call N", result.stderr)))
    assert len(answers) == 1 and len(texts) == 1, (answers, texts)
    ((status, _, text),) = texts
    assert (status, text) == (126, "Request refused\nqrexec-client-vm: refused (call N): "
                                   "the administrator finds the reason in the audit log\n")


def test_the_log_knows_more(host):
    """The whole truth is where the caller's words point to: under the call's id."""
    truths = set()
    for target, service in REFUSALS.values():
        stderr = host.call("work", target, service).stderr
        call_id = int(re.search(r"\(call (\d+)\)", stderr).group(1))
        (record,) = host.wait_audit(call_id=call_id)
        assert (record["requested_target"], record["service"], record["told"]) == (target, service, "refused")
        truths.add(record["rule"])
    assert truths == {"/etc/qubes/policy.d/90-default.policy:21"}


def connect():
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(wire.SHARED)
    return connection


def measure(data):
    """Microseconds from the request to its answer; the broker has accepted the connection before."""
    with connect() as connection:
        settle()
        begin = time.perf_counter()
        connection.sendall(data)
        answer = connection.recv(100)
        usec = (time.perf_counter() - begin) * 1e6
        assert len(answer) == 12
    settle()
    return usec


def settle():
    """A round trip of its own: the broker has done what it had to do before, such as writing a record."""
    with connect() as connection:
        connection.sendall(wire.trigger("vault", "my.Nothing"))
        assert len(wire.receive_all(connection)) == 12


def measure_all(n):
    """Interleaved, each kind first in turn."""
    requests = {name: wire.trigger(*refusal) for name, refusal in REFUSALS.items()}
    times = {name: [] for name in requests}
    names = list(requests)
    for turn in range(n):
        for name in names[turn % 3:] + names[:turn % 3]:
            times[name].append(measure(requests[name]))
    return times


def typical(values):
    """The median of the lower half: what is above comes from other work of the machine."""
    return statistics.median(sorted(values)[:len(values) // 2])


def test_the_time_is_the_same(host):
    times = as_account("work", measure_all, 300)
    usec = {name: typical(values) for name, values in times.items()}
    assert max(usec.values()) - min(usec.values()) < 0.5 * min(usec.values()) + 50, usec


def as_account(account, function, *arguments):
    """What FUNCTION returns in a process of ACCOUNT."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            entry = pwd.getpwnam(account)
            os.initgroups(account, entry.pw_gid)
            os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
            os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
            with os.fdopen(writer, "w") as file:
                json.dump(function(*arguments), file)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, "the process of %s failed" % account
    return json.loads(text)
