# SPDX-License-Identifier: Apache-2.0
"""The audit: every call has one record at its start and one at its end, whatever becomes of it; and where records cannot
be written, calls are refused rather than forgotten."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import processes
import pytest
import wire
from logfile import Folder
from world import AGENT, AUDIT, BROKER, NO_SERVICE, QAIR, REFUSED

POLICY = """
my.Away   *  work  vault  allow user=work
my.Never  *  work  vault  deny
my.Loop   *  work  *      allow target=work
*         *  work  vault  allow
*         *  other vault  allow
*         *  far   vault  allow
"""
RULES = "/etc/qubes/policy.d/30-user.policy"
JOURNALD = "/lib/systemd/systemd-journald"
STRACE = shutil.which("strace")
# Of broker/spool.h and wire/supervise.h.
SPOOL_SIZE = 512 * 1024
FILE = 2


@pytest.fixture
def host(world):
    world.add_domain("work", max_calls=300)
    world.add_domain("vault")
    world.add_domain("other")
    world.add_domain("far", type="RemoteVM", relayvm="other", transport_rpc="my.Transport")
    world.set_policy(POLICY)
    world.add_service("my.Echo", "exec cat")
    world.add_service("my.Wait", "echo started; exec cat")
    return world


def assert_complete(records):
    """Every call that was started has one start and one end, in this order; refused ones have one record."""
    calls = {}
    for record in records:
        calls.setdefault(record.get("call_id"), []).append(record["event"])
    wrong = {call: events for call, events in calls.items()
             if call is not None and events not in (["start", "end"], ["refused"])}
    assert not wrong, wrong


ENDS = {
    "success": ("exec cat", 0, "exited", 0),
    "a status": ("exit 7", 7, "exited", 7),
    "a signal": ("kill -9 $$", 137, "signalled", 137),
}


@pytest.mark.parametrize("script, returncode, how, status", ENDS.values(), ids=ENDS.keys())
def test_records_of_a_call(host, script, returncode, how, status):
    host.add_service("my.Echo", script)
    host.start()
    assert host.call("work", "vault", "my.Echo+a+b").returncode == returncode
    (end,) = host.wait_audit(event="end")
    (start,) = host.audit(event="start")
    for record in (start, end):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record.pop("time"))
    usec = {key: end.pop(key) for key in list(end) if key.endswith("_usec")}
    assert sorted(usec) == ["connect_usec", "decide_usec", "run_usec", "start_usec"]
    assert start.pop("decide_usec") == usec["decide_usec"] < usec["start_usec"] < 20e6
    common = {"call_id": 1, "source": "work", "target": "vault", "service": "my.Echo", "argument": "a+b"}
    assert start == {**common, "event": "start", "requested_target": "vault", "decision": "allow", "rule": RULES + ":5"}
    assert end == {**common, "event": "end", "how": how, "status": status}


def test_ends_without_a_service(host):
    host.add_service("my.Away", "true")
    host.start()
    assert host.call("work", "vault", "my.Nowhere").returncode == NO_SERVICE
    assert host.call("work", "vault", "my.Away").returncode == 125
    nowhere, away = host.wait_audit(2, event="end")
    assert (nowhere["how"], nowhere["status"]) == ("not found", 127)
    assert (away["how"], away["status"]) == ("not started", 125)


def test_refusals(host):
    host.start()
    host.assert_refused(host.call("work", "vault", "my.Never"))
    host.assert_refused(host.call("vault", "nowhere", "my.Echo"))
    host.set_policy("nonsense")
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    never, nowhere, broken = host.wait_audit(3, event="refused")
    assert never["reason"] == "denied by policy %s:3" % RULES and never["rule"] == RULES + ":3"
    assert (never["decision"], never["told"], never["requested_target"]) == ("deny", "refused", "vault")
    assert "target" not in never
    assert nowhere["requested_target"] == "nowhere" and nowhere["told"] == "refused"
    assert broken["reason"].startswith("error loading policy: " + RULES + ":1: ") and "rule" not in broken


def test_lines_for_people(host):
    """Worded as Qubes has them, to the letter: scripts read them."""
    host.start()
    assert host.call("work", "vault", "my.Echo").returncode == 0
    assert host.call("work", "vault", "my.Echo+x").returncode == 0
    host.assert_refused(host.call("work", "vault", "my.Never"))
    host.assert_refused(host.call("work", "", "my.Never+"))
    host.assert_refused(host.call("work", "vault", "my.Loop"))
    host.set_policy("my.Echo * work vault allow\nmy.Echo * work")
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    host.wait_audit(4, event="refused")
    default = "/etc/qubes/policy.d/90-default.policy"
    for line in [
        r"my\.Echo\+: work -> vault: allowed to vault",
        r"my\.Echo\+x: work -> vault: allowed to vault",
        r"my\.Never: work -> vault: denied: denied by policy %s:3" % RULES,
        r"my\.Never\+: work -> : denied: denied by policy %s:\d+" % default,
        # The Note of 5.8: what leads back to the caller is allowed before it is refused.
        r"my\.Loop\+: work -> vault: allowed to work",
        r"my\.Loop: work -> vault: denied: loopback qrexec connection not supported",
        r"my\.Echo: work -> vault: error loading policy: %s:2: wrong number of fields" % RULES,
    ]:
        host.wait_log("^qrexecd: qrexec: %s$" % line)


def test_too_many_calls(host):
    host.write("/etc/qubes/domains.d/work.conf", "[domain]\nuser = work\nmax_calls = 1\n")
    host.start()
    call = host.start_call("work", "vault", "my.Wait")
    assert call.stdout.readline() == b"started\n"
    result = host.call("work", "vault", "my.Echo")
    assert result.returncode == REFUSED and "too many calls of yours (call 2)" in result.stderr
    (refused,) = host.wait_audit(event="refused")
    assert (refused["call_id"], refused["reason"], refused["told"]) == (2, "too many open calls", "too many calls of yours")
    call.communicate(timeout=wire.TIMEOUT_SEC)


def test_a_caller_that_hangs_up_early(host):
    host.start()
    with wire.Agent("vault", "vault", introduce=False):
        with wire.connect_as("work", wire.SHARED) as connection:
            connection.sendall(wire.trigger("vault", "my.Wait"))
            host.wait_audit(event="start")
            # vault's own agent starts meanwhile, so the call may get through: then it ends otherwise.
        (end,) = host.wait_audit(event="end")
    assert end["how"] in ("cancelled", "abandoned", "exited", "not connected")
    assert_complete(host.audit())


def test_a_relay(host):
    """Who is judged and who asked are both there."""
    host.start()
    with wire.connect_as("other", wire.SHARED) as connection:
        connection.sendall(wire.trigger("vault", "my.Echo", source="far"))
        _, fds, _, _ = wire.socket.recv_fds(connection, 8, 3)
        for fd in fds:
            os.close(fd)
    (start,) = host.wait_audit(event="start")
    assert (start["source"], start["relay"], start["requested_source"]) == ("far", "other", "far")
    (end,) = host.wait_audit(event="end")
    assert (end["source"], end["relay"]) == ("far", "other")
    host.wait_log(r"^qrexecd: qrexec: my\.Echo\+: far -> vault: allowed to vault$")
    with wire.connect_as("work", wire.SHARED) as connection:
        connection.sendall(wire.trigger("vault", "my.Echo", source="far"))
        wire.refusal(connection)
    (refused,) = host.wait_audit(event="refused")
    assert (refused["source"], refused["requested_source"], refused["reason"]) == (
        "work", "far", "work is not a relay for far")


def test_whoever_dies(host):
    """Clients, agents and the broker are killed with calls open: in the end each call has its two records."""
    host.start()
    calls = [host.start_call("work", "vault", "my.Wait") for _ in range(6)]
    for call in calls:
        assert call.stdout.readline() == b"started\n"
    calls[0].kill()
    calls[1].kill()
    host.wait_audit(2, event="end")
    host.restart_broker()
    for call in calls[2:4]:
        stdout, _ = call.communicate(b"x", timeout=wire.TIMEOUT_SEC)
        assert (call.returncode, stdout) == (0, b"x")
    host.wait_audit(4, event="end")
    agent = min(processes.running(AGENT), key=lambda process: process.pid)  # the others are its handlers
    agent.kill()
    host.wait_audit(6, event="end")
    for call in calls[4:]:
        call.communicate(timeout=wire.TIMEOUT_SEC)
    host.wait_audit(6, event="start")
    assert_complete(host.audit())


def test_a_broker_that_dies_before_a_call_is_connected(host):
    """The call never runs; the next broker says so. Its caller, who sees that nobody read the request, asks again."""
    host.start()
    with wire.Agent("vault", "vault", introduce=False):  # keeps the link busy, and says nothing
        os.kill(host.supervisor.pid, signal.SIGSTOP)  # nothing is started, so the call waits
        try:
            call = host.start_call("work", "vault", "my.Wait")
            (start,) = host.wait_audit(event="start")
            host.restart_broker()
        finally:
            os.kill(host.supervisor.pid, signal.SIGCONT)
    (end,) = host.wait_audit(event="end", call_id=start["call_id"])
    assert (end["how"], end["status"], end["source"]) == ("not connected", 125, "work")
    assert "the broker that began it was gone" in end["reason"]
    assert call.stdout.readline() == b"started\n"
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == 0 and len(host.started("my.Wait")) == 1
    host.wait_audit(event="end", how="exited")
    assert_complete(host.audit())


def test_broker_and_agent_die_together(host):
    """Nobody saw how the call ended, but that it ended is recorded: once the agent that comes next does not list it."""
    host.start()
    call = host.start_call("work", "vault", "my.Wait")
    assert call.stdout.readline() == b"started\n"
    os.kill(host.supervisor.pid, signal.SIGSTOP)
    try:
        host.restart_broker()
        for process in processes.running(AGENT):
            process.kill()
    finally:
        os.kill(host.supervisor.pid, signal.SIGCONT)
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert host.call("work", "vault", "my.Echo", input=b"x").stdout == b"x"
    (end,) = host.wait_audit(event="end", call_id=1)
    assert (end["how"], end["source"], end["service"]) == ("unknown", "work", "my.Wait") and "status" not in end
    host.wait_audit(2, event="end")
    assert_complete(host.audit())


def test_hostile_texts(host):
    """What a domain says is one field's value, sanitised or escaped; never a line, another field, or an escape."""
    host.start()
    junk = '"},{"event":"start\n\x1b[2J\\ QAIR_EVENT=end\r'
    trigger = wire.message(
        wire.TRIGGER4,
        junk.encode()[:63].ljust(64, b"\0") + junk.encode()[:63].ljust(64, b"\0") + b"QAIR1".ljust(32, b"\0")
        + ("my.X" + junk + "+" + junk).encode() + b"\0",
    )
    with wire.connect_as("work", wire.SHARED) as connection:
        connection.sendall(trigger)
        call_id, _ = wire.refusal(connection)
    host.call("work", "vault", "my.Echo+" + "y" * 60000)
    (refused,) = host.wait_audit(call_id=call_id)
    with open(AUDIT, "rb") as file:
        assert re.fullmatch(rb"[\x20-\x7e\n]*", file.read())
    assert refused["event"] == "refused" and refused["source"] == "work"
    for key in ("requested_source", "requested_target", "service", "argument"):
        assert re.fullmatch(r"[\w.@:+-]*", refused[key]), refused
    (long,) = host.audit(event="start")
    assert (long["argument"], long["argument_bytes"]) == ("y" * 4096, 60000)


