#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# inside.sh - what check.sh has run in the booted system, once in each of two boots; results go to /check/result
set -uo pipefail
cd /check
export DEBIAN_FRONTEND=noninteractive

# check NAME COMMAND…: note how COMMAND ends
check() {
        local name=$1
        shift

        echo "--- $name: $*"
        if "$@"; then
                echo "ok - $name" >>/check/result
        else
                echo "not ok - $name" >>/check/result
        fi
}

same() { # EXPECTED ACTUAL
        [ "$1" = "$2" ] || { printf 'expected: %s\nbut is:   %s\n' "$1" "$2"; return 1; }
}

as() { # ACCOUNT COMMAND…
        runuser --user "$1" -- "${@:2}"
}

is_silent() { # COMMAND…
        local words
        words=$("$@" 2>&1) || return 1
        same '' "$words"
}

# At most 2.5 of 10, of what systemd calls OK.
is_hardly_exposed() { # UNIT
        systemd-analyze security --no-pager "$1"
        systemd-analyze security --no-pager --threshold=25 "$1" >/dev/null
}

is_date() {
        echo "$1"
        [[ $1 =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}T ]]
}

# Everything there is, but for what other programs write by themselves, and homes.
files() {
        find / -xdev \( -path /check -o -path /var/log -o -path /var/lib/dpkg -o -path /var/lib/systemd -o -path /var/cache \
                -o -path /var/lib/apt -o -path /home -o -path /var/mail -o -path /tmp -o -path /var/tmp -o -path /root \
                -o -path '/etc/*-' -o -path /etc/.pwd.lock -o -path /etc/subuid -o -path /etc/subgid \) -prune \
                -o -print | sort
}

service() { # NAME, its script on standard input
        cat >"/etc/qubes-rpc/$1"
        chmod 0755 "/etc/qubes-rpc/$1"
}

# A call that has begun before an upgrade and ends after it: the service goes on and every byte arrives. The agent that
# would report the status may be another by then: 255 instead. FIFOs, so that nobody has to wait by the clock.
upgrade_during_a_call() {
        local caller
        mkfifo -m 0666 to started
        service my.Slow <<'SCRIPT'
#!/bin/sh
echo started >/check/started
cat
echo end
SCRIPT
        as work qrexec-client-vm vault my.Slow <to >answer &
        caller=$!
        exec 5>to
        read -r _ <started
        dpkg -i /check/qair.deb || return 1
        systemctl is-active qair || return 1
        echo through >&5
        exec 5>&-
        wait "$caller"
        echo "status $?"
        same "$(printf 'through\nend')" "$(cat answer)"
}

session() {
        local environment
        service my.Session <<'SCRIPT'
#!/bin/sh
echo "$(id -un) $XDG_RUNTIME_DIR $(stat -c '%U %a' "$XDG_RUNTIME_DIR") $XDG_SESSION_ID $HOME"
cut -d: -f3 /proc/self/cgroup
SCRIPT
        environment=$(as work qrexec-client-vm vault my.Session) || return 1
        echo "$environment"
        loginctl list-sessions --no-legend
        read -r account runtime owner mode session home <<<"$environment"
        same vault "$account" && same "/run/user/$(id -u vault)" "$runtime" && same 'vault 700' "$owner $mode" &&
                same /home/vault "$home" && [ -n "$session" ] &&
                same vault "$(loginctl show-session "$session" --property=Name --value)" &&
                same qrexec "$(loginctl show-session "$session" --property=Service --value)"
}

journal_has() {
        journalctl --sync
        journalctl --unit qair --output cat --grep "$1"
}

journal_of_filter_has() {
        journalctl --sync
        split-ssh log --grep "$1"
}

# The one finding that a container cannot mend: the setting is the host's, and /proc/sys is read-only.
doctor_is_content() {
        qair doctor
        local findings
        findings=$(qair doctor --json) && return 0
        same sysctl "$(awk -F'"' '$2 == "check" { check = $4 } $2 == "level" && $4 != "note" { print check }' <<<"$findings")"
}

# systemctl for the service manager of an account.
user_units() { # ACCOUNT ARGUMENT…
        as "$1" env XDG_RUNTIME_DIR="/run/user/$(id -u "$1")" systemctl --user "${@:2}"
}

# The key, through whatever listens at SOCKET as work's agent.
is_key() { # SOCKET
        local listed
        listed=$(as work env SSH_AUTH_SOCK="$1" ssh-add -L) && same "$(cat id.pub)" "$listed"
}

# The vault's agent is a unit of its own service manager, which starts it with the account.
ssh_key_in_the_vault() {
        local folder=/home/vault/.ssh/identities.d/work
        install -d -m 0700 -o vault -g vault /home/vault/.ssh{,/identities.d{,/work}}
        ssh-keygen -q -t ed25519 -N '' -C check -f id && install -m 0600 -o vault -g vault id "$folder/id" || return 1
        rm id
        loginctl enable-linger vault && loginctl enable-linger work || return 1
        systemctl start "user@$(id -u vault)" "user@$(id -u work)" || return 1
        user_units vault enable --now split-ssh-agent@work || return 1
        printf '%s\n' '[source work]' 'confirm = never' '[agent gpg]' \
                "socket = /run/user/$(id -u vault)/qubes/split-ssh/work.sock" >/etc/split-ssh/filter.conf
        echo 'qubes.Ssh * work vault allow
qubes.SshAgent +work work vault allow' >>/etc/qubes/policy.d/30-user.policy
        until as vault split-ssh list work; do
                user_units vault is-active split-ssh-agent@work || return 1
        done
}

