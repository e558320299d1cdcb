# SPDX-License-Identifier: Apache-2.0
"""Domains in a bubblewrap sandbox: calls from and to them, and what they cannot reach."""

import os
import pwd
import signal

import processes
import pytest
from world import AGENT, REFUSED

BWRAP = "/usr/bin/bwrap"

pytestmark = pytest.mark.skipif(not os.path.exists(BWRAP), reason="there is no bubblewrap here")


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("other")
    world.add_domain("box", sandbox="bwrap", services={"my.Own": "echo own"})
    world.add_service("my.Hello", "echo hello $QREXEC_REMOTE_DOMAIN; id -un")
    world.add_service("my.Cat", "exec cat")
    world.set_policy("* * work box allow\n* * box work allow")
    return world


def inside(host, script, input=b""):
    """What a shell SCRIPT in the sandbox prints."""
    host.add_service("my.Inside", script, domain="box")
    result = host.call("work", "box", "my.Inside", input=input)
    assert result.returncode == 0, (result, host.log())
    return result.stdout.decode()


def test_calls_to_and_from_it(host):
    host.start()
    assert host.call("work", "box", "my.Hello").stdout == b"hello work\nbox\n", host.log()
    data = os.urandom(1 << 20)
    assert host.call("work", "box", "my.Cat", input=data).stdout == data
    # from inside, with the paths that every domain has
    script = "qrexec-client-vm work my.Hello; exec qrexec-client-vm other my.Hello 2>&1"
    host.add_service("my.Inside", script, domain="box")
    result = host.call("work", "box", "my.Inside")
    assert result.stdout.startswith(b"hello box\nwork\nRequest refused\n"), result
    assert result.returncode == REFUSED
    assert not host.started("my.Hello")[0].source == "other"


def test_its_programs_see_themselves_alone(host):
    host.start()
    outside = str(os.getpid())
    seen = inside(host, "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done")
    assert "qrexec-agent" in seen and "qrexecd" not in seen and "supervisor" not in seen, seen
    assert inside(host, "kill -0 %s 2>&1 || echo no" % outside).strip().endswith("no")
    assert inside(host, "cat /proc/sys/kernel/hostname").strip() == "box"


def test_it_has_no_network(host):
    host.start()
    assert inside(host, "ls /sys 2>&1 | head -1; cut -d: -f1 /proc/net/dev | tail -n +3").split()[-1] == "lo"
    # not even the host's loopback, nor its abstract sockets
    script = "#!/usr/bin/python3\nimport socket\n"
    script += "for family, address in ((socket.AF_INET, ('127.0.0.1', %d)), (socket.AF_UNIX, '\\0qair-test')):\n"
    script += "    try:\n        socket.socket(family).connect(address)\n        print('connected')\n"
    script += "    except OSError as error:\n        print(error.strerror)\n"
    import socket

    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as abstract:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        abstract.bind("\0qair-test")
        abstract.listen()
        seen = inside(host, script % tcp.getsockname()[1])
    assert "connected" not in seen and seen.count("\n") == 2, seen


def test_it_sees_its_own_run_directory_alone(host):
    host.start()
    assert sorted(inside(host, "ls /run/qubes").split()) == ["link", "qrexec-agent", "qubesdb.sock"]
    assert inside(host, "ls /run").split() == ["qubes", "user"]
    # and cannot put anything in the place of a socket
    assert "Read-only" in inside(host, "rm /run/qubes/link 2>&1; touch /run/qubes/x 2>&1; true")
    assert os.path.exists("/run/qubes/domains/box/link")