def test_only_root_reads_it(host):
    host.start()
    assert host.call("work", "vault", "my.Echo").returncode == 0
    assert os.stat(AUDIT).st_mode & 0o7777 == 0o600 and os.stat(AUDIT).st_uid == 0
    result = host.qair("log", account="work")
    assert result.returncode == 1 and "cannot read" in result.stderr, result


def test_rotation(host):
    """mv, reload: what comes then is in a new file."""
    host.start()
    assert host.call("work", "vault", "my.Echo").returncode == 0
    host.wait_audit(event="end")
    os.rename(AUDIT, AUDIT + ".1")
    host.reload()
    host.wait_log("serving 4 domains\n(.|\n)*serving 4 domains")
    assert host.call("work", "vault", "my.Echo").returncode == 0
    host.wait_audit(event="end", call_id=2)
    assert {record["call_id"] for record in host.audit()} == {2}
    old = host.qair("log", "--json", "--file=" + AUDIT + ".1")
    assert {json.loads(line)["call_id"] for line in old.stdout.splitlines()} == {1}


# A disk that is full, a journal that does not read


@pytest.fixture
def small_disk(world):
    folder = os.path.dirname(AUDIT)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0750", "audit", folder], check=True)
    world.auditfile.watch(folder)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    path = folder + "/filler"
    with open(path, "wb", 0) as file:
        with pytest.raises(OSError):
            while True:
                file.write(bytes(4096))
    return path


