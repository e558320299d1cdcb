# SPDX-License-Identifier: Apache-2.0
"""Questions to a person: what the broker does with them. The policy agent here is whatever the test says."""

import contextlib
import json
import os
import pwd
import signal
import time

import processes
import pytest
import wire
from waiting import wait_for
from world import AGENT, REFUSED, agent_of

POLICY = """
my.Echo   *  work   vault  ask
my.Echo   *  work   other  ask
my.Free   *  work   vault  allow
"""

# Keeps what it is asked, one file each, and answers what the test has written into answer, once it is there.
ASK = """
n=$(mktemp -p /run/test/asked)
cat >$n.new; mv $n.new $n
cat /run/test/answer
"""

# Says the number again.
COUNT = """
sed 's/.*"requests": //; s/}//' >/run/test/asked/count.$$
cat /run/test/asked/count.$$
mv /run/test/asked/count.$$ /run/test/asked/count
"""


@pytest.fixture
def host(world):
    world.add_domain("desktop", services={"policy.Ask": ASK})
    world.add_domain("work", guivm="desktop", label="red")
    world.add_domain("vault", guivm="desktop", label="black")
    world.add_domain("other", guivm="desktop")
    world.add_service("my.Echo", "exec cat")
    world.add_service("my.Free", "exec cat")
    world.set_policy(POLICY)
    os.makedirs("/run/test/asked")
    os.chmod("/run/test/asked", 0o1777)
    os.mkfifo("/run/test/answer", 0o666)
    os.chmod("/run/test/answer", 0o666)
    return world


def answer(text):
    """Give the next answer: it waits until the agent asks for it."""
    with open("/run/test/answer", "w", encoding="utf-8") as file:
        file.write(text)


