# SPDX-License-Identifier: Apache-2.0
"""Whole calls through supervisor, broker, agents and client, between domains that are accounts."""

import os
import pwd
import re

import processes
import pytest
from world import BROKER, NO_SERVICE

POLICY = """
qubes.GetDate  *  work  vault  allow
my.Service     *  work  vault  allow
my.Service     *  vault work   allow
"""


@pytest.fixture
def two(world):
    """A host with the domains work and vault, and a policy; not started, so that a test can add to it."""
    world.add_domain("work")
    world.add_domain("vault")
    world.set_policy(POLICY)
    return world


def test_date(two):
    two.start()
    result = two.call("work", "vault", "qubes.GetDate")
    assert result.returncode == 0, result
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00\n", result.stdout)


def test_service_runs_as_the_target_and_knows_its_caller(two):
    two.add_service("my.Service", "id -un; cat; exit 7")
    two.start()
    token = os.urandom(8).hex()
    result = two.call("work", "vault", "my.Service+x", input=token)
    assert (result.returncode, result.stdout.decode()) == (7, "vault\n" + token)
    (start,) = two.started("my.Service")
    assert (start.account, start.descriptor, start.source) == ("vault", "my.Service+x", "work")


@pytest.mark.parametrize(
    "source, target, service",
    [
        ("work", "vault", "my.Secret"),
        ("vault", "work", "qubes.GetDate"),
        ("work", "work", "my.Service"),
        ("work", "dom0", "my.Service"),
        ("work", "nowhere", "my.Service"),
        ("work", "", "my.Service"),
    ],
)
def test_what_is_not_allowed_is_refused(two, source, target, service):
    two.add_service("my.Secret", "echo secret")
    two.add_service("my.Service", "echo service")
    two.start()
    two.assert_refused(two.call(source, target, service))
    two.assert_service_never_started("my.Secret")
    two.assert_service_never_started("my.Service")


def test_a_refusal_does_not_tell_what_exists(two):
    two.start()
    number = re.compile(r"\d+")
    answers = {
        number.sub("N", two.call("work", target, service).stderr)
        for target, service in [("vault", "my.Secret"), ("nowhere", "my.Secret"), ("nowhere", "qubes.GetDate")]
    }
    assert len(answers) == 1, answers


def test_an_account_that_is_no_domain_is_refused(two):
    two.add_account("stranger")
    two.add_service("my.Service", "true")
    two.set_policy("* * * * allow")
    two.start()
    result = two.run_as("stranger", ["/usr/bin/qrexec-client-vm", "vault", "my.Service"])
    assert (result.returncode, result.stdout) == (126, b"") and result.stderr.startswith("Request refused\n")
    two.assert_service_never_started("my.Service")


def test_a_service_that_is_nowhere(two):
    two.start()
    result = two.call("work", "vault", "my.Service")
    assert (result.returncode, result.stdout) == (NO_SERVICE, b"")


def test_a_service_of_one_domain_alone(two):
    two.add_service("my.Service", "echo here", domain="vault")
    two.start()
    assert two.call("work", "vault", "my.Service").stdout == b"here\n"
    assert two.call("vault", "work", "my.Service").returncode == NO_SERVICE


def test_every_byte_arrives_both_ways(two):
    two.add_service("my.Service", "exec cat")
    two.start()
    data = os.urandom(8 << 20)
    result = two.call("work", "vault", "my.Service", input=data)
    assert (result.returncode, result.stdout == data) == (0, True)


def test_a_saved_policy_is_in_force_for_the_next_call(two):
    two.add_service("my.Service", "echo here")
    two.start()
    assert two.call("work", "vault", "my.Service").returncode == 0
    two.set_policy("")
    two.assert_refused(two.call("work", "vault", "my.Service"))
    two.set_policy(POLICY)
    assert two.call("work", "vault", "my.Service").returncode == 0


def test_a_broken_policy_refuses_every_call(two):
    two.set_policy(POLICY + "my.Service * work\n")
    two.add_service("my.Service", "echo here")
    two.start()
    two.assert_refused(two.call("work", "vault", "my.Service"))
    two.assert_service_never_started("my.Service")
    two.wait_log(r"30-user\.policy:5: wrong number of fields")


def test_calls_outlive_the_broker(two):
    two.add_service("my.Service", "echo started; exec cat")
    two.start()
    call = two.start_call("work", "vault", "my.Service")
    assert call.stdout.readline() == b"started\n"
    two.restart_broker()
    stdout, _ = call.communicate(b"still here", timeout=30)
    assert (call.returncode, stdout) == (0, b"still here")
    result = two.call("work", "vault", "my.Service", input="and again")
    assert result.stdout == b"started\nand again", result


def test_the_broker_has_no_privilege(two):
    """Its own account, and nothing that root could do."""
    two.start()
    (broker,) = processes.running(BROKER)
    with open("/proc/%d/status" % broker.pid) as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    account = pwd.getpwnam("qrexec")
    assert status["Uid"].split() == 4 * [str(account.pw_uid)]
    assert status["Gid"].split() == 4 * [str(account.pw_gid)]
    assert {status[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0000000000000000"}
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
