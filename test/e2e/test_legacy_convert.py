# SPDX-License-Identifier: Apache-2.0
"""Files in the format of earlier days: in force through !compat-4.0, and turned into policy files."""

import os
import subprocess

import pytest

POLICY = "/etc/qubes/policy.d/"
LEGACY = "/etc/qubes-rpc/policy/"


@pytest.fixture
def host(world):
    world.add_domain("work", tags="office")
    world.add_domain("vault", services={"my.Secret": "echo secret"})
    world.add_domain("dvm", template_for_dispvms="yes")
    world.set_policy("my.Own * work vault allow\n")
    return world


def convert(answer="", status=0):
    result = subprocess.run(["qrexec-legacy-convert"], input=answer, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (status, ""), result
    return result.stdout


def read(name):
    with open(POLICY + name) as file:
        return file.read()


def rules(name):
    return [line.split() for line in read(name).splitlines() if line and not line.startswith("#")]


def state():
    """Every file and its content."""
    found = {}
    for folder in (POLICY, LEGACY):
        for name in os.listdir(folder):
            if os.path.isfile(folder + name):
                with open(folder + name) as file:
                    found[folder + name] = file.read()
    return found


def test_old_files_are_in_force(host):
    """The broker reads them, and notices when they change."""
    host.write(LEGACY + "my.Secret", "$tag:office,vault,allow\n")
    host.start()
    assert host.call("work", "vault", "my.Secret").stdout == b"secret\n"
    host.write(LEGACY + "my.Secret+x", "")
    host.assert_refused(host.call("work", "vault", "my.Secret+x"))
    assert host.call("work", "vault", "my.Secret+y").stdout == b"secret\n"
    host.write(LEGACY + "my.Secret", "$anyvm $anyvm deny\n")
    host.assert_refused(host.call("work", "vault", "my.Secret"))


def test_conversion(host):
    host.write(LEGACY + "my.Secret", "$tag:office vault allow,user=vault,notify=yes\n$anyvm $anyvm deny\nwork vault ask\n")
    host.write(LEGACY + "my.Secret+x", "work vault deny\n")
    host.write(LEGACY + "qubes.Filecopy", "work vault ask\nwork $dispvm allow,target=$dispvm:dvm\n")
    host.write(LEGACY + "my.Own", "work vault allow\n")
    host.write(LEGACY + "junk.rpmsave", "not read\n")
    host.start()
    assert host.call("work", "vault", "my.Secret").stdout == b"secret\n"

    said = convert().splitlines()
    assert said[:2] == ["Initiating policy conversion process...", "Converting old policy files into new format files...."]
    assert "Writing /etc/qubes/policy.d/30-user.policy..." in said
    assert said[-1] == "Successfully converted old policy to new format."

    assert rules("30-user.policy") == [
        ["my.Secret", "+x", "work", "vault", "deny"],
        ["my.Secret", "+x", "@anyvm", "@anyvm", "deny"],
        ["my.Secret", "+x", "@anyvm", "@adminvm", "deny"],
        ["my.Secret", "*", "@tag:office", "vault", "allow", "user=vault", "notify=yes"],
        ["qubes.Filecopy", "*", "work", "@dispvm", "allow", "target=@dispvm:dvm"],
        ["my.Own", "*", "work", "vault", "allow"],
    ]
    assert read("30-user.policy.bak") == "my.Own * work vault allow\n"
    assert read("50-config-filecopy.policy") == (
        "\n# THIS IS AN AUTOMATICALLY GENERATED POLICY FILE.\n"
        "# Any changes made manually may be overwritten by Qubes Configuration Tools.\n"
        "qubes.Filecopy\t*\twork\tvault\task\n"
    )
    assert sorted(os.listdir(LEGACY)) == [
        "include",
        "junk.rpmsave",
        "my.Own.rpmsave",
        "my.Secret+x.rpmsave",
        "my.Secret.rpmsave",
        "qubes.Filecopy.rpmsave",
    ]
    assert host.call("work", "vault", "my.Secret").stdout == b"secret\n"
    host.assert_refused(host.call("work", "vault", "my.Secret+x"))
    before = state()
    assert convert().endswith("Successfully converted old policy to new format.\n")
    assert state() == before


def test_each_kind_goes_to_its_file(host):
    host.write(LEGACY + "qubes.ClipboardPaste", "work vault ask\nwork dvm allow\n")
    host.write(LEGACY + "qubes.UpdatesProxy", "$type:TemplateVM $default allow,target=vault\n$tag:x vault allow\n")
    host.write(LEGACY + "qubes.OpenURL", "work $dispvm allow,target=$dispvm:dvm\nvault $dispvm allow\n")
    host.write(LEGACY + "qubes.OpenInVM", "work $dispvm deny\n")
    host.write(LEGACY + "qubes.InputMouse", "work dom0 ask,default_target=dom0\nvault dom0 ask,user=root\nwork dom0 deny\n")
    host.write(LEGACY + "u2f.Register", "work vault allow\n$anyvm $anyvm ask\n")
    host.write(LEGACY + "u2f.Authenticate+x", "work vault allow\n")
    host.write(LEGACY + "policy.RegisterArgument+u2f.Authenticate", "vault $anyvm allow,target=dom0\n")
    said = convert("n\n")
    assert "Leaving out, since an earlier rule for this device decides: qubes.InputMouse * work dom0 deny" in said.replace("\\t", " ")

    assert [rule[2:] for rule in rules("50-config-clipboard.policy")] == [["work", "vault", "ask"]]
    assert [rule[2:4] for rule in rules("50-config-updates.policy")] == [["@type:TemplateVM", "@default"]]
    assert [rule[2:] for rule in rules("50-config-openurl.policy")] == [["work", "@dispvm", "allow", "target=@dispvm:dvm"]]
    assert [rule[2:] for rule in rules("50-config-openinvm.policy")] == [["work", "@dispvm", "deny"]]
    assert [rule[2] for rule in rules("50-config-input.policy")] == ["work", "vault"]
    assert [rule[:4] for rule in rules("50-config-u2f.policy")][-1] == ["u2f.Register", "*", "work", "vault"]
    user = [rule[:4] for rule in rules("30-user.policy")]
    for rule in (
        ["qubes.ClipboardPaste", "*", "work", "dvm"],
        ["qubes.UpdatesProxy", "*", "@tag:x", "vault"],
        ["qubes.OpenURL", "*", "vault", "@dispvm"],
        ["u2f.Register", "*", "@anyvm", "@anyvm"],
        ["u2f.Authenticate", "+x", "work", "vault"],
    ):
        assert rule in user


def test_a_difference_is_shown_and_undone(host):
    """The user's rule came first; as a line of the same file it comes after the converted one."""
    host.set_policy("my.Secret * work vault deny\n")
    host.write(LEGACY + "my.Secret", "work vault allow\nvault work allow\n")
    before = state()
    said = convert("\n", status=1)
    assert 'NEW STATE\n  "work" -> "vault" [label="my.Secret allow" color=red];\n' in said
    assert "DECISIONS\nwork -> vault my.Secret+*\n- deny\n+ allow\n" in said
    assert said.endswith("Do you want to restore initial state? [Y/n] Conversion reverted.\n")
    assert state() == before

    assert convert("n\n").endswith("Successfully converted old policy to new format.\n")
    assert state() != before
    assert rules("30-user.policy")[-1] == ["my.Secret", "*", "work", "vault", "deny"]


def test_what_the_graph_does_not_show_is_compared_too(host):
    """autostart=no is in no label."""
    host.set_policy("!include include/first\n")
    host.write(POLICY + "include/first", "my.Secret * @tag:office vault allow autostart=no\n")
    host.write(LEGACY + "my.Secret", "work vault allow\n")
    before = state()
    said = convert("y\n", status=1)
    assert "DECISIONS\n" in said
    assert state() == before


def test_a_broken_policy_is_not_touched(host):
    host.write(LEGACY + "my.Secret", "work vault\n")
    before = state()
    result = subprocess.run(["qrexec-legacy-convert"], capture_output=True, text=True)
    assert result.returncode == 1
    assert "my.Secret:1: wrong number of fields" in result.stderr
    assert state() == before


def test_nothing_to_convert(host):
    before = state()
    assert convert().endswith("Successfully converted old policy to new format.\n")
    assert state() == before