def offer(text):
    """Give the next answer if somebody waits for one."""
    try:
        fd = os.open("/run/test/answer", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return True
    # Who waited may have gone meanwhile: the answer of a broker that has ended is no longer wanted.
    with contextlib.suppress(BrokenPipeError), open(fd, "w", encoding="utf-8") as file:
        file.write(text)
    return True


def read(path):
    with open(path) as file:
        return file.read()


def asked():
    texts = []
    names = [name for name in os.listdir("/run/test/asked") if name.startswith("tmp") and not name.endswith(".new")]
    for name in sorted(names):
        with open("/run/test/asked/" + name) as file:
            texts.append(json.loads(file.read() or "null"))
    return [text for text in texts if text]


def test_yes(host):
    host.start()
    call = host.start_call("work", "vault", "my.Echo+x")
    answer("allow:vault")
    assert call.communicate(b"hello", wire.TIMEOUT_SEC)[0] == b"hello"
    assert call.returncode == 0
    (start,) = host.wait_audit(event="start", service="my.Echo")
    assert (start["asked"], start["target"], start["requested_target"]) == ("desktop", "vault", "vault")
    (question,) = asked()
    assert question["source"] == "work" and question["service"] == "my.Echo" and question["argument"] == "+x"
    assert question["targets"] == ["other", "vault"] and question["default_target"] == ""
    assert question["icons"]["work"] == "appvm-red"
    (end,) = host.wait_audit(event="end", service="my.Echo")
    assert end["ask_usec"] > 0


def test_no(host):
    host.start()
    call = host.start_call("work", "vault", "my.Echo")
    answer("deny")
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == REFUSED
    (record,) = host.wait_audit(event="refused", service="my.Echo")
    assert record["reason"] == "denied by the user /etc/qubes/policy.d/30-user.policy:2"
    host.assert_service_never_started("my.Echo")


def ask(host, service):
    result = host.call("dom0", "dom0", service)
    assert result.returncode == 0, result
    return json.loads(result.stdout)


def refused(host, **fields):
    """The one record of a refused call of my.Echo."""
    (record,) = host.wait_audit(event="refused", service="my.Echo", **fields)
    return record


def wait_asking(host, n):
    wait_for(lambda: ask(host, "qair.Status")["asking"] == n)


def wait_asked(host, n=1):
    """Wait until the agent was asked N times: each is a call of its own, with its record."""
    host.wait_audit(n, event="start", service="policy.Ask")


def test_another_target(host):
    """The person may choose any that is offered; what was asked for is only a wish."""
    host.add_service("my.Echo", "echo $USER")
    host.start()
    call = host.start_call("work", "vault", "my.Echo")
    answer("allow:other")
    assert call.communicate(timeout=wire.TIMEOUT_SEC)[0] == b"other\n"
    (start,) = host.wait_audit(event="start", service="my.Echo")
    assert (start["requested_target"], start["target"]) == ("vault", "other")


@pytest.mark.parametrize("text, reason", [
    ("allow:desktop", "target desktop is not a valid choice"),
    ("allow:work", "target work is not a valid choice"),
    ("allow:nowhere", "target nowhere is not a valid choice"),
    ("allow:@dispvm:vault", "target @dispvm:vault is not a valid choice"),
    ("allow:va\u00fclt", "target va\\\\xfclt is not a valid choice"),
    ("deny\n", "invalid response"),
    ("allow:vault\n", "invalid response"),
    ("", "nobody could be asked: the policy agent in desktop closed without an answer"),
    ("yes", "invalid response"),
    ("allow-for:60:vault", "invalid response"),
    ("deny-for:60", "invalid response"),
    ("x" * 9000, "nobody could be asked: the policy agent in desktop: its answer is too long"),
])
def test_answers_that_were_not_offered(host, text, reason):
    host.start()
    call = host.start_call("work", "vault", "my.Echo")
    answer(text)
    _, stderr = call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == REFUSED and b"Request refused\n" in stderr
    assert refused(host)["reason"].endswith(reason)
    host.assert_service_never_started("my.Echo")


@pytest.mark.parametrize("script, reason", [
    (None, "it ended with status 1"),
    ("exit 3", "it ended with status 3"),
    ("kill -9 $$", "it ended with status 137"),
    ("echo allow:vault; exit 1", "it ended with status 1"),
])
def test_an_agent_that_fails(host, script, reason):
    os.remove("/etc/qubes/domains.d/desktop.rpc/policy.Ask")  # then it is the host's, which finds no agent
    if script:
        host.add_service("policy.Ask", script, domain="desktop")
    host.start()
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    assert refused(host)["reason"] == "nobody could be asked: the policy agent in desktop: " + reason
    host.assert_service_never_started("my.Echo")


def test_no_gui_domain(host):
    host.write("/etc/qubes/domains.d/work.conf", "[domain]\nuser = work\nguivm = none\n")
    host.start()
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    assert 'my.Echo not allowed from work: the resolution was "ask", but source domain has no GuiVM' in \
        refused(host)["reason"]


def test_a_gui_domain_that_cannot_start(host):
    os.chmod("/usr/lib/qubes/qrexec-agent", 0o644)
    try:
        host.start()
        host.assert_refused(host.call("work", "vault", "my.Echo"))
    finally:
        os.chmod("/usr/lib/qubes/qrexec-agent", 0o755)
    assert refused(host)["reason"] == "nobody could be asked: the policy agent in desktop: it could not be reached"


def test_the_agent_of_the_gui_domain_dies(host):
    """In the middle of a question: the service goes on without it, and its answer counts; without the service, no."""
    host.add_service("policy.Ask", "echo $$ >/run/test/asked/pid.new; mv /run/test/asked/pid.new /run/test/asked/pid\n"
                     "exec sleep 1000", domain="desktop")
    host.start()
    call = host.start_call("work", "vault", "my.Echo")
    wait_asked(host)
    wait_for(lambda: os.path.exists("/run/test/asked/pid"))
    os.kill(int(read("/run/test/asked/pid")), 9)
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == REFUSED
    assert "the policy agent in desktop: it " in refused(host)["reason"]


def test_nobody_answers(host):
    host.write("/etc/qubes/ask.conf", "[ask]\ntimeout = 1\n")
    host.start()
    call = host.start_call("work", "vault", "my.Echo")
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == REFUSED
    assert refused(host)["reason"] == "nobody answered for 1 seconds"
    # Its window is gone, too: the service was ended.
    (end,) = host.wait_audit(event="end", service="policy.Ask")
    assert end["how"] in ("killed", "abandoned")


def test_the_caller_hangs_up(host):
    host.start()
    call = host.start_call("work", "vault", "my.Echo")
    wait_asked(host)
    call.kill()
    assert refused(host)["reason"] == "the caller hung up while a person was asked"
    (end,) = host.wait_audit(event="end", service="policy.Ask")
    assert end["how"] in ("killed", "abandoned", "cancelled")
    assert ask(host, "qair.Calls") == {"calls": []}


def test_it_is_listed_and_can_be_ended(host):
    host.start()
    call = host.start_call("work", "vault", "my.Echo")
    wait_asked(host)
    (entry, question) = ask(host, "qair.Calls")["calls"]
    assert entry.pop("age_usec") > 0
    assert entry == {"call": entry["call"], "source": "work", "target": "vault", "service": "my.Echo",
                     "state": "asking"}
    assert (question["source"], question["target"], question["service"]) == ("dom0", "desktop", "policy.Ask+")
    assert ask(host, "qair.Status")["asking"] == 1
    assert host.qair("kill", str(entry["call"])).returncode == 0
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == REFUSED
    assert refused(host)["reason"] == "it was ended while a person was asked"
    host.wait_audit(event="end", service="policy.Ask")


def test_the_broker_ends_meanwhile(host):
    """The caller comes back to the next broker, which asks anew; the answer to the first question reaches nobody."""
    host.start()
    call = host.start_call("work", "vault", "my.Echo")
    wait_for(asked)
    host.restart_broker()
    wait_for(lambda: len(asked()) == 2)
    # Read by one of the two; the other reads nothing at all, which is no answer either, or waits for the next.
    wait_for(lambda: offer("deny") and call.poll() is not None)
    assert call.returncode == REFUSED
    host.wait_audit(event="end", service="policy.Ask")
    host.assert_service_never_started("my.Echo")


@pytest.mark.parametrize("change, reason", [
    (lambda host: host.set_policy(POLICY.replace("ask", "deny")), "the policy changed after a person had been asked"),
    (lambda host: host.set_policy(POLICY.replace("ask", "allow")), "the policy changed after a person had been asked"),
    (lambda host: host.set_policy("nonsense"), "30-user.policy:1: "),
    (lambda host: host.set_policy(POLICY.replace("my.Echo   *  work   vault", "my.Echo * work @default")),
     "target vault is not a valid choice"),
    (lambda host: os.remove("/etc/qubes/domains.d/vault.conf"), ""),
])
def test_what_changes_meanwhile_counts(host, change, reason):
    host.start()
    call = host.start_call("work", "other", "my.Echo")
    wait_asked(host)
    change(host)
    answer("allow:vault")
    call.communicate(timeout=wire.TIMEOUT_SEC)
    assert call.returncode == REFUSED
    assert reason in refused(host)["reason"]
    host.assert_service_never_started("my.Echo")


def test_a_line_that_moves_is_the_same_rule(host):
    host.start()
    call = host.start_call("work", "vault", "my.Echo")
    wait_asked(host)
    host.set_policy("# a comment\n\n" + POLICY)
    answer("allow:vault")
    assert call.communicate(b"x", timeout=wire.TIMEOUT_SEC)[0] == b"x"


def test_other_calls_go_on(host):
    host.start()
    call = host.start_call("work", "vault", "my.Echo")
    wait_asked(host)
    assert host.call("work", "vault", "my.Free", input=b"x").stdout == b"x"
    call.kill()
    refused(host)


# Grants


ASK_CONF = "[ask]\nquiet_for = 60 3600\n[my.Echo]\nallow_for = 60 3600\n"


def grant(host, text="allow-for:60:vault", target="vault", service="my.Echo"):
    call = host.start_call("work", target, service)
    answer(text)
    call.communicate(timeout=wire.TIMEOUT_SEC)
    return call.returncode


def test_allow_for_a_while(host):
    host.write("/etc/qubes/ask.conf", ASK_CONF)
    host.start()
    assert grant(host) == 0
    assert asked()[0]["allow_for"] == [60, 3600] and asked()[0]["quiet_for"] == [60, 3600]
    for _ in range(3):
        assert host.call("work", "vault", "my.Echo", input=b"x").stdout == b"x"
    (entry,) = ask(host, "qair.Grants")["grants"]
    assert 0 < entry.pop("left_usec") <= 60e6
    assert entry == {"grant": 1, "answer": "allow", "source": "work", "requested_target": "vault", "target": "vault",
                     "service": "my.Echo", "rule": "/etc/qubes/policy.d/30-user.policy:2", "by": "desktop", "used": 3}
    assert "vault           my.Echo" in host.qair("grants").stdout.decode()
    starts = host.wait_audit(4, event="start", service="my.Echo")
    assert [record.get("grant") for record in starts] == [1, 1, 1, 1]
    assert [record.get("asked") for record in starts] == ["desktop", None, None, None]
    assert len(host.audit(event="start", service="policy.Ask")) == 1

    assert host.qair("grants", "revoke", "2").returncode == 1
    result = host.qair("grants", "revoke", "1")
    assert (result.returncode, result.stdout) == (0, b"1 revoked\n")
    assert ask(host, "qair.Grants") == {"grants": []}
    assert grant(host, "deny") == REFUSED


@pytest.mark.parametrize("target, service", [("other", "my.Echo"), ("vault", "my.Echo+x"), ("@default", "my.Echo")])
def test_a_grant_is_about_one_question(host, target, service):
    host.set_policy(POLICY + "my.Echo * work @default ask default_target=vault\n")
    host.write("/etc/qubes/ask.conf", ASK_CONF)
    host.start()
    assert grant(host) == 0
    assert grant(host, "deny", target, service) == REFUSED


@pytest.mark.parametrize("text", ["allow-for:61:vault", "allow-for:3601:vault", "allow-for:0:vault", "deny-for:59"])
def test_a_time_that_was_not_offered(host, text):
    host.write("/etc/qubes/ask.conf", ASK_CONF)
    host.start()
    assert grant(host, text) == REFUSED
    assert refused(host)["reason"].endswith("invalid response")
    assert ask(host, "qair.Grants") == {"grants": []}


def kill_agent(name):
    uid = pwd.getpwnam(name).pw_uid
    for process in processes.running(AGENT):
        if "\nUid:\t%d\t" % uid in read("/proc/%d/status" % process.pid):
            os.kill(process.pid, 9)


def end_busy_session(host):
    """Its agent is told to stop, and a call runs there still."""
    host.add_service("my.Wait", "echo started; exec cat")
    call = host.start_call("dom0", "desktop", "my.Wait")
    assert call.stdout.readline() == b"started\n"
    agent_of("desktop").kill(signal.SIGTERM)
    wait_for(lambda: ask(host, "qair.Grants") == {"grants": []})
    assert call.poll() is None
    call.communicate(timeout=wire.TIMEOUT_SEC)
    host.wait_log("domain desktop stopped")


@pytest.mark.parametrize("change", [
    lambda host: host.set_policy(POLICY.replace("vault  ask", "vault  ask user=vault")),
    lambda host: host.set_policy(POLICY.replace("*  work   vault", "+ work   vault")),
    lambda host: host.write("/etc/qubes/domains.d/work.conf", "[domain]\nuser = work\nguivm = desktop\nlabel = red\n"
                            "tags = new\n"),
    lambda host: host.write("/etc/qubes/domains.d/vault.conf", "[domain]\nuser = vault\nguivm = desktop\n"),
    lambda host: (os.remove("/etc/qubes/domains.d/vault.conf"), ask(host, "qair.Grants"),
                  host.write("/etc/qubes/domains.d/vault.conf",
                             "[domain]\nuser = vault\nguivm = desktop\nlabel = black\n")),
    lambda host: (host.set_policy("nonsense"), ask(host, "qair.Grants"), host.set_policy(POLICY)),
    lambda host: (host.accounts.add("vault2"), host.write("/etc/qubes/domains.d/vault.conf",
                  "[domain]\nuser = vault2\nguivm = desktop\nlabel = black\n"), host.reload()),
    lambda host: host.restart_broker(),
    lambda host: host.qair("grants", "revoke", "all"),
    lambda host: (host.qair("domain", "stop", "desktop"), host.qair("domain", "start", "desktop")),
    lambda host: (kill_agent("desktop"), wait_for(lambda: ask(host, "qair.Grants") == {"grants": []})),
    end_busy_session,
], ids=["rule", "rule's argument", "source", "target", "target gone", "policy broken", "account", "broker", "revoked",
        "session over", "session died", "session ends"])
def test_what_ends_a_grant(host, change):
    host.write("/etc/qubes/ask.conf", ASK_CONF)
    host.start()
    assert grant(host) == 0
    change(host)
    assert ask(host, "qair.Grants") == {"grants": []}
    assert grant(host, "deny") == REFUSED


def test_what_does_not_end_a_grant(host):
    host.write("/etc/qubes/ask.conf", ASK_CONF)
    host.start()
    assert grant(host) == 0
    host.set_policy("# moved\n" + POLICY + "my.New * work vault deny\n")
    host.write("/etc/qubes/domains.d/other.conf", "[domain]\nuser = other\ntags = x\n")
    assert host.call("work", "vault", "my.Echo", input=b"x").stdout == b"x"


def test_a_rule_that_now_denies_goes_first(host):
    host.write("/etc/qubes/ask.conf", ASK_CONF)
    host.start()
    assert grant(host) == 0
    host.set_policy("my.Echo * work vault deny\n" + POLICY)
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    assert len(host.audit(event="start", service="policy.Ask")) == 1


def test_a_grant_is_over(host):
    host.write("/etc/qubes/ask.conf", "[my.Echo]\nallow_for = 1\n")
    host.start()
    assert grant(host, "allow-for:1:vault") == 0
    wait_for(lambda: ask(host, "qair.Grants") == {"grants": []})
    assert grant(host, "deny") == REFUSED


def test_be_quiet(host):
    """About the service as a whole: another argument or target is no way around it."""
    host.write("/etc/qubes/ask.conf", ASK_CONF)
    host.start()
    assert grant(host, "deny-for:60") == REFUSED
    for target, service in (("vault", "my.Echo"), ("other", "my.Echo"), ("vault", "my.Echo+x")):
        host.assert_refused(host.call("work", target, service))
    records = host.wait_audit(4, event="refused", service="my.Echo")
    assert records[-1]["grant"] == 1 and records[-1]["reason"].endswith(", for a while")
    assert len(host.audit(event="start", service="policy.Ask")) == 1
    (entry,) = ask(host, "qair.Grants")["grants"]
    assert (entry["answer"], entry["service"]) == ("deny", "my.Echo")
    assert host.call("work", "vault", "my.Free", input=b"x").stdout == b"x"
    assert host.qair("grants", "revoke", "all").returncode == 0
    assert grant(host, "allow:vault") == 0


def test_a_configuration_that_is_broken_grants_nothing(host):
    host.write("/etc/qubes/ask.conf", ASK_CONF)
    host.start()
    host.write("/etc/qubes/ask.conf", "[my.Echo]\nallow_for = 5min\n")
    assert grant(host) == REFUSED
    assert asked()[0]["allow_for"] == []
    assert "ask.conf:2: 5min" in ask(host, "qair.Status")["ask"]
    host.write("/etc/qubes/ask.conf", ASK_CONF)
    assert grant(host) == 0


# Many


def test_the_same_question_is_asked_once(host):
    host.add_service("policy.AskCount", COUNT, domain="desktop")
    host.start()
    calls = [host.start_call("work", "vault", "my.Echo") for _ in range(10)]
    wait_asked(host)
    wait_for(lambda: os.path.exists("/run/test/asked/count") and read("/run/test/asked/count") == "10")
    # The broker has heard that the window says so: what comes later is another question.
    wait_for(lambda: not any("AskCount" in entry["service"] for entry in ask(host, "qair.Calls")["calls"]))
    answer("allow:vault")
    for call in calls:
        assert call.communicate(b"x", timeout=wire.TIMEOUT_SEC)[0] == b"x"
    assert len(host.audit(event="start", service="policy.Ask")) == 1
    assert len(host.wait_audit(10, event="end", service="my.Echo")) == 10


def test_a_yes_holds_for_what_the_window_said(host):
    """An agent that cannot be told of further requests has asked about one, so one is allowed."""
    host.start()
    calls = [host.start_call("work", "vault", "my.Echo") for _ in range(3)]
    wait_asking(host, 3)
    for n in range(1, 4):
        answer("allow:vault")
        host.wait_audit(n, event="start", service="my.Echo")
        assert len(host.audit(event="start", service="my.Echo")) == n
    for call in calls:
        assert call.communicate(b"x", timeout=wire.TIMEOUT_SEC)[0] == b"x"
    assert len(host.audit(event="start", service="policy.Ask")) == 3


def test_a_yes_for_a_while_holds_for_all(host):
    """Also for those that came while the person thought, whatever the window said."""
    host.write("/etc/qubes/ask.conf", ASK_CONF)
    host.start()
    calls = [host.start_call("work", "vault", "my.Echo") for _ in range(3)]
    wait_asking(host, 3)
    answer("allow-for:60:vault")
    for call in calls:
        assert call.communicate(b"x", wire.TIMEOUT_SEC)[0] == b"x"
    assert len(host.audit(event="start", service="policy.Ask")) == 1
    assert [record["grant"] for record in host.audit(event="start", service="my.Echo")] == [1, 1, 1]


def test_questions_of_one_domain_are_few(host):
    """A domain that asks about ever something else gets its last windows, not the whole screen."""
    host.start()
    calls = [host.start_call("work", "vault", "my.Echo+%d" % n) for n in range(8)]
    wait_asking(host, 8)
    host.assert_refused(host.call("work", "vault", "my.Echo+more"))
    assert refused(host, argument="more")["reason"] == "8 questions about calls of work are open already"
    for call in calls:
        call.kill()
    host.wait_audit(8, event="end", service="policy.Ask")


def test_a_thousand_at_once(host):
    """From three domains; one question each, and the broker serves others meanwhile."""
    for name in ("work2", "work3"):
        host.add_domain(name, guivm="desktop")
    # Not the fifo: three who read it would share one answer.
    host.add_service("policy.Ask", "cat >/dev/null\nuntil [ -e /run/test/go ]; do sleep 0.1; done\nprintf deny",
                     domain="desktop")
    host.add_service("policy.AskCount", COUNT, domain="desktop")
    host.set_policy("my.Echo * @anyvm vault ask\n" + POLICY)
    host.start()
    connections = []
    began = time.monotonic()
    for source in ("work", "work2", "work3"):
        for connection in wire.connect_all_as(source, wire.SHARED, 334):
            connection.sendall(wire.trigger("vault", "my.Echo"))
            connections.append(connection)
    wait_asking(host, 1002)
    assert host.call("work", "vault", "my.Free", input=b"x").stdout == b"x"
    assert len(host.audit(event="start", service="policy.Ask")) == 3
    took = time.monotonic() - began
    assert len(host.audit(event="start", service="policy.AskCount")) <= 3 * (2 + 4 * took)
    host.write("/run/test/go", "")
    for connection in connections:
        reply = connection.recv(12)
        assert len(reply) == 12 and wire.struct.unpack("<III", reply)[2] == 1, reply
        connection.close()
    host.wait_audit(1002, event="refused", service="my.Echo")
    assert len(host.audit(event="start", service="policy.Ask")) == 3
    host.assert_service_never_started("my.Echo")


# Notifications


NOTIFY = """
n=$(mktemp -p /run/test/asked told.XXXXXX)
cat >$n.new; mv $n.new $n
"""


def told():
    texts = [read("/run/test/asked/" + name) for name in os.listdir("/run/test/asked")
             if name.startswith("told.") and not name.endswith(".new")]
    return [json.loads(text) for text in texts if text]


def start_with_notify(host, policy, script=NOTIFY):
    """The GUI domain runs: nobody starts it to tell somebody something."""
    host.add_service("policy.Notify", script, domain="desktop")
    host.add_service("my.Wake", "exec cat", domain="desktop")
    host.set_policy(policy + "\nmy.Wake * work desktop allow\n")
    host.start()
    assert host.call("work", "desktop", "my.Wake").returncode == 0


def notice(resolution, target="vault", service="my.Echo", argument="+", source="work"):
    return {"resolution": resolution, "service": service, "argument": argument, "source": source, "target": target}


@pytest.mark.parametrize("rule, expect", [
    ("deny", [notice("deny")]),
    ("deny notify=no", []),
    ("allow", []),
    ("allow notify=yes", [notice("allow")]),
    ("allow target=other notify=yes", [notice("allow", "other")]),
    ("allow target=@dispvm:vault", [notice("deny")]),
])
def test_what_a_person_is_told(host, rule, expect):
    start_with_notify(host, "my.Echo * work vault " + rule)
    host.call("work", "vault", "my.Echo")
    if expect:
        wait_for(lambda: told() == expect)
    host.call("work", "vault", "my.Never+x")  # which no rule allows: the last one denies, and says so
    if not expect:
        wait_for(lambda: told() == [notice("deny", service="my.Never", argument="+x")])


def test_what_was_asked_and_fails_is_told(host):
    """Who has just said yes learns that it came to nothing."""
    start_with_notify(host, POLICY)
    call = host.start_call("work", "vault", "my.Echo")
    os.chmod("/usr/lib/qubes/qrexec-agent", 0o644)
    try:
        answer("allow:vault")
        call.communicate(timeout=wire.TIMEOUT_SEC)
        assert call.returncode == REFUSED
        wait_for(lambda: told() == [notice("fail")])
    finally:
        os.chmod("/usr/lib/qubes/qrexec-agent", 0o755)


def test_a_flood_is_two_notifications(host):
    start_with_notify(host, "my.Echo * work vault deny")
    began = time.monotonic()
    for _ in range(200):
        with wire.connect_as("work", wire.SHARED) as connection:
            connection.sendall(wire.trigger("vault", "my.Echo"))
            connection.recv(12)
    took = time.monotonic() - began  # a fraction of a second, unless the machine is busy
    wait_for(lambda: sum(entry.get("count", 1) for entry in told()) == 200)
    assert 2 <= len(told()) <= 2 + took / 5


def test_nobody_is_started_to_be_told(host):
    host.add_service("policy.Notify", NOTIFY, domain="desktop")
    host.set_policy("my.Echo * work vault deny\nmy.Wake * work desktop allow")
    host.start()
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    assert {d["name"]: d["state"] for d in ask(host, "qair.Status")["domains"]}["desktop"] == "halted"
    assert host.audit(service="policy.Notify") == []


def test_a_notification_that_fails_is_logged(host):
    start_with_notify(host, "my.Echo * work vault deny", "exit 3")
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    host.wait_log("error calling qrexec-policy-agent in desktop: it ended with status 3")


# A GUI domain on another host


def add_far_desktop(host, carry):
    """Reached through the relay `net`."""
    host.add_domain("net", services={"net.Carry": carry})
    host.write("/etc/qubes/domains.d/far-desk.conf",
               "[domain]\ntype = RemoteVM\nrelayvm = net\ntransport_rpc = net.Carry\n")
    host.write("/etc/qubes/domains.d/work.conf", "[domain]\nuser = work\nguivm = far-desk\nlabel = red\n")


def test_the_person_sits_elsewhere(host):
    """The transport comes back to this host, to `desktop`, and is subject to its policy."""
    carry = ('s=${QREXEC_SERVICE_ARGUMENT#far-desk+}; echo "$s" >/run/test/asked/carried; '
             'exec qrexec-client-vm desktop "${s%+}"')
    add_far_desktop(host, carry)
    host.set_policy(POLICY + "policy.Ask * net desktop allow\npolicy.AskCount * net desktop allow\n")
    host.start()
    call = host.start_call("work", "vault", "my.Echo")
    answer("allow:vault")
    assert call.communicate(b"x", wire.TIMEOUT_SEC)[0] == b"x"
    assert read("/run/test/asked/carried") == "policy.Ask+\n"
    (start,) = host.wait_audit(event="start", service="my.Echo")
    assert start["asked"] == "far-desk"


def test_the_person_elsewhere_cannot_be_reached(host):
    add_far_desktop(host, "echo 'no route' >&2; exit 1")
    host.start()
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    assert refused(host)["reason"] == "nobody could be asked: the policy agent in far-desk: it ended with status 1"


def test_a_remote_source_asks_the_person_of_its_relay(host):
    host.add_domain("net", guivm="desktop")
    host.write("/etc/qubes/domains.d/far.conf", "[domain]\ntype = RemoteVM\nrelayvm = net\ntransport_rpc = net.Carry\n")
    host.set_policy("my.Echo * far vault ask")
    host.start()
    call = host.start_call("net", "vault", "my.Echo", options=["--source-qube=far"])
    answer("allow:vault")
    assert call.communicate(b"x", wire.TIMEOUT_SEC)[0] == b"x"
    assert asked()[0]["source"] == "far"
    (start,) = host.wait_audit(event="start", service="my.Echo")
    assert (start["asked"], start["source"], start["relay"]) == ("desktop", "far", "net")


@pytest.mark.parametrize("value", ["no", "maybe"])
def test_a_remote_source_may_have_nobody(host, value):
    """Nor has it while nobody knows what the file is meant to say."""
    host.add_domain("net", guivm="desktop")
    host.write("/etc/qubes/domains.d/far.conf", "[domain]\ntype = RemoteVM\nrelayvm = net\ntransport_rpc = net.Carry\n")
    host.set_policy("my.Echo * far vault ask")
    host.write("/etc/qubes/ask.conf", "[ask]\nrelay_guivm = %s\n" % value)
    host.start()
    host.assert_refused(host.call("net", "vault", "my.Echo", options=["--source-qube=far"]))
    assert refused(host)["reason"].endswith("source domain has no GuiVM")


def test_nothing_is_granted_to_who_has_no_name_here(host):
    """The relay's unknown_source stands for ever somebody else."""
    host.add_domain("net", guivm="desktop", unknown_source="stranger")
    host.write("/etc/qubes/domains.d/stranger.conf",
               "[domain]\ntype = RemoteVM\nrelayvm = net\ntransport_rpc = net.Carry\n")
    host.write("/etc/qubes/ask.conf", ASK_CONF)
    host.set_policy("my.Echo * stranger vault ask")
    host.start()

    def call(claimed, text):
        started = host.start_call("net", "vault", "my.Echo", options=["--source-qube=" + claimed])
        answer(text)
        started.communicate(timeout=wire.TIMEOUT_SEC)
        return started.returncode

    assert call("stranger", "allow-for:60:vault") == 0  # by its own name it is one
    assert call("somebody", "allow:vault") == 0
    assert [question["allow_for"] for question in asked()] in ([[60, 3600], []], [[], [60, 3600]])
    assert call("somebody", "allow-for:60:vault") == REFUSED
    assert host.call("net", "vault", "my.Echo", input=b"x", options=["--source-qube=stranger"]).stdout == b"x"
