# SPDX-License-Identifier: Apache-2.0
"""Calls between hosts: RemoteVM through a relay over SSH, with real sshd on networks of their own.

QAIR_REMOTE_BYTES is how much the streams carry: `make check-remote` has 1 GiB, `make check` less.
"""

import os
import re
import select
from concurrent.futures import ThreadPoolExecutor

import processes
import pytest
from inside import IN_WORLD

if not IN_WORLD:
    pytest.skip("needs a private world", allow_module_level=True)

from hosts import Hosts, run
from streams import GIVE, at_once, stream

TRANSPORT = {"type": "RemoteVM", "transport_rpc": "qubesair.SSHProxy"}
N_BYTES = int(os.environ.get("QAIR_REMOTE_BYTES", 48 << 20))
N_MANY = 50
N_AT_ONCE = 64
# More than pipes, sockets and ssh's window (2 MiB) hold on the way; and how long nothing has to go to be at a stop.
UNREAD_MAX = 64 << 20
STILL_MSEC = 2000
SSH = "/usr/bin/ssh"
SSHD = "/usr/sbin/sshd"

# What may end within seconds here, so that a test of an end need not wait for longer.
QUICK = "Host *\n    ServerAliveInterval 1\n    ServerAliveCountMax 2\n    ConnectTimeout 3\n"

POLICY_A = """
my.Denied  *  work     remote-vault           deny
*          *  work     @tag:relayvm-net-relay allow
my.Who     *  other    remote-vault           allow
my.Who     *  work     c-vault                allow
my.Who     *  b-vault  work                   allow
"""
POLICY_B = """
my.NotHere *                 a-work     vault      deny
*          *                 a-work     vault      allow
my.Who     *                 a-work     a-relay    allow
my.Who     *                 a-work     @tag:many  allow
my.Who     *                 a-stranger vault      allow
my.Who     *                 vault      a-work     allow
qubesair.SSHProxy *          a-work     c-relay    allow
"""

WHO = 'printf "%s %s " "$QREXEC_REMOTE_DOMAIN" "$QREXEC_SERVICE_FULL_NAME"; id -un'


def known(host, name=None):
    return "%s %s\n" % (name or host.name, host.host_key())


@pytest.fixture(scope="module")
def three():
    """work on a calls vault on b through net-relay and a-relay, and vault on c through b besides.

    b has a work of its own: that of a is called a-work there. b's vault calls a's work through a-relay and b-relay.
    """
    with Hosts("a", "b", "c") as (a, b, c):
        a.add_domain("work")
        a.add_domain("other")
        a.add_domain("net-relay")
        b.add_relay("a-relay", a.make_key("net-relay"), unknown_source="a-stranger")
        a.add_relay("b-relay", b.make_key("a-relay"))
        behind_b = {"relayvm": "net-relay", "remote_host": "a-relay@b", **TRANSPORT}
        a.add_domain("remote-vault", remote_name="vault", **behind_b)
        a.add_domain("remote-b", remote_name="a-relay", **behind_b)
        a.add_domain("b-c-relay", remote_name="c-relay", **behind_b)
        a.add_domain("c-vault", relayvm="b-c-relay", **TRANSPORT)
        a.add_domain("b-vault", relayvm="b-relay", remote_name="vault", **TRANSPORT)
        a.add_domain("nowhere", relayvm="net-relay", remote_host="no.such.host.invalid", **TRANSPORT)
        a.add_domain("nothing", relayvm="net-relay", remote_host="10.77.0.99", **TRANSPORT)
        a.add_domain("closed", relayvm="net-relay", remote_host="a", **TRANSPORT)
        a.add_domain("keyless", relayvm="net-relay", remote_host="vault@b", **TRANSPORT)
        a.add_domain("unknown-key", relayvm="net-relay", remote_host="a-relay@c", **TRANSPORT)
        a.add_domain("jumped", relayvm="net-relay", remote_name="vault", remote_host="b-by-c", **TRANSPORT)
        for number in range(N_MANY):
            a.add_domain("many-%d" % number, **behind_b)
            b.add_domain("many-%d" % number, tags="many")
        a.set_policy(POLICY_A)

        b.add_domain("work")
        b.add_domain("vault")
        b.add_domain("c-relay")
        b.add_domain("a-work", relayvm="a-relay", remote_name="work", remote_host="b-relay@a", **TRANSPORT)
        b.add_domain("a-stranger", relayvm="a-relay", **TRANSPORT)
        b.add_domain("c-vault", relayvm="c-relay", remote_name="vault", remote_host="b-relay@c", **TRANSPORT)
        b.set_policy(POLICY_B)

        c.add_domain("vault")
        c.add_relay("b-relay", b.make_key("c-relay"))
        c.add_domain("work", relayvm="b-relay", remote_name="a-work", **TRANSPORT)
        c.set_policy("my.Who * work vault allow\n")

        for host in (a, b, c):
            host.add_service("my.Who", WHO)
            host.add_service("my.Exit", 'exit "$1"')
            host.add_service("my.Cat", "exec cat")
            host.add_service("my.Hash", "exec sha256sum")
            host.add_service("my.Give", GIVE)
            host.start_sshd()
            host.start()
        a.write_as("net-relay", "/home/net-relay/.ssh/known_hosts", known(b))
        a.write_as("net-relay", "/home/net-relay/.ssh/config", QUICK)
        b.write_as("a-relay", "/home/a-relay/.ssh/known_hosts", known(a))
        b.write_as("c-relay", "/home/c-relay/.ssh/known_hosts", known(c))
        yield a, b, c


