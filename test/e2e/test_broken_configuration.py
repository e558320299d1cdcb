# SPDX-License-Identifier: Apache-2.0
"""A mistake in a file refuses calls, says which line, and stops nobody's daemon."""

import pytest


@pytest.fixture
def host(world):
    world.add_domain("work")
    world.add_domain("vault")
    world.set_policy("my.Echo * work vault allow")
    world.add_service("my.Echo", "exec cat")
    return world


def test_a_broken_policy_while_running(host):
    host.start()
    host.assert_served()
    mark = host.logfile.mark()
    host.set_policy("my.Echo * work vault allow\nmy.Echo * work vault allow target=")
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    host.wait_log(r"30-user\.policy:2: invalid empty redirect token", mark=mark)
    host.wait_log(r"work -> vault: error loading policy: .*30-user\.policy:2: ", mark=mark)
    host.set_policy("my.Echo * work vault allow")
    host.assert_served()


def test_a_policy_file_with_a_bad_name(host):
    host.start()
    host.write("/etc/qubes/policy.d/30-User.policy", "")
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    host.wait_log(r"invalid filename: /etc/qubes/policy\.d/30-User\.policy")


def test_dom0_calls_in_spite_of_a_broken_policy(host):
    host.set_policy("nonsense")
    host.start()
    assert host.call("dom0", "vault", "my.Echo", input=b"x").stdout == b"x"


@pytest.mark.parametrize("text, where", [
    ("[domain]\nuser = vault\nlabl = black\n", r"domains\.d/vault\.conf:3: .*label"),
    ("[domain]\nuser = work\n", r"domains\.d/(vault|work)\.conf:2: .*work"),
    ("[domain]\nuser = vault\nguivm = nowhere\n", r"domains\.d/vault\.conf:3: .*nowhere"),
    ("[domain]\nuser = root\n", r"domains\.d/vault\.conf:2: .*root"),
    ("nonsense\n", r"domains\.d/vault\.conf:1: "),
])
def test_a_broken_inventory_file(host, text, where):
    host.write("/etc/qubes/domains.d/vault.conf", text)
    host.start()
    # Nothing is known for sure about anybody: nobody is served, and the log says why.
    for account in ("work", "vault"):
        result = host.call(account, "vault", "my.Echo")
        assert result.returncode == 126, result
    host.wait_log(where)
    host.assert_service_never_started("my.Echo")


def test_an_inventory_that_breaks_while_running(host):
    host.start()
    host.assert_served()
    mark = host.logfile.mark()
    host.write("/etc/qubes/domains.d/other.conf", "[domain]\nlabl = black\n")
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    host.wait_log(r"domains\.d/other\.conf:2: ", mark=mark)
    host.write("/etc/qubes/domains.d/other.conf", "[domain]\nlabel = black\n")
    host.assert_served()


def test_an_account_that_does_not_exist(host):
    host.write("/etc/qubes/domains.d/ghost.conf", "[domain]\nuser = ghost\n")
    host.set_policy("my.Echo * work * allow")
    host.start()
    host.wait_log(r"ghost.*useradd")
    host.assert_served()  # the others must not suffer
    result = host.call("work", "ghost", "my.Echo")
    assert result.returncode == 126 and "service unavailable" in result.stderr, result


def test_no_policy_at_all(host):
    import shutil

    shutil.rmtree("/etc/qubes/policy.d")
    host.start()
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    host.wait_log("failed to load /etc/qubes/policy.d")


def test_the_old_format(host):
    host.write("/etc/qubes-rpc/policy/my.Echo", "$anyvm vault allow\n")
    host.set_policy("!compat-4.0")
    host.start()
    host.assert_served()
    host.assert_refused(host.call("vault", "work", "my.Echo"))


def test_redirection_by_the_policy(host):
    host.add_domain("third")
    host.add_service("my.Echo", "id -un")
    host.set_policy("my.Echo * work @default allow target=third\nmy.Echo * work vault allow target=third")
    host.start()
    assert host.call("work", "", "my.Echo").stdout == b"third\n"
    assert host.call("work", "@default", "my.Echo").stdout == b"third\n"
    assert host.call("work", "$default", "my.Echo").stdout == b"third\n"
    assert host.call("work", "vault", "my.Echo").stdout == b"third\n"


def test_a_rule_that_forbids_starting(host):
    host.set_policy("my.Echo * work vault allow autostart=no\nmy.Echo * dom0 vault allow")
    host.start()
    host.assert_refused(host.call("work", "vault", "my.Echo"))
    assert host.call("dom0", "vault", "my.Echo", input=b"x").stdout == b"x"  # this starts it
    host.assert_served()


def test_a_rule_with_another_user(host):
    """The agent is an account and can become no other: 125, as for any call that could not be started."""
    host.set_policy("my.Echo * work vault allow user=work")
    host.start()
    result = host.call("work", "vault", "my.Echo")
    assert (result.returncode, result.stdout) == (125, b""), result
    host.set_policy("my.Echo * work vault allow user=vault")
    host.assert_served()
