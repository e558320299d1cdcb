# SPDX-License-Identifier: Apache-2.0
"""The agent of a virtual machine, qrexec-agent --vsock, where its host cannot be reached. What it does when it can is for
test/vsock/, which has a real guest.

Nobody is dialled here, also where this machine is itself a guest: this root may not have a port of root's.
"""

import os
import re
import shutil
import signal
import subprocess

import pytest
import vchan

AGENT = "/usr/lib/qubes/qrexec-agent"
LIMIT = 30
WITHOUT_PORTS = ["setpriv", "--inh-caps=-net_bind_service", "--bounding-set=-net_bind_service"]
TRIGGER = "/run/test-vsock-agent"
UNREACHABLE = "cannot reach the daemon, at port 512 of the host: "


@pytest.fixture
def start(tmp_path):
    """Start a COMMAND as root; log() is what it has said."""
    processes = []
    path = tmp_path / "log"

    def run(*command):
        with open(path, "wb") as stream:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
                                       env={"PATH": os.environ["PATH"]}, start_new_session=True)
        process.log = lambda: path.read_text(errors="replace")
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(LIMIT)


def test_only_root(world):
    world.add_account("anna")
    agent = world.popen_as("anna", [AGENT, "--vsock"])
    _, said = agent.communicate(timeout=LIMIT)
    assert agent.returncode == 1
    assert b"--vsock: only root of a virtual machine can speak for it" in said


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_it_says_why_and_tries_again(start):
    agent = start(*WITHOUT_PORTS, "strace", "-f", "-qq", "-e", "trace=bind,connect", AGENT, "--vsock", "-a", TRIGGER)
    bind = re.compile(r"bind\(\d+, \{sa_family=AF_VSOCK, svm_cid=VMADDR_CID_ANY, svm_port=(?:0x200|512)\b")
    vchan.wait_for(lambda: len(bind.findall(agent.log())) >= 4, "some attempts")
    assert agent.log().count(UNREACHABLE) == 1
    assert UNREACHABLE + "Permission denied; trying again" in agent.log()
    assert not re.search(r"connect\(\d+, \{sa_family=AF_VSOCK", agent.log())
    # Nobody decides about calls: so there is no socket for them.
    assert not os.path.exists(TRIGGER)
    assert agent.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told(start, number):
    agent = start(*WITHOUT_PORTS, AGENT, "--vsock", "-a", TRIGGER)
    vchan.wait_for(lambda: UNREACHABLE in agent.log(), "its first attempt")
    agent.send_signal(number)
    assert agent.wait(LIMIT) == 0


def test_a_client_finds_nobody(start):
    agent = start(*WITHOUT_PORTS, AGENT, "--vsock", "-a", TRIGGER)
    vchan.wait_for(lambda: UNREACHABLE in agent.log(), "its first attempt")
    result = subprocess.run(["qrexec-client-vm", "--agent-socket=" + TRIGGER, "vault", "my.Svc"], timeout=LIMIT,
                            env={"PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1
    assert ("cannot connect to %s: No such file" % TRIGGER).encode() in result.stderr