def test_a_full_disk(host, small_disk):
    """Nobody's call is served while it could not be recorded; afterwards nothing is missing, and what was refused
    without a record is counted."""
    host.start()
    assert host.call("work", "vault", "my.Echo").returncode == 0
    host.wait_audit(event="end", call_id=1)
    filler = fill(small_disk)
    while "cannot be written" not in host.log():  # the page that the file has already may take some records
        host.call("work", "vault", "my.Echo+" + "x" * 1000)
    for source in ("work", "other", "dom0"):
        result = host.call(source, "vault", "my.Echo")
        assert result.returncode == REFUSED and "service unavailable" in result.stderr, result
    assert host.log().count("every new call is refused until they can be") == 1
    status = host.qair("status")  # root can see why
    assert status.returncode == 0 and re.search(rb"^audit +to file, \d+ records waiting: No space left", status.stdout, re.M)
    os.unlink(filler)
    host.wait_log("audit records can be written again")
    assert host.call("work", "vault", "my.Echo").returncode == 0
    lost = host.wait_audit(3, event="lost")
    assert {record["source"]: record["count"] for record in lost}["other"] == 1
    host.wait_audit(len(host.audit(event="start")), event="end")
    assert_complete(host.audit())


def test_a_broker_that_dies_while_the_disk_is_full(host, small_disk):
    """What it had not written is written by the next one; a line that was half written is completed, not torn."""
    host.start()
    call = host.start_call("work", "vault", "my.Wait")
    assert call.stdout.readline() == b"started\n"
    filler = fill(small_disk)
    while "cannot be written" not in host.log():
        host.call("work", "vault", "my.Echo+" + "x" * 1000)
    assert call.communicate(b"x", timeout=wire.TIMEOUT_SEC)[0] == b"x"
    host.wait_log("my.Wait: work -> vault: ended: exited")  # in its queue
    for _ in range(2):  # the next one cannot write it either
        mark = host.logfile.mark()
        host.restart_broker()
        host.wait_log("records of an earlier broker", mark=mark)
    os.unlink(filler)
    (start,) = host.wait_audit(event="start", service="my.Wait")
    (end,) = host.wait_audit(event="end", call_id=start["call_id"])
    assert (end["how"], end["status"], "reason" in end) == ("exited", 0, False)
    assert host.call("work", "vault", "my.Echo").returncode == 0
    host.wait_audit(len(host.audit(event="start")), event="end")
    assert_complete(host.audit())


