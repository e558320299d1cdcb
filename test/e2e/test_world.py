# SPDX-License-Identifier: Apache-2.0
"""The private world shows the build and leaves nothing behind. Runs outside of it, as root."""

import os
import re
import signal
import subprocess

import pytest
from processes import Process

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

CHECKOUT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
ENTER = os.path.join(CHECKOUT, "test/world/enter")
BUILD = os.environ.get("QAIR_BUILD", os.path.join(CHECKOUT, "build"))

# What a world covers or adds to; the build directory gets meson's install log and nothing else.
WATCHED = ("/etc", "/home", "/root", "/run", "/var/log", "/usr/lib/qubes")
# Here others come and go; of a world's doings there are the files that BUSY makes.
PUBLIC = ("/tmp", "/var/tmp", "/dev/shm")
ACCOUNT_FILES = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")

# Does what domains and packages do to a machine, and shows that it happened.
BUSY = """
set -e
for folder in /run /home /root /tmp /var/tmp /var/log /etc /dev/shm; do echo x >$folder/world-was-here; done
useradd --create-home world-account
sleep 1000 </dev/null >/dev/null 2>&1 &
id qrexec qrexec-dom0 world-account
ls /etc/qubes-rpc
"""


def enter(*command, **settings):
    return subprocess.run([ENTER, BUILD, *command], capture_output=True, text=True, timeout=60, **settings)


def test_nothing_is_left_outside():
    before = machine()
    result = enter("/bin/bash", "-c", BUSY)
    assert result.returncode == 0, result.stderr
    assert "world-account" in result.stdout and "qubes.GetDate" in result.stdout
    assert machine() == before


def test_nothing_is_left_when_it_is_killed():
    before = machine()
    with subprocess.Popen(
        [ENTER, BUILD, "/bin/bash", "-c", BUSY + "exec sleep 1000"], stdout=subprocess.PIPE, text=True
    ) as world:
        while world.stdout.readline() != "qubes.GetDate\n":
            pass
        inhabitants = [Process(pid) for pid in descendants(world.pid)]
        assert len(inhabitants) >= 3  # its first process, and the two that sleep
        world.kill()
        assert all(process.wait(timeout=10) for process in inhabitants)
    assert machine() == before


@pytest.mark.parametrize("status", [0, 1, 126, 255])
def test_status_is_the_commands(status):
    assert enter("/bin/sh", "-c", "exit %d" % status).returncode == status


def test_a_signal_to_the_group_ends_it():
    with subprocess.Popen(
        [ENTER, BUILD, "/bin/sh", "-c", "echo ready; exec sleep 1000"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as world:
        assert world.stdout.readline() == "ready\n"
        os.killpg(world.pid, signal.SIGTERM)
        assert world.wait(timeout=10) == 143


def test_input_output_and_arguments_pass_unchanged():
    result = enter("/bin/sh", "-c", 'printf "[%s]" "$@"; cat', "sh", "a b", "", "*", "'", input="x\n")
    assert (result.returncode, result.stdout) == (0, "[a b][][*][']x\n")


def test_callers_environment_stays_outside():
    environment = dict(os.environ, TMPDIR="/nowhere", DESTDIR="/nowhere", NOTIFY_SOCKET="/nowhere", PATH="/usr/bin:/bin")
    result = enter("/bin/sh", "-c", 'env; echo "$PATH"', env=environment)
    assert result.returncode == 0, result.stderr
    assert "/nowhere" not in result.stdout
    assert "QAIR_WORLD=1\n" in result.stdout
    assert result.stdout.endswith("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n")


def test_only_loopback_is_reachable():
    result = enter("/bin/sh", "-c", "ip -oneline link; ip route")
    assert re.fullmatch(r"1: lo: <LOOPBACK,UP,LOWER_UP>.*\n", result.stdout), result.stdout


@pytest.mark.parametrize(
    "command, message",
    [
        ([BUILD], "usage: enter [--keep FOLDER] BUILD_DIR COMMAND"),
        (["/nowhere", "true"], "enter: /nowhere is not a build directory"),
    ],
)
def test_misuse_is_explained(command, message):
    result = subprocess.run([ENTER, *command], capture_output=True, text=True)
    assert result.returncode == 125
    assert message in result.stderr


# A small project with our script in it, made at $1/a checkout behind a private overlay of $1, and entered from elsewhere.
SMALL_PROJECT = r"""
set -e
folder=$1 enter=$2 scratch=$3
mount -t tmpfs none "$scratch"
mkdir "$scratch/upper" "$scratch/work"
chmod --reference="$folder" "$scratch/upper"
mount -t overlay -o "lowerdir=$folder,upperdir=$scratch/upper,workdir=$scratch/work" none "$folder"
mkdir -p "$folder/a checkout/test/world"
cd "$folder/a checkout"
cp "$enter" test/world/enter
echo 'it works' >greeting
cat >meson.build <<'END'
project('small', default_options: ['prefix=/usr'])
install_data('greeting', install_dir: '/usr/lib')
install_data('greeting', install_dir: '/etc/qubes-rpc')
END
meson setup build >/dev/null
cd /
"$folder/a checkout/test/world/enter" "$folder/a checkout/build" /bin/sh -c '
        pwd; cat greeting /usr/lib/greeting /etc/qubes-rpc/greeting; echo "$QAIR_BUILD"; echo new >build/written'
cat "$folder/a checkout/build/written"
"""


@pytest.mark.parametrize("folder", ["/etc", "/home", "/root", "/run", "/srv", "/tmp", "/usr/src", "/var/log"])
def test_checkout_may_be_anywhere(folder, tmp_path):
    result = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "--"]
        + ["/bin/bash", "-c", SMALL_PROJECT, "bash", folder, ENTER, tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    checkout = folder + "/a checkout"
    assert result.stdout == "%s\n%s%s/build\nnew\n" % (checkout, 3 * "it works\n", checkout)


def machine():
    """What a world might have changed of this machine."""
    files = {path: sorted(os.listdir(path)) for path in WATCHED if os.path.isdir(path)}
    files.update((path, "world-was-here" in os.listdir(path)) for path in PUBLIC)
    accounts = {}
    for path in ACCOUNT_FILES:
        with open(path) as file:
            accounts[path] = file.read()
    with open("/proc/self/mountinfo") as mounts:
        return files, accounts, mounts.read()


def descendants(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        for child in map(int, file.read().split()):
            yield child
            yield from descendants(child)
