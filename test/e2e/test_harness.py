# SPDX-License-Identifier: Apache-2.0
"""The harness keeps its own promises: what other tests rely on is shown to fail when it should."""

import glob
import os
import pwd
import re
import subprocess
import sys

import processes
import pytest
from world import INSTALLED, World, supervisor

PYTHON = sys.executable
# Any program that keeps the protocol of sd_notify(3) is a daemon to the starter.
NOTIFY = (
    "import os, signal, socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM);"
    "a = os.environ['NOTIFY_SOCKET'].replace('@', '\\0', 1);"
)


def test_a_world_starts_as_installed_and_is_wiped():
    first = World()
    first.add_domain("work", services={"my.Own": "true"}, label="red")
    first.add_service("my.Shared", "true", config="wait-for-session=0\n")
    first.set_policy("* * work work allow")
    home = pwd.getpwnam("work").pw_dir
    with open("/etc/qubes/domains.d/work.conf") as file:
        assert file.read() == "[domain]\nuser = work\nlabel = red\n"
    assert os.access("/etc/qubes/domains.d/work.rpc/my.Own", os.X_OK)
    first.close()

    second = World()
    assert os.listdir("/etc/qubes/domains.d") == ["dom0.rpc"]
    assert sorted(os.listdir("/etc/qubes-rpc")) == sorted(os.listdir(INSTALLED + "/etc/qubes-rpc"))
    assert {"policy", "qubes.GetDate", "qubes.VMShell"} <= set(os.listdir("/etc/qubes-rpc"))
    shipped = ["35-compat.policy", "90-admin-policy-default.policy", "90-default.policy", "90-qubes-split-gpg.policy",
               "90-qubes-split-ssh.policy", "README", "include"]
    assert sorted(os.listdir("/etc/qubes/policy.d")) == shipped
    assert sorted(os.listdir("/etc/qubes/rpc-config")) == sorted(os.listdir(INSTALLED + "/etc/qubes/rpc-config"))
    assert not os.path.exists(home)
    with pytest.raises(KeyError):
        pwd.getpwnam("work")
    second.close()


def test_accounts_are_ordinary_ones(world):
    entry = world.add_account("work", groups=["qubes"])
    output = subprocess.run(["id", "work"], capture_output=True, text=True, check=True).stdout
    assert "(work) gid=%d(work)" % entry.pw_gid in output and "(qubes)" in output
    with world.popen_as("work", ["/bin/sh", "-c", "id -un; pwd; echo $HOME; touch x"]) as process:
        assert process.communicate()[0] == b"work\n/home/work\n/home/work\n"
    complaints = subprocess.run(["pwck", "--read-only"], capture_output=True, text=True).stdout
    assert "work" not in complaints


def test_a_process_left_behind_is_a_failure():
    world = World()
    with subprocess.Popen(["sleep", "1000"]) as sleeper:
        with pytest.raises(AssertionError, match="left behind:\n%d sleep 1000" % sleeper.pid):
            world.close(patience=0.1)
    assert processes.others() == []


def test_a_sanitizers_report_is_a_failure():
    world = World()
    with open(world.logfile.path, "a") as log:
        log.write("x.c:1:1: runtime error: signed integer overflow\n")
    with pytest.raises(AssertionError, match="signed integer overflow"):
        world.close()


def test_started_tells_who_and_as_whom(world):
    world.add_account("vault")
    world.add_service("my.Service", "exit 3")
    world.assert_service_never_started("my.Service")
    environment = {"QREXEC_SERVICE_FULL_NAME": "my.Service+x", "QREXEC_REMOTE_DOMAIN": "work"}
    with world.popen_as("vault", ["/etc/qubes-rpc/my.Service"], environment) as process:
        process.communicate()
        assert process.returncode == 3
    (start,) = world.started("my.Service")
    assert (start.account, start.descriptor, start.source) == ("vault", "my.Service+x", "work")
    with pytest.raises(AssertionError, match="was started"):
        world.assert_service_never_started("my.Service")


def test_wait_log_is_woken_by_the_write(world):
    with open(world.logfile.path, "a") as log:
        log.write("one\n")
    mark = world.logfile.mark()
    writer = "import sys; sys.stdin.read(); open(sys.argv[1], 'a').write('one\\ntwo 2\\n')"
    with subprocess.Popen([PYTHON, "-c", writer, world.logfile.path], stdin=subprocess.PIPE) as process:
        process.stdin.close()
        assert world.wait_log(r"^two (\d)$").group(1) == "2"
    assert world.wait_log("^one$", mark=mark)
    with pytest.raises(AssertionError, match="nothing like"):
        world.wait_log("three", timeout=0)


def test_ready_is_waited_for(world):
    program = NOTIFY + "print('starting', flush=True); s.sendto(b'STATUS=x\\nREADY=1', a); signal.pause()"
    process = supervisor.start(world.logfile.path, [PYTHON, "-c", program])
    assert world.log() == "starting\n"
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    "program, timeout, message",
    [
        ("sys.exit(3)", 20, "ended with status 3"),
        ("s.sendto(b'STATUS=x', a); sys.exit(4)", 20, "ended with status 4"),
        ("os.fork() or (s.sendto(b'READY=1', a), os._exit(0)); os.wait(); sys.exit(5)", 20, "ended with status 5"),
        ("signal.pause()", 0.2, "did not say READY=1 in time"),
    ],
    ids=["ends", "says something else and ends", "another process says it", "never says it"],
)
def test_not_ready_is_an_error(world, program, timeout, message):
    with pytest.raises(supervisor.NotReady, match=message):
        supervisor.start(world.logfile.path, [PYTHON, "-c", NOTIFY + program], timeout=timeout)


def test_no_test_hides_another():
    """Of two functions of one name Python keeps the last, and nothing says that the first is never run."""
    for path in glob.glob(os.path.dirname(__file__) + "/**/*.py", recursive=True):
        with open(path) as file:
            names = re.findall(r"^def (\w+)", file.read(), re.M)
        assert len(names) == len(set(names)), (path, [name for name in names if names.count(name) > 1])
