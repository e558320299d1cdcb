# SPDX-License-Identifier: Apache-2.0
"""A change that was saved is in force for the next call, however it was saved and whatever became of the folders."""

import os
import shutil

import processes
import pytest
from world import BROKER, World

ALLOW = "my.Echo * work vault allow"
DENY = "my.Echo * work vault deny"
POLICY = "/etc/qubes/policy.d"
# More than the kernel queues for one watcher (fs.inotify.max_queued_events), and no two alike in a row.
MANY = 20000


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("vault")
    world.set_policy(ALLOW)
    world.add_service("my.Echo", "exec cat")
    world.start()
    world.assert_served()
    return world


def assert_denied(host):
    host.assert_refused(host.call("work", "vault", "my.Echo"))


def test_each_saved_change_is_seen_by_the_next_call(host):
    for _ in range(20):
        host.set_policy(DENY)
        assert_denied(host)
        host.set_policy(ALLOW)
        host.assert_served()


def test_a_file_that_is_written_in_place(host):
    for text, check in ((DENY, assert_denied), (ALLOW, World.assert_served)) * 5:
        with open(POLICY + "/30-user.policy", "w") as file:
            file.write(text + "\n")
        check(host)


def test_more_changes_than_the_kernel_remembers(host):
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        assert int(file.read()) < MANY
    for i in range(MANY // 2):
        for name in ("/one", "/two"):
            os.utime(POLICY + name) if i else open(POLICY + name, "w").close()
    host.set_policy(DENY)
    assert_denied(host)
    host.set_policy(ALLOW)
    host.assert_served()


def swap(path, content, by):
    """Another folder is at PATH afterwards, whose only file of the user's says CONTENT."""
    shutil.copytree(path, path + ".new")
    with open(path + ".new/30-user.policy", "w") as file:
        file.write(content + "\n")
    by(path)


def by_rename(path):
    os.rename(path, path + ".old")
    os.rename(path + ".new", path)


def by_removal(path):
    shutil.rmtree(path)
    os.rename(path + ".new", path)


def by_link(path):
    os.rename(path, path + ".old")
    os.symlink(path + ".new", path)


@pytest.mark.parametrize("by", [by_rename, by_removal, by_link])
def test_a_folder_that_is_replaced(host, by):
    swap(POLICY, DENY, by)
    assert_denied(host)
    # And what happens in the new one is seen as well.
    host.set_policy(ALLOW)
    host.assert_served()
    host.set_policy(DENY)
    assert_denied(host)


def test_a_folder_that_is_gone_for_a_while(host):
    os.rename(POLICY, "/etc/qubes/elsewhere")
    assert_denied(host)
    os.rename("/etc/qubes/elsewhere", POLICY)
    host.assert_served()
    os.rename("/etc/qubes/domains.d", "/etc/qubes/elsewhere")
    assert host.call("work", "vault", "my.Echo").returncode == 126
    os.rename("/etc/qubes/elsewhere", "/etc/qubes/domains.d")
    host.assert_served()
    shutil.rmtree(POLICY)
    assert_denied(host)
    host.set_policy(ALLOW)
    host.assert_served()


def test_an_old_folder_is_no_longer_watched(host):
    """What becomes of a folder that was replaced is nobody's business: no watches pile up."""
    (broker,) = processes.running(BROKER)

    def watches():
        count = 0
        for fd in os.listdir("/proc/%d/fdinfo" % broker.pid):
            with open("/proc/%d/fdinfo/%s" % (broker.pid, fd)) as file:
                count += sum(line.startswith("inotify wd:") for line in file)
        return count

    before = watches()
    for i in range(5):
        swap(POLICY, DENY if i % 2 else ALLOW, by_rename)
        os.rename(POLICY + ".old", "/etc/old-%d" % i)
        (assert_denied if i % 2 else World.assert_served)(host)
    assert watches() == before > 0


def test_the_whole_configuration_is_replaced(host):
    """A broker is confined to the folder that it began with: another one takes its place, and the caller notices nothing."""
    call = host.start_call("work", "vault", "my.Echo")
    call.stdin.write(b"x")
    call.stdin.flush()
    assert call.stdout.read(1) == b"x"
    (before,) = processes.running(BROKER)
    shutil.copytree("/etc/qubes", "/etc/qubes.new", symlinks=True)
    by_rename("/etc/qubes")
    host.assert_served()
    host.wait_log("the folder of the configuration was replaced")
    (after,) = processes.running(BROKER)
    assert before.pid != after.pid
    host.set_policy(DENY)
    assert_denied(host)
    # A call in flight goes on.
    stdout, _ = call.communicate(b"y", timeout=20)
    assert (call.returncode, stdout) == (0, b"y")
    shutil.rmtree("/etc/qubes.old")


def test_the_whole_configuration_is_gone_for_a_while(host):
    os.rename("/etc/qubes", "/etc/elsewhere")
    assert_denied(host)
    os.rename("/etc/elsewhere", "/etc/qubes")
    host.assert_served()