# What runs on a host


def drop_connections(world):
    """End every shared connection of this host, as a reboot would."""
    for process in processes.running(SSH):
        process.kill()
        assert process.wait(10)


def n_logins(world):
    return world.sshd_log().count("Accepted publickey")


def status_of(world, number):
    return world.call("work", "remote-vault", "my.Exit+%d" % number).returncode


def statuses(world, n):
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda number: status_of(world, number), range(n)))


def ssh_as_relay(world, *arguments, input=b""):
    command = [SSH, "-o", "BatchMode=yes", "-o", "ControlPath=none", *arguments]
    result = world.run_as("net-relay", command, input=input)
    return result.returncode, result.stdout, result.stderr


def open_call(world, target, service):
    """A call that has answered once; it stays open in this host's process."""
    call = world.start_call("work", target, service)
    call.stdin.write(b"first\n")
    call.stdin.flush()
    world.open = call
    return call.stdout.readline()


def write_more(world, text):
    world.open.stdin.write(text)
    world.open.stdin.flush()


def read_line(world):
    return world.open.stdout.readline()


def end_call(world):
    stdout, stderr = world.open.communicate(timeout=60)
    return world.open.returncode, stdout, stderr.decode()


def half_close(world):
    """The service closes its stdout and goes on to read; the caller sees that end, and what it still says arrives."""
    call = world.start_call("work", "remote-vault", "my.Half")
    heard = call.stdout.read()
    call.stdin.write(b"x" * 100_000)
    call.stdin.close()
    return heard, call.wait(30), call.stderr.read().decode()


def killed_caller(world):
    """The caller is killed; Return: once its transport has ended too."""
    call = world.start_call("work", "remote-vault", "my.Cat+killed")
    call.stdin.write(b"x\n")
    call.stdin.flush()
    call.stdout.readline()
    (transport,) = processes.running("/usr/lib/qubes/qubesair.SSHProxy")
    call.kill()
    call.wait()
    return transport.wait(20)


def killed_transport(world, service):
    """The transport is killed in mid-call; Return: the caller's status."""
    call = world.start_call("work", "remote-vault", service)
    call.stdin.write(b"x\n")
    call.stdin.flush()
    call.stdout.readline()
    (transport,) = processes.running("/usr/lib/qubes/qubesair.SSHProxy")
    transport.kill()
    call.communicate(timeout=30)
    return call.returncode


def unread(world):
    """A service that does not read; Return: how much the caller could write until nothing went any more, for a while."""
    call = world.start_call("work", "remote-vault", "my.Slow", bufsize=0)
    call.stdout.readline()
    os.set_blocking(call.stdin.fileno(), False)
    poll = select.poll()
    poll.register(call.stdin, select.POLLOUT)
    n = 0
    while poll.poll(STILL_MSEC) and n < UNREAD_MAX:
        n += os.write(call.stdin.fileno(), bytes(1 << 16)) or 0
    os.set_blocking(call.stdin.fileno(), True)
    world.open = call
    return n