# The units as people have written them by hand for years, with the link that enables them.
units_of_old() {
        mkdir -p /etc/systemd/user/sockets.target.wants
        printf '%s\n' '[Socket]' 'ListenStream=%t/ssh/S.ssh-agent' 'SocketMode=0600' 'DirectoryMode=0700' 'Accept=true' \
                '[Install]' 'WantedBy=sockets.target' >/etc/systemd/user/ssh-agent.socket
        printf '%s\n' '[Service]' 'ExecStart=qrexec-client-vm vault qubes.Ssh' 'StandardInput=socket' \
                >/etc/systemd/user/ssh-agent@.service
        ln -s /etc/systemd/user/ssh-agent.socket /etc/systemd/user/sockets.target.wants/
        systemctl restart "user@$(id -u work)" || return 1
        is_key "/run/user/$(id -u work)/ssh/S.ssh-agent"
        local status=$?
        user_units work stop ssh-agent.socket
        rm -r /etc/systemd/user/{ssh-agent.socket,ssh-agent@.service,sockets.target.wants}
        user_units work daemon-reload
        return "$status"
}

# Ours: each by itself, and nothing of it fails.
unit_of_ours() { # UNIT SOCKET
        user_units work enable --now "$1" || return 1
        until [ -S "$2" ]; do
                user_units work is-active "$1" || return 1
        done
        is_key "$2" && is_key "$2" && same '' "$(user_units work --failed --no-legend --plain)"
        local status=$?
        user_units work disable --now "$1" "${1/.socket/.service}" || true
        rm -f "$2"
        return "$status"
}

first() {
        files >files-before
        check 'the package installs' dpkg -i qair.deb
        check 'the service is active' systemctl is-active qair
        check 'the service is enabled' systemctl is-enabled qair
        check 'the agent for a host is not enabled' same disabled "$(systemctl is-enabled qrexec-agent-vsock)"
        check 'the units are sound' is_silent systemd-analyze verify --man=no qair.service qair-domain.socket \
                qrexec-agent-vsock.service "$(systemctl show --property=FragmentPath --value qair-domain@1.service)"
        check 'supervisor and broker are hardly exposed' is_hardly_exposed qair.service
        check 'the accounts cannot log in' same "$(printf 'L\nL')" "$(passwd -S qrexec | cut -d' ' -f2; passwd -S qrexec-dom0 | cut -d' ' -f2)"
        check 'dom0 is in group qubes, alone' same qrexec-dom0 "$(getent group qubes | cut -d: -f4)"
        check 'nothing is amiss' doctor_is_content

        check 'the first call of the README' is_date "$(bash -e first-call.sh | tail -n 1)"
        check 'the call is in the journal' journal_has 'qubes.GetDate'
        check 'nothing is amiss with two domains' doctor_is_content
        check 'others are refused' same 126 "$(as vault qrexec-client-vm work qubes.GetDate >/dev/null 2>&1; echo $?)"
        check 'a refusal is in the journal' journal_has 'qubes.GetDate.*(deny|denied|refused)'
        echo 'my.Slow * work vault allow
my.Session * work vault allow' >>/etc/qubes/policy.d/30-user.policy
        check 'a domain has a session of logind' session
        check 'a call outlives an upgrade' upgrade_during_a_call
        check 'calls go on after the upgrade' is_date "$(as work qrexec-client-vm vault qubes.GetDate)"
        rm /etc/qubes-rpc/my.*

        check "the vault's SSH agent is a unit of its account" ssh_key_in_the_vault
        check 'socket units of old' units_of_old
        install -d -o work -g work /home/work/.config{,/qubes}
        echo vault >/home/work/.config/qubes/split-ssh-vault
        socket=/run/user/$(id -u work)/ssh/S.ssh-agent
        check 'a socket unit with a process for each connection' unit_of_ours qubes-ssh-agent.socket "$socket"
        check 'a socket unit with one process' unit_of_ours qubes-ssh-forward.socket "$socket"
        check 'the forwarder of one agent' unit_of_ours split-ssh-forwarder@work.service /home/work/.split-ssh/work.sock
        check 'uses of keys are in the journal' journal_of_filter_has 'ev=list src=work'
        loginctl disable-linger vault work
        rm /etc/split-ssh/filter.conf
}

second() {
        check 'the service is up after a boot' systemctl is-active qair
        check 'a call after a boot' is_date "$(as work qrexec-client-vm vault qubes.GetDate)"
        check 'the package can be purged' apt-get purge --yes qair
        check 'nothing of ours runs' same '' "$(pgrep -af '^/usr/lib/qubes/|^qrexec')"
        check 'the run directory is gone' test ! -e /run/qubes
        check 'our logs are gone' test ! -e /var/log/qubes
        files >files-after
        check "what is left is the administrator's" same \
                "$(printf '%s\n' /etc/qubes /etc/qubes/domains.d /etc/qubes/domains.d/{vault,work}.conf /etc/qubes/policy.d \
                        /etc/qubes/policy.d/30-user.policy)" \
                "$(comm -13 files-before files-after)"
        check 'the accounts stay, locked' same "$(printf 'L\nL')" "$(passwd -S qrexec | cut -d' ' -f2; passwd -S qrexec-dom0 | cut -d' ' -f2)"
}

"$(cat stage)"
: >finished