@contextlib.contextmanager
def broker_stops_at(injection):
    """… a system call on the audit's file."""
    (broker,) = processes.running(BROKER)
    command = [STRACE, "-o", "/run/test/trace", "-P", AUDIT, "-e", "inject=" + injection, "-p", str(broker.pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in tracer.stderr.readline()
        yield tracer
    finally:
        tracer.kill()
        tracer.communicate(timeout=wire.TIMEOUT_SEC)


@pytest.mark.skipif(not STRACE, reason="strace is not installed")
@pytest.mark.parametrize("when", ["delay_enter", "delay_exit"])
def test_a_broker_that_dies_at_a_record(host, when):
    """Just before it is written, or just afterwards: it is there once. So is the call, whose caller had its answer before."""
    host.start()
    assert host.call("work", "vault", "my.Echo").returncode == 0
    host.wait_audit(event="end", service="my.Echo")
    with broker_stops_at("writev:%s=60s" % when) as tracer:
        call = host.start_call("work", "vault", "my.Wait")
        assert call.stdout.readline() == b"started\n"
        if when == "delay_exit":
            host.wait_audit(event="start", service="my.Wait")
        host.restart_broker(tracer=tracer)
    assert call.communicate(b"x", timeout=wire.TIMEOUT_SEC)[0] == b"x"
    (end,) = host.wait_audit(event="end", service="my.Wait")
    assert (end["how"], end["status"]) == ("exited", 0)
    (start,) = host.audit(event="start", service="my.Wait")
    assert start["rule"] == RULES + ":5"
    assert_complete(host.audit())


@pytest.mark.skipif(not STRACE, reason="strace is not installed")
def test_a_broker_that_dies_when_it_has_written_an_end(host):
    """The call was forgotten before: it does not end again."""
    host.start()
    call = host.start_call("work", "vault", "my.Wait")
    assert call.stdout.readline() == b"started\n"
    host.wait_audit(event="start", service="my.Wait")
    with broker_stops_at("writev:delay_exit=60s") as tracer:
        assert call.communicate(b"x", timeout=wire.TIMEOUT_SEC)[0] == b"x"
        host.wait_audit(event="end", service="my.Wait")
        host.restart_broker(tracer=tracer)
    assert host.call("work", "vault", "my.Echo").returncode == 0
    host.wait_audit(event="end", service="my.Echo")
    assert_complete(host.audit())


def book_of(host):
    """The memory that outlives brokers, as the supervisor has it: a file, and where its spool begins (broker/spool.h)."""
    folder = "/proc/%d/fd/" % host.supervisor.pid
    (path,) = (folder + fd for fd in os.listdir(folder) if "qair-open-calls" in os.readlink(folder + fd))
    return path, os.stat(path).st_size - SPOOL_SIZE


def spool_of(*records):
    """KIND, BYTES: as a broker would leave them."""
    body = b""
    for kind, data in records:
        body += struct.pack("=IIQ", kind, 0, len(data)) + data + bytes(-len(data) % 8)
    return struct.pack("=IIQQQQQQ", 0x31535141, 0, len(body) // 8, (1 << 64) - 1, 0, 0, 0, 0) + body


NONSENSE = {
    "an empty record": (FILE, b""),
    "no line": (FILE, b"no line"),
    "two lines": (FILE, b"one\ntwo\n"),
    "no kind": (7, b"{}\n"),
    "no place": (0, b"{}\n"),
    "a long one": (FILE, b"x" * 100000 + b"\n"),
}


@pytest.mark.parametrize("kind, data", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_that_a_broken_broker_left(host, kind, data):
    """The next one writes what comes before it, and goes on."""
    host.start()
    assert host.call("work", "vault", "my.Echo").returncode == 0
    host.wait_audit(event="end")
    path, begin = book_of(host)
    (broker,) = processes.running(BROKER)
    broker.kill(signal.SIGSTOP)
    with open(path, "r+b", 0) as memory:
        memory.seek(begin)
        memory.write(spool_of((FILE, b'{"event":"sense"}\n'), (kind, data)))
    host.restart_broker()
    assert host.call("work", "vault", "my.Echo").returncode == 0
    host.wait_audit(2, event="end")
    assert [record["event"] for record in host.audit()] == ["start", "end", "sense", "start", "end"]


class Journal:
    """The journal's socket, played by the test."""

    PATH = "/run/systemd/journal/socket"

    def __enter__(self):
        os.makedirs(os.path.dirname(self.PATH))
        self._listen()
        return self

    def _listen(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.PATH)
        self.socket.settimeout(wire.TIMEOUT_SEC)

    def __exit__(self, *_):
        self.socket.close()
        shutil.rmtree("/run/systemd/journal")

    def restart(self):
        """Who is connected is connected to nobody."""
        self.socket.close()
        os.unlink(self.PATH)
        self._listen()

    def read(self):
        """The fields of the next record; it has to be in the native protocol, every value in one line."""
        data = self.socket.recv(1 << 20)
        assert data.endswith(b"\n")
        return dict(line.split("=", 1) for line in data.decode("ascii")[:-1].split("\n"))

    def read_until(self, **fields):
        seen = []
        while True:
            seen.append(self.read())
            if fields.items() <= seen[-1].items():
                return seen


def test_the_journal(host):
    with Journal() as journal:
        host.start()
        assert host.call("work", "vault", "my.Echo+x", input=b"x").stdout == b"x"
        host.assert_refused(host.call("work", "vault", "my.Never"))
        start, end, refused = journal.read(), journal.read(), journal.read()
        host.stop()
    assert start.pop("QAIR_DECIDE_USEC").isdigit()
    assert start == {
        "SYSLOG_IDENTIFIER": "qrexecd", "PRIORITY": "6", "MESSAGE": "qrexec: my.Echo+x: work -> vault: allowed to vault",
        "QAIR_EVENT": "start", "QAIR_CALL_ID": "1", "QAIR_SOURCE": "work", "QAIR_REQUESTED_TARGET": "vault",
        "QAIR_TARGET": "vault", "QAIR_SERVICE": "my.Echo", "QAIR_ARGUMENT": "x", "QAIR_DECISION": "allow",
        "QAIR_RULE": RULES + ":5",
    }
    assert (end["QAIR_EVENT"], end["QAIR_CALL_ID"], end["QAIR_HOW"], end["QAIR_STATUS"]) == ("end", "1", "exited", "0")
    assert refused["MESSAGE"] == "qrexec: my.Never: work -> vault: denied: denied by policy %s:3" % RULES
    assert refused["QAIR_TOLD"] == "refused"
    # Where it is in the journal it is not in the log too, nor in a file.
    assert "allowed to" not in host.log() and not os.path.exists(AUDIT)


def test_a_journal_that_does_not_read(host):
    """Records wait, at the cost of whoever makes them: one domain that has too many is refused, others go on."""
    with Journal() as journal:
        host.start()
        assert host.call("work", "vault", "my.Echo").returncode == 0
        n = 0
        while True:
            result = host.call("work", "vault", "my.Echo+" + "x" * 4000)
            n += 1
            if result.returncode == REFUSED:
                break
            assert result.returncode == 0 and n < 200, result
        assert "service unavailable" in result.stderr and n > 20
        assert host.call("other", "vault", "my.Echo", input=b"x").stdout == b"x"
        status = json.loads(host.call("dom0", "dom0", "qair.Status").stdout)
        assert status["audit"]["records_waiting"] > 40 and "problem" not in status["audit"]

        records = journal.read_until(QAIR_EVENT="lost")
        assert (records[-1]["QAIR_SOURCE"], records[-1]["QAIR_COUNT"]) == ("work", "1")
        assert host.call("work", "vault", "my.Echo").returncode == 0
        records += journal.read_until(QAIR_EVENT="end", QAIR_SOURCE="work")
    events = [(record.get("QAIR_CALL_ID"), record["QAIR_EVENT"]) for record in records]
    assert_complete([{"call_id": call, "event": event} for call, event in events])


def make_wait(host, n):
    """Calls, until N records wait for a journal that does not read."""
    while json.loads(host.call("dom0", "dom0", "qair.Status").stdout)["audit"]["records_waiting"] < n:
        for _ in range(10):
            assert host.call("work", "vault", "my.Echo").returncode == 0


@pytest.mark.skipif(not STRACE, reason="strace is not installed")
def test_a_broker_that_dies_when_its_journal_is_gone(host):
    """What waited for the journal is in a file then, in other words: what is there already is known all the same."""
    with Journal() as journal:
        host.start()
        make_wait(host, 100)
        with broker_stops_at("writev:delay_exit=60s") as tracer:
            journal.socket.close()
            os.unlink(Journal.PATH)
            first = host.wait_audit(64)  # which go together
            host.restart_broker(tracer=tracer)
        assert host.call("work", "vault", "my.Echo").returncode == 0
        host.wait_audit(event="end", service="my.Echo")
    records = [record for record in host.audit() if "journal" in record]
    found = [tuple(re.findall(r"QAIR_(?:EVENT|CALL_ID)=(\w+)", record["journal"])) for record in records]
    calls = sorted({int(call) for _, call in found})[1:]  # of the first, the journal may have had the start
    assert records[:64] == first and len(found) == len(set(found)) > 90
    assert calls == list(range(calls[0], calls[-1] + 1))
    assert {(event, str(call)) for call in calls for event in ("start", "end")} <= set(found)


def test_a_journal_that_is_restarted(host):
    """The socket of the broker leads nowhere: calls are refused until the supervisor has connected it anew."""
    with Journal() as journal:
        host.start()
        assert host.call("work", "vault", "my.Echo").returncode == 0
        journal.read_until(QAIR_EVENT="end")
        journal.restart()
        host.call("work", "vault", "my.Echo")
        host.wait_log("audit records can be written again")
        assert host.call("work", "vault", "my.Echo").returncode == 0
        records = journal.read_until(QAIR_EVENT="end", QAIR_CALL_ID="3")
    assert {record["QAIR_EVENT"] for record in records if record.get("QAIR_CALL_ID") == "2"} == {"start", "end"}


def test_a_busy_journal_that_is_restarted(host):
    """Likewise, while records wait for room in it."""
    with Journal() as journal:
        host.start()
        make_wait(host, 10)
        assert host.call("work", "vault", "my.Echo+last").returncode == 0
        journal.restart()
        journal.read_until(QAIR_EVENT="end", QAIR_ARGUMENT="last")
        host.wait_log("audit records can be written again")
        assert host.call("work", "vault", "my.Echo").returncode == 0


# qair log


def log(host, *options):
    result = host.qair("log", "--json", *options)
    assert result.returncode == 0, result
    return [(record["event"], record.get("call_id")) for record in map(json.loads, result.stdout.splitlines())]


def assert_log(host):
    """What every kind of log shows of the same four calls."""
    host.add_service("my.Fail", "exit 3")
    host.start()
    assert host.call("work", "vault", "my.Echo+x").returncode == 0
    assert host.call("work", "vault", "my.Fail").returncode == 3
    host.assert_refused(host.call("work", "vault", "my.Never"))
    assert host.call("other", "vault", "my.Echo").returncode == 0


LOG = [("start", 1), ("end", 1), ("start", 2), ("end", 2), ("refused", 3), ("start", 4), ("end", 4)]


def test_qair_log(host):
    assert_log(host)
    host.wait_audit(event="end", call_id=4)
    assert log(host) == LOG
    assert log(host, "--call=2") == [("start", 2), ("end", 2)]
    assert log(host, "--domain=other") == [("start", 4), ("end", 4)]
    assert log(host, "--service=my.Echo") == [("start", 1), ("end", 1), ("start", 4), ("end", 4)]
    assert log(host, "--outcome=ok") == [("end", 1), ("end", 4)]
    assert log(host, "--outcome=failed") == [("end", 2)]
    assert log(host, "--outcome=refused") == [("refused", 3)]
    assert log(host, "--since=1h") == LOG and log(host, "--until=1h") == []
    text = host.qair("log").stdout.decode()
    assert re.search(r"^\d{4}-\d\d-\d\d [\d:.]{12}  call 1  work -> vault  my\.Echo\+x  allowed by %s:5$" % RULES, text, re.M)
    assert re.search(r"  call 2  work -> vault  my\.Fail  ended: exited, status 3, ran \S+ \S+$", text, re.M)
    assert re.search(r"  call 3  work -> vault  my\.Never  refused: denied by policy %s:3$" % RULES, text, re.M)


def test_qair_log_follows(host):
    """Also over a rotation."""
    host.start()
    assert host.call("work", "vault", "my.Echo").returncode == 0
    host.wait_audit(event="end")
    follower = host.popen_as("root", [QAIR, "log", "-f", "--json", "--outcome=ok"])
    try:
        assert json.loads(follower.stdout.readline())["call_id"] == 1
        assert host.call("work", "vault", "my.Echo").returncode == 0
        assert json.loads(follower.stdout.readline())["call_id"] == 2
        os.rename(AUDIT, AUDIT + ".1")
        host.reload()
        host.wait_log("serving 4 domains\n(.|\n)*serving 4 domains")
        assert host.call("work", "vault", "my.Echo").returncode == 0
        assert json.loads(follower.stdout.readline())["call_id"] == 3
    finally:
        follower.kill()
        follower.communicate()


@pytest.mark.parametrize("option", ["--call=0", "--call=x", "--outcome=bad", "--since=yesterday", "--bad", "more"])
def test_qair_log_usage(world, option):
    result = world.qair("log", option)
    assert result.returncode == 2 and result.stderr.startswith("qair: "), result


@pytest.mark.skipif(not os.path.exists(JOURNALD), reason="systemd-journald is not installed")
def test_qair_log_of_a_real_journal(host):
    """A real journald takes the records, and qair log reads them back; what others write there is none."""
    os.makedirs("/run/systemd/journal")
    os.makedirs("/run/log/journal")
    folder = Folder("/run/systemd/journal")
    journald = subprocess.Popen([JOURNALD], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + wire.TIMEOUT_SEC
        while not os.path.exists(Journal.PATH):
            if time.monotonic() > deadline or journald.poll() is not None:
                pytest.skip("systemd-journald does not run by itself here")
            folder.wait_change(deadline)
        forge_record()
        assert_log(host)
        # The last caller has its exit code before the broker has heard of the end.
        while True:
            subprocess.run(["journalctl", "--sync"], check=False, capture_output=True)
            if log(host) == LOG:
                break
            assert time.monotonic() < deadline, log(host)
        host.stop()
        assert log(host, "--domain=other") == [("start", 4), ("end", 4)]
        (record,) = map(json.loads, host.qair("log", "--json", "--outcome=failed").stdout.splitlines())
        assert (record["status"], record["how"], record["service"]) == (3, "exited", "my.Fail")
    finally:
        folder.close()
        journald.kill()
        journald.wait()
        shutil.rmtree("/run/systemd")
        shutil.rmtree("/run/log")


def forge_record():
    """As root, but not as the broker."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as forger:
        forger.connect(Journal.PATH)
        forger.send(b"SYSLOG_IDENTIFIER=qrexecd\nMESSAGE=forged\nQAIR_EVENT=start\nQAIR_CALL_ID=99\n")