def read_at_last(world):
    """It reads now; Return: how much."""
    world.call("work", "remote-vault", "my.Release")
    world.open.stdin.close()
    n = int(world.open.stdout.readline())
    return world.open.wait(60), n


def ends_by_itself(world):
    """Does the shared connection end, once it has not been used for as long as the configuration says?"""
    (master,) = processes.running(SSH)
    return master.wait(20)


def cut(world):
    run("ip", "link", "set", "eth0", "down")


def mend(world):
    run("ip", "link", "set", "eth0", "up")


def lose(world, percent):
    run("nft", "add", "table", "ip", "loss")
    run("nft", "add", "chain", "ip", "loss", "in", "{ type filter hook input priority 0; }")
    run("nft", "add", "rule", "ip", "loss", "in", "numgen", "random", "mod", "100", "<", str(percent), "counter", "drop")


def lose_nothing(world):
    """No more. Return: how many packets were lost."""
    listing = run("nft", "list", "table", "ip", "loss").stdout.decode()
    run("nft", "delete", "table", "ip", "loss")
    return int(re.search(r"counter packets (\d+)", listing).group(1))


def slow(world, rate):
    run("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "32kbit", "latency", "200ms")


def fast(world):
    run("tc", "qdisc", "del", "dev", "eth0", "root")


def assert_refused(world, result):
    world.assert_refused(result)


# The tests


def record(host, event, descriptor, n=1):
    """The one audit record of this EVENT of a call of NAME+ARGUMENT."""
    service, _, argument = descriptor.partition("+")
    records = host.wait_audit(event=event, service=service, argument=argument)
    assert len(records) == n, records
    return records[0]


def test_a_call(three):
    a, b, _ = three
    result = a.call("work", "remote-vault", "my.Who+x")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"a-work my.Who+x vault\n", ""), result
    start = record(a, "start", "my.Who+x")
    assert (start["source"], start["target"], start["via"]) == ("work", "remote-vault", "net-relay")
    start = record(b, "start", "my.Who+x")
    assert (start["source"], start["relay"], start["requested_source"]) == ("a-work", "a-relay", "work")
    assert start["target"] == "vault"


def test_arguments_arrive_as_they_are(three):
    a = three[0]
    for argument, arrives in [("+", "+"), ("", "+"), ("+a+b", "+a+b"), ("+-rf", "+-rf"), ("+" + "x" * 60000,) * 2]:
        result = a.call("work", "remote-vault", "my.Who" + argument)
        assert result.stdout.decode() == "a-work my.Who%s vault\n" % arrives, result


def test_every_exit_code(three):
    assert three[0].run(statuses, 256) == list(range(256))


def test_connections_are_shared_and_stale_sockets_replaced(three):
    a, b, _ = three
    a.call("work", "remote-vault", "my.Exit+0")
    before = b.run(n_logins)
    assert a.run(statuses, 5) == [0, 1, 2, 3, 4]
    assert b.run(n_logins) == before
    a.run(drop_connections)
    assert a.run(statuses, 2) == [0, 1]
    assert b.run(n_logins) == before + 1


def test_many_at_once(three):
    """More than a connection carries (MaxSessions is 10): others are opened, and nobody fails."""
    a, b, _ = three
    outputs, ends = a.run(at_once, N_AT_ONCE, "remote-vault", "my.Cat")
    assert outputs == [b"%d\n" % number for number in range(N_AT_ONCE)]
    assert ends == [0] * N_AT_ONCE
    a.run(drop_connections)


@pytest.mark.parametrize("direction", ["there", "back"])
def test_a_stream(three, direction):
    a, b, _ = three
    status, sent, arrived = a.run(stream, "remote-vault", direction, N_BYTES)
    assert (status, arrived) == (0, sent)


def test_half_close(three):
    a, b, _ = three
    b.add_service("my.Half", 'echo out; echo early >&2; exec >&-; n=$(wc -c); echo late >&2; [ "$n" = 100000 ]')
    # SSH tells the one end with the other: what a service says on stderr after its stdout is over there alone.
    assert a.run(half_close) == (b"out\n", 0, "early\n")
    assert "my.Half+-a-work" in b.wait_syslog("late")