def test_its_home_is_its_own_and_nothing_else_is(host):
    host.start()
    box = pwd.getpwnam("box")
    assert inside(host, "ls /home; echo kept >$HOME/file; pwd; echo $HOME").split() == ["box", box.pw_dir, box.pw_dir]
    with open(box.pw_dir + "/file") as file:
        assert file.read() == "kept\n"
    # what is not the sandbox's is not there, or cannot be written
    for path in ("/", "/usr", "/etc", "/etc/qubes-rpc", "/run", "/home"):
        assert "no" in inside(host, "touch %s/x 2>/dev/null || echo no" % path), path
    for path in ("/root", "/etc/shadow", "/etc/qubes/policy.d", "/etc/qubes/domains.d/work.conf", "/var/log", "/boot", "/srv"):
        assert inside(host, "test -e %s || echo no" % path) == "no\n", path
    assert inside(host, "touch /tmp/x /var/tmp/x $XDG_RUNTIME_DIR/x && echo yes") == "yes\n"
    assert not os.path.exists("/tmp/x") and not os.path.exists("/var/tmp/x")
    assert inside(host, "cut -d: -f1 /etc/passwd").split() == ["box", "nobody"]
    assert inside(host, "echo ${SSH_AUTH_SOCK-none} ${DBUS_SESSION_BUS_ADDRESS-none}") == "none none\n"


def test_it_has_its_own_services_and_the_hosts(host):
    host.add_domain("base", type="TemplateVM")
    host.write("/etc/qubes/domains.d/box.conf", "[domain]\nuser = box\nsandbox = bwrap\ntemplate = base\n")
    host.add_service("my.Template", "echo template", domain="base")
    host.add_service("my.Others", "echo others", domain="work")
    host.add_service("my.Configured", 'echo "$QREXEC_REMOTE_DOMAIN"; cat', config="skip-service-descriptor=true\n")
    host.start()
    assert host.call("work", "box", "my.Own").stdout == b"own\n"
    assert host.call("work", "box", "my.Template").stdout == b"template\n"
    assert host.call("work", "box", "my.Others").returncode == 127
    assert host.call("work", "box", "my.Configured", input=b"x").stdout == b"work\nx"
    assert inside(host, "ls /etc/qubes/domains.d").split() == ["base.rpc", "box.rpc"]


def test_stopping_it_leaves_nothing(host):
    host.start()
    call = host.start_call("work", "box", "my.Cat")
    call.stdin.write(b"x")
    call.stdin.flush()
    assert call.stdout.read(1) == b"x"
    host.add_service("my.Stay", "setsid -f sleep 1000 </dev/null >/dev/null 2>&1; echo stays")
    assert host.call("work", "box", "my.Stay").stdout == b"stays\n"
    result = host.qair("domain", "stop", "box")
    assert result.stdout == b"box is halted\n1 call still runs there: 'qair calls' lists what is open\n", result
    # The call that runs has its end, and its caller an exit code; nothing else has.
    stdout, _ = call.communicate(b"y", timeout=20)
    assert (call.returncode, stdout) == (0, b"y")
    host.wait_log("domain box stopped")
    left = [process for process in processes.others() if "sleep 1000" in process.command or process.program == BWRAP]
    assert all(process.wait(5) for process in left), left
    # and it starts again
    assert host.call("work", "box", "my.Hello").returncode == 0


def test_it_goes_with_its_monitor(host):
    host.start()
    assert host.call("work", "box", "my.Hello").returncode == 0
    agents = processes.running(AGENT)
    (monitor,) = processes.running("/usr/lib/qubes/qair-monitor")
    monitor.kill(signal.SIGKILL)
    assert all(agent.wait(20) for agent in agents)
    host.wait_log("domain box stopped")
    assert host.call("work", "box", "my.Hello").returncode == 0, host.log()


def test_without_bubblewrap_it_is_not_started(host):
    os.rename(BWRAP, BWRAP + ".away")
    try:
        host.start()
        host.wait_log(r"box\.conf:3: domain box: /usr/bin/bwrap is not there: install the package bubblewrap")
        result = host.call("work", "box", "my.Hello")
        assert result.returncode == REFUSED and "service unavailable" in result.stderr, result
        host.wait_log("domain box: /usr/bin/bwrap: .*: install the package bubblewrap")
        host.assert_service_never_started("my.Hello")
    finally:
        os.rename(BWRAP + ".away", BWRAP)
    assert host.qair("domain", "start", "box").returncode == 0
