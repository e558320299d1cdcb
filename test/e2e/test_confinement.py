# SPDX-License-Identifier: Apache-2.0
"""What the broker does during a call, seen from outside: nothing that its sandbox would have to stop."""

import re
import shutil
import subprocess

import processes
import pytest
import wire
from world import BROKER

STRACE = shutil.which("strace")


@pytest.mark.skipif(not STRACE, reason="strace is not installed")
def test_a_call_executes_nothing_in_the_broker(world):
    world.add_domain("work")
    world.add_domain("vault")
    world.set_policy("my.Echo * work vault allow")
    world.add_service("my.Echo", "exec cat")
    world.start()
    assert world.call("work", "vault", "my.Echo", input=b"x").returncode == 0  # the agent is up
    (broker,) = processes.running(BROKER)
    trace = "/run/test/trace"
    tracer = subprocess.Popen(
        [STRACE, "-f", "-y", "-o", trace, "-p", str(broker.pid)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert "attached" in tracer.stderr.readline()
        payload = b"the payload " * 10000
        for _ in range(3):
            assert world.call("work", "vault", "my.Echo", input=payload).stdout == payload
        world.assert_refused(world.call("work", "vault", "my.Other"))
    finally:
        tracer.terminate()
        tracer.communicate(timeout=wire.TIMEOUT_SEC)

    with open(trace, errors="replace") as file:
        lines = file.read().splitlines()
    calls = [match.group(1) for match in (re.match(r"\d+ +(\w+)\(", line) for line in lines) if match]
    # A channel is made ahead of the call that takes it.
    assert calls.count("accept4") >= 4 and calls.count("socketpair") in (3, 4), "this is not a trace of four calls"
    forbidden = {"execve", "execveat", "fork", "vfork", "clone", "clone3", "connect", "socket", "openat", "open"}
    assert not forbidden & set(calls), [line for line in lines if forbidden & set(re.findall(r"(\w+)\(", line))]
    assert not any("the payload" in line for line in lines), "payload passed through the broker"