def test_refused_here(three):
    a, b, _ = three
    result = a.call("work", "remote-vault", "my.Denied")
    a.run(assert_refused, result)
    assert b.audit(service="my.Denied") == []


def test_refused_there(three):
    a, b, _ = three
    result = a.call("work", "remote-vault", "my.NotHere")
    assert result.returncode == 126 and result.stderr.startswith("Request refused\n"), result
    refused = record(b, "refused", "my.NotHere+")
    assert (refused["source"], refused["relay"]) == ("a-work", "a-relay")


def test_no_such_service_there(three):
    assert three[0].call("work", "remote-vault", "my.Absent").returncode == 127


@pytest.mark.parametrize(
    "target, words",
    [
        ("nowhere", "nobody knows its name"),
        ("nothing", "it does not answer"),
        ("keyless", "does not accept our key"),
        ("unknown-key", "its host key is not the one that is known here"),
    ],
)
def test_what_failed_is_said(three, target, words):
    result = three[0].call("work", target, "my.Who")
    assert result.returncode == 125 and words in result.stderr, result


def test_wrong_host_key(three):
    a, b, c = three
    a.run(drop_connections)
    a.write_as("net-relay", "/home/net-relay/.ssh/known_hosts", known(c, name="b"))
    result = a.call("work", "remote-vault", "my.Who")
    a.write_as("net-relay", "/home/net-relay/.ssh/known_hosts", known(b))
    assert result.returncode == 125 and "its host key is not the one that is known here" in result.stderr, result
    assert a.call("work", "remote-vault", "my.Exit+3").returncode == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["a-relay@b", "id"],
        ["a-relay@b"],
        ["a-relay@b", "qrexec-client-vm vault my.Who"],
        ["a-relay@b", "qrexec-client-vm --source-qube=work vault my.Who;id"],
        ["a-relay@b", "qrexec-client-vm --source-qube=work vault my.Who /bin/sh"],
        ["-s", "a-relay@b", "sftp"],
        ["-s", "a-relay@b", "qrexec-client-vm --source-qube=work vault my.Who"],
    ],
)
def test_the_relay_account_does_nothing_else(three, arguments):
    a, b, _ = three
    status, stdout, stderr = a.run(ssh_as_relay, *arguments)
    assert status != 0 and stdout == b"", (status, stdout, stderr)
    if "does nothing else" in stderr:
        line = b.wait_syslog("qrexec-relay-shell")
        assert "refused what 10.77.0.1 " in line and line.endswith(arguments[-1] if len(arguments) > 1 else "a shell")
    else:
        assert "subsystem request failed" in stderr  # sshd's own refusal


def test_no_forwarding(three):
    a = three[0]
    status, stdout, stderr = a.run(ssh_as_relay, "-W", "127.0.0.1:22", "a-relay@b")
    assert status != 0 and b"SSH-2.0" not in stdout, stdout
    status, _, stderr = a.run(ssh_as_relay, "-o", "ExitOnForwardFailure=yes", "-N", "-R", "12345:127.0.0.1:22", "a-relay@b")
    assert status == 255, stderr


def test_a_relay_that_claims_another(three):
    """Sources are those of the relay's own RemoteVMs, or whom its unknown_source stands for; never a domain here."""
    _, b, _ = three
    for claimed, reason in [
        ("vault", "vault: requested source is only authorized for RemoteVM"),
        ("work", None),
        ("c-vault", "a-relay is not a relay for c-vault"),
        ("dom0", "dom0: requested source is only authorized for RemoteVM"),
    ]:
        options = ["--source-qube=" + claimed]
        result = b.call("a-relay", "vault", "my.Who+claim-" + claimed, options=options)
        if reason is None:  # its own: a's work
            assert result.stdout.startswith(b"a-work "), result
            assert explained(b, "a-relay", "vault", "my.Who", claimed) == ["allow target=vault"], claimed
            continue
        b.run(assert_refused, result)
        refused = record(b, "refused", "my.Who+claim-" + claimed)
        assert refused["reason"] == reason and refused["requested_source"] == claimed
        assert explained(b, "a-relay", "vault", "my.Who", claimed) == ["deny", reason], claimed
    b.run(assert_refused, b.call("vault", "vault", "my.Who+no-relay", options=["--source-qube=a-work"]))


def explained(host, source, target, service, claimed=None):
    """What `qair policy explain` says of it: the decision, and why not or in whose name."""
    result = host.qair("policy", "explain", source, target, service, *(["--for", claimed] if claimed else []))
    assert result.returncode == 0, result
    lines = [line.strip() for line in result.stdout.decode().split("\n\n")[0].splitlines()]
    return [lines[0]] + [line for line in lines[1:] if not re.match(r"/etc/|note: .* is what", line)]


def test_an_unknown_source(three):
    a, b, _ = three
    result = a.call("other", "remote-vault", "my.Who+unknown")
    assert result.stdout == b"a-stranger my.Who+unknown vault\n", result
    start = record(b, "start", "my.Who+unknown")
    assert (start["source"], start["relay"], start["requested_source"]) == ("a-stranger", "a-relay", "other")
    note = "note: nothing here has the name 'other', so that it counts as a-stranger"
    assert explained(b, "a-relay", "vault", "my.Who+unknown", "other") == ["allow target=vault", note]
    # Governed as the one it is taken for: what a-work may do, it may not.
    result = b.call("a-relay", "vault", "my.Exit+0", options=["--source-qube=other"])
    b.run(assert_refused, result)
    # Whatever the claim is, the record stays one line of plain text.
    result = b.call("a-relay", "vault", "my.Who+odd", options=["--source-qube=a b\n\x1b[31m\"}"])
    assert result.stdout.startswith(b"a-stranger "), result
    start = record(b, "start", "my.Who+odd")
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", start["requested_source"])


def test_the_other_direction(three):
    a, b, _ = three
    result = b.call("vault", "a-work", "my.Who+back")
    assert result.stdout == b"b-vault my.Who+back work\n", result


def test_the_host_is_its_own_only_domain(three):
    result = three[0].call("work", "remote-b", "my.Who")
    assert result.stdout == b"a-work my.Who+ a-relay\n", result


def test_a_relay_behind_a_relay(three):
    a, b, c = three
    result = a.call("work", "c-vault", "my.Who+far")
    assert (result.returncode, result.stdout) == (0, b"work my.Who+far vault\n"), result
    start = record(a, "start", "my.Who+far")
    assert (start["target"], start["via"]) == ("c-vault", "net-relay")
    carried = "service=qubesair.SSHProxy+b-c-relay+qubesair.SSHProxy+c-vault+my.Who+far"
    assert explained(a, "work", "c-vault", "my.Who+far") == ["allow target=c-vault relay=net-relay " + carried]
    start = record(b, "start", "qubesair.SSHProxy+c-vault+my.Who+far")
    assert (start["source"], start["target"]) == ("a-work", "c-relay")
    start = record(c, "start", "my.Who+far")
    assert (start["source"], start["requested_source"]) == ("work", "a-work")


def test_many_behind_one_relay(three):
    a = three[0]
    for number in range(N_MANY):
        result = a.call("work", "many-%d" % number, "my.Who")
        assert result.stdout.decode() == "a-work my.Who+ many-%d\n" % number, result


def test_a_jump_host(three):
    a, b, c = three
    c.run(add_jump_account, a.public_key("net-relay"))
    config = QUICK + "Host b-by-c\n    HostName b\n    HostKeyAlias b\n    User a-relay\n    ProxyJump jump@c\n"
    a.write_as("net-relay", "/home/net-relay/.ssh/config", config)
    # Its key is checked as strictly as that of the host behind it. (What the ssh to it says, ours keeps to itself.)
    result = a.call("work", "jumped", "my.Who")
    assert result.returncode == 125 and "cannot reach b-by-c" in result.stderr, result
    assert "for jump" not in c.sshd_log()
    a.write_as("net-relay", "/home/net-relay/.ssh/known_hosts", known(b) + known(c))
    result = a.call("work", "jumped", "my.Who")
    a.write_as("net-relay", "/home/net-relay/.ssh/config", QUICK)
    a.write_as("net-relay", "/home/net-relay/.ssh/known_hosts", known(b))
    assert result.stdout == b"a-work my.Who+ vault\n", result
    assert "Accepted publickey for jump" in c.sshd_log()
    a.run(drop_connections)


def add_jump_account(world, key):
    world.accounts.add("jump")
    with open("/etc/shadow") as file:
        shadow = file.read().replace("\njump:!:", "\njump:*:")
    world.write("/etc/shadow", shadow, mode=0o640)
    world.write_as("jump", "/home/jump/.ssh/authorized_keys", key + "\n")


def test_the_service_ends_with_its_caller(three):
    a, b, _ = three
    assert a.run(killed_caller)
    record(b, "end", "my.Cat+killed")


@pytest.mark.parametrize("service", ["my.Cat", "my.Yes"])
def test_a_killed_transport(three, service):
    """Both ends of its call see that, one that reads as one that writes."""
    a, b, _ = three
    b.add_service("my.Yes", "exec yes")
    assert a.run(killed_transport, service + "+transport") not in (0, None)
    for host in (a, b):
        record(host, "end", service + "+transport")
    # The connection is others' too, and goes on.
    before = b.run(n_logins)
    assert a.call("work", "remote-vault", "my.Exit+5").returncode == 5
    assert b.run(n_logins) == before


def test_back_pressure(three):
    """What the service does not read fills pipes and windows on the way, and then the caller waits; nothing is lost."""
    a, b, _ = three
    b.add_service("my.Slow", "mkfifo -m 0666 /tmp/slow; echo ready; read line </tmp/slow; wc -c")
    b.add_service("my.Release", "echo >/tmp/slow")
    n = a.run(unread)
    assert 0 < n < UNREAD_MAX
    assert a.run(read_at_last) == (0, n)


def test_an_unused_connection_is_closed(three):
    a = three[0]
    a.run(drop_connections)
    a.write_as("net-relay", "/home/net-relay/.ssh/config", QUICK + "    ControlPersist 1\n")
    assert a.call("work", "remote-vault", "my.Exit+6").returncode == 6
    assert a.run(ends_by_itself)
    a.write_as("net-relay", "/home/net-relay/.ssh/config", QUICK)
    assert a.call("work", "remote-vault", "my.Exit+7").returncode == 7


def test_a_kill_ends_it_on_both_hosts(three):
    a, b, _ = three
    b.add_service("my.Stay", "echo ready; read line; exec sleep 1000")
    assert a.run(open_call, "remote-vault", "my.Stay+x") == b"ready\n"
    start = record(a, "start", "my.Stay+x")
    assert a.qair("kill", str(start["call_id"])).returncode == 0
    assert a.run(end_call)[0] != 0
    record(a, "end", "my.Stay+x")
    there = record(b, "start", "my.Stay+x")
    b.qair("kill", str(there["call_id"]))
    record(b, "end", "my.Stay+x")


def test_a_cut_that_is_mended(three):
    """The connection outlives one that is shorter than its patience, and nothing of the stream is missing."""
    a, b, _ = three
    a.run(drop_connections)
    a.write_as("net-relay", "/home/net-relay/.ssh/config", "")  # the shipped 45 s
    assert a.run(open_call, "remote-vault", "my.Cat") == b"first\n"
    b.run(cut)
    second = b"x" * 200_000 + b"\n"
    a.run(write_more, second)
    b.run(mend)
    assert a.run(read_line) == second
    assert a.run(end_call)[:2] == (0, b"")
    a.write_as("net-relay", "/home/net-relay/.ssh/config", QUICK)
    a.run(drop_connections)


def test_a_cut_that_stays(three):
    a, b, _ = three
    assert a.run(open_call, "remote-vault", "my.Cat") == b"first\n"
    b.run(cut)
    status, _, stderr = a.run(end_call)
    b.run(mend)
    assert status == 125 and "the connection was lost" in stderr, stderr
    assert a.call("work", "remote-vault", "my.Exit+4").returncode == 4


def test_a_lossy_link(three):
    a, b, _ = three
    assert a.run(stream, "remote-vault", "there", 1)[0] == 0  # connected: what gives up while it connects is ssh, and rightly
    b.run(lose, 5)
    try:
        status, sent, arrived = a.run(stream, "remote-vault", "there", 8 << 20)
    finally:
        n_lost = b.run(lose_nothing)
    assert (status, arrived) == (0, sent)
    assert n_lost > 0


def test_a_slow_link(three):
    a, b, _ = three
    a.run(slow, "8mbit")
    try:
        status, sent, arrived = a.run(stream, "remote-vault", "there", 2 << 20)
    finally:
        a.run(fast)
    assert (status, arrived) == (0, sent)
