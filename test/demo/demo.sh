#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh [--shell] - two accounts become domains and call each other
#
# Runs inside test/world/enter (make demo), on the programs as installed. Every step shows the command that it runs and
# checks what came of it; the first that is wrong ends the demo with status 1. With --shell the steps are left out and
# you get a shell as the domain work instead.
set -euo pipefail

if [ "${QAIR_WORLD-}" != 1 ]; then
        echo 'demo: run me in a private world: make demo' >&2
        exit 1
fi

log=/run/demo.log
here=$(dirname -- "$(realpath -- "$0")")
supervisor=

# Only for people: a pipe or a file gets plain text.
if [ -t 1 ]; then
        bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
        bold='' green='' red='' plain=''
fi

say() {
        printf '\n%s# %s%s\n' "$bold" "$1" "$plain"
}

good() {
        printf '%s  ok: %s%s\n' "$green" "$1" "$plain"
}

wrong() {
        printf '%s  WRONG: %s%s\n' "$red" "$1" "$plain" >&2
        if [ -s "$log" ]; then
                printf '%s\n' 'What the supervisor, the broker and the agents have logged:' >&2
                tail -n 40 "$log" >&2
        fi
        exit 1
}

# run_as ACCOUNT COMMAND…: as a login of ACCOUNT would, with nothing of root's left
run_as() {
        local account=$1 home
        shift

        if [ "$account" = root ]; then
                "$@"
                return
        fi
        home=$(getent passwd "$account" | cut -d: -f6)
        env --ignore-environment --chdir="$home" HOME="$home" USER="$account" LOGNAME="$account" SHELL=/bin/bash \
                TERM="${TERM:-dumb}" PATH=/usr/local/bin:/usr/bin:/bin \
                setpriv --reuid="$account" --regid="$account" --init-groups "$@"
}

# show ACCOUNT COMMAND-LINE: print it as typed by ACCOUNT, run it, print what it said; sets $output and $status
show() {
        local sign='$'

        [ "$1" != root ] || sign='#'
        printf '%s%s%s %s%s\n' "$bold" "$1" "$sign" "$2" "$plain"
        status=0
        output=$(run_as "$1" /bin/bash -c "$2" 2>&1 </dev/null) || status=$?
        [ -z "$output" ] || printf '%s\n' "$output"
        [ "$status" -eq 0 ] || printf '  (exit status %d)\n' "$status"
}

# must ACCOUNT COMMAND-LINE: show, and it has to succeed
must() {
        show "$@"
        [ "$status" -eq 0 ] || wrong "this should have succeeded"
}

# tell PATH MODE: write standard input to PATH, as a root user would with an editor, and show it
tell() {
        mkdir -p -- "$(dirname -- "$1")"
        cat >"$1"
        chmod "$2" "$1"
        printf '%sroot# cat %s%s\n' "$bold" "$1" "$plain"
        cat "$1"
}

quiet_tell() {
        tell "$@" >/dev/null
}

# The world is a copy of this machine: an account that happens to have one of the names is not ours.
forget_account() {
        if getent passwd "$1" >/dev/null; then
                userdel --force "$1" 2>/dev/null
        fi
        if getent group "$1" >/dev/null; then
                groupdel "$1"
        fi
}

stop() {
        if [ -n "$supervisor" ]; then
                kill "$supervisor" 2>/dev/null || true
                # Not our child but our first process's; its end is seen as that of any other process.
                timeout 10 tail --pid="$supervisor" -s 0.05 -f /dev/null || true
        fi
}

set_up() {
        local with=$1

        forget_account work
        forget_account vault

        say 'Two ordinary accounts become domains'
        "$with" root 'useradd --create-home --shell /bin/bash work'
        "$with" root 'useradd --create-home --shell /bin/bash vault'
        "$with" root 'qair domain add work user=work label=blue'
        "$with" root 'qair domain add vault user=vault label=black'

        say 'Who may call what: everything that is not allowed here is refused'
        tell /etc/qubes/policy.d/30-user.policy 0644 <<'POLICY'
qubes.GetDate   *  work   vault  allow
demo.WhoAmI     *  work   vault  allow
demo.Vault      *  work   vault  allow
demo.Vault      *  vault  work   allow
demo.Nowhere    *  work   vault  allow
demo.Chat       *  work   vault  allow
demo.Count      *  work   vault  allow
qubes.SshAgent  +work  work  vault  allow
POLICY

        say 'A service is a program: standard input, standard output, and the name of who called'
        tell /etc/qubes-rpc/demo.WhoAmI 0755 <<'SERVICE'
#!/bin/sh
read -r token
echo "I run as $(id -un) and $QREXEC_REMOTE_DOMAIN called me with $token"
SERVICE

        say 'And one that only the vault has'
        tell /etc/qubes/domains.d/vault.rpc/demo.Vault 0755 <<'SERVICE'
#!/bin/sh
echo 'here is the vault'
SERVICE

        # For a call that stays open as long as its caller does.
        quiet_tell /etc/qubes-rpc/demo.Chat 0755 <<'SERVICE'
#!/bin/sh
echo started
exec cat
SERVICE

        quiet_tell /etc/qubes-rpc/demo.Count 0755 <<'SERVICE'
#!/bin/sh
exec wc -c
SERVICE

        # Allowed to nobody, so nobody ever gets to see what it would do.
        quiet_tell /etc/qubes-rpc/demo.Secret 0755 <<SERVICE
#!/bin/sh
touch /run/demo-secret/started
SERVICE
        mkdir -p /run/demo-secret
        chmod 1777 /run/demo-secret

        say 'The supervisor starts, and with it the broker and an agent for each domain'
        printf '%sroot# /usr/lib/qubes/qair-supervisor &%s\n' "$bold" "$plain"
        supervisor=$("$here/../world/supervisor.py" "$log") || wrong 'the supervisor did not start'
        good 'it says that it is ready'
}

steps() {
        local before after answer token

        say 'The date, from the vault'
        before=$(date +%s)
        must work 'qrexec-client-vm vault qubes.GetDate'
        after=$(date +%s)
        [[ $output =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+00:00$ ]] || wrong 'this is no date'
        answer=$(date --date="$output" +%s)
        [ "$answer" -ge "$before" ] && [ "$answer" -le "$after" ] || wrong 'this is not the time'
        good 'it is the time now'

        say 'Who ran that service, and whom did it see? A random token goes in and must come back'
        token=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
        must work "echo $token | qrexec-client-vm vault demo.WhoAmI"
        [ "$output" = "I run as vault and work called me with $token" ] || wrong 'this is not what the service says'
        good 'it ran as vault, knew that work called, and got the token'

        say 'A call that policy does not allow is refused, and the service never starts: status 126'
        show work 'qrexec-client-vm vault demo.Secret'
        [ "$status" -eq 126 ] || wrong 'the status should be 126'
        [[ $output == 'Request refused'* ]] || wrong 'the caller should be told: Request refused'
        [ ! -e /run/demo-secret/started ] || wrong 'the service was started'
        good 'refused, and nothing was started'

        say 'A call that is allowed, of a service that is nowhere: status 127'
        show work 'qrexec-client-vm vault demo.Nowhere'
        [ "$status" -eq 127 ] || wrong 'the status should be 127'
        good 'allowed, but there is no such service'

        say 'A service that exists in the vault alone: work may call it there, vault may call it in work, and finds none'
        must work 'qrexec-client-vm vault demo.Vault'
        [ "$output" = 'here is the vault' ] || wrong 'this is not what the service says'
        show vault 'qrexec-client-vm work demo.Vault'
        [ "$status" -eq 127 ] || wrong 'the status should be 127'
        good 'it is where it was put and nowhere else'

        stream_much
        watch_a_call
        use_a_key

        say 'The audit: who called what, which line of the policy decided, and how it ended'
        must root 'qair log --domain=work'
        [[ $output =~ 'work -> vault  qubes.GetDate  allowed by /etc/qubes/policy.d/30-user.policy:1' ]] ||
                wrong 'the first call is not in it'
        [[ $output =~ 'work -> vault  demo.Secret  refused: denied by policy' ]] || wrong 'the refusal is not in it'
        [[ $output =~ 'work -> vault  demo.Chat  ended: killed, status 143' ]] || wrong 'the killed call is not in it'
        good 'every call is there, with its beginning and its end'
}

# timed ACCOUNT COMMAND-LINE: must, and how fast it moved $stream_bytes; sets $speed, in MB/s
timed() {
        local begin msec

        begin=$(date +%s%N)
        must "$@"
        msec=$((($(date +%s%N) - begin) / 1000000 + 1))
        speed=$((stream_bytes / 1000 / msec))
        printf '  %d.%d s: %d MB/s\n' $((msec / 1000)) $((msec % 1000 / 100)) "$speed"
        [ "$output" = "$stream_bytes" ] || wrong 'these are not as many bytes as went in'
}

# Much data, beside what the machine can do at all.
stream_much() {
        local stream_bytes=4294967296 speed pipe_speed source='dd if=/dev/zero bs=64k count=65536 status=none'

        say 'Much data: 4 GiB, counted by the vault; before that, by a program at the other end of a plain pipe'
        timed work "$source | wc -c"
        pipe_speed=$speed
        timed work "$source | qrexec-client-vm vault demo.Count"
        good "every byte arrived, at $((100 * speed / pipe_speed)) % of the speed of a plain pipe"
}

# A call that is open, seen and ended from outside.
watch_a_call() {
        local line id

        say 'A call that stays open: root sees it, and may end it'
        printf '%swork$ qrexec-client-vm vault demo.Chat &%s\n' "$bold" "$plain"
        coproc chat { run_as work qrexec-client-vm vault demo.Chat; }
        read -r -t 10 -u "${chat[0]}" line && [ "$line" = started ] || wrong 'the service did not start'
        must root 'qair calls'
        [[ $output =~ ([0-9]+)\ [^$'\n']*running\ +work\ +vault\ +demo.Chat ]] || wrong 'the call is not in the list'
        id=${BASH_REMATCH[1]}
        must root "qair kill $id"
        [ "$output" = "call $id: ended (killed, status 143)" ] || wrong 'it was not killed'
        good 'it is over, and its caller knows'
}

# A server to log in to: its account takes the key on standard input.
start_server() {
        local folder=/run/demo-ssh

        mkdir -p "$folder" /run/sshd
        forget_account server
        useradd --create-home --shell /bin/sh --password '*' server
        cat >"$folder/authorized"
        ssh-keygen -q -t ed25519 -N '' -f "$folder/host"
        printf '%s\n' 'Port 2222' 'ListenAddress 127.0.0.1' "HostKey $folder/host" 'PidFile none' 'UsePAM no' \
                "AuthorizedKeysFile $folder/authorized" 'StrictModes no' >"$folder/sshd_config"
        echo "[127.0.0.1]:2222 $(cat "$folder/host.pub")" >"$folder/known_hosts"
        printf '%s\n' 'Host server' 'HostName 127.0.0.1' 'Port 2222' 'User server' 'BatchMode yes' 'LogLevel ERROR' \
                "UserKnownHostsFile $folder/known_hosts" >"$folder/config"
        /usr/sbin/sshd -f "$folder/sshd_config"
}

use_a_key() {
        local socket='export SSH_AUTH_SOCK=/run/user/$(id -u)/ssh/S.ssh-agent'

        if ! command -v sshd >/dev/null && [ ! -x /usr/sbin/sshd ]; then
                say 'SSH keys in the vault: left out, for OpenSSH is not installed here'
                return
        fi
        say 'An SSH key that the vault has, and work uses: the vault runs an agent, and says what may be done with it'
        quietly vault 'split-ssh start work 2>&1'
        must vault "ssh-keygen -q -t ed25519 -N '' -C 'key of the vault' -f ~/.ssh/identities.d/work/id"
        quietly vault 'split-ssh add work 2>&1'
        tell /etc/split-ssh/filter.conf 0644 <<'FILTER'
[source work]
confirm = never
sign = auth
FILTER
        must work 'split-ssh forward --background --service qubes.SshAgent+work --target vault'
        must work "$socket; ssh-add -L"
        [[ $output == *'key of the vault' ]] || wrong 'this is not the key'
        start_server <<<"$output"
        good 'work sees the public half'
        must work "$socket; ssh -F /run/demo-ssh/config server 'echo I am \$(id -un), and who called had a key'"
        [ "$output" = 'I am server, and who called had a key' ] || wrong 'this is no login'
        good 'work logged in, with a signature of the vault'
        show work "$socket; ssh-add -D"
        [[ $output == *'Failed to remove all identities.'* ]] || wrong 'this should have been refused'
        must vault 'split-ssh list work'
        good 'the agent still has it; a plain bridge to an agent would have lost it'
}

closing_words() {
        cat <<'WORDS'

All as it should be. Everything that you saw happened in a private world, which is gone when this ends.

What to try next:
    make demo-shell      the same world, and a shell as the domain work
    make check           the tests, which end in: N passed, N failed
    doc/split-ssh.md     the SSH key of this demo, on a real machine
    README.md            a first call on a real machine, in five commands
WORDS
}

# A shell as work, with a terminal of its own: what runs in it can neither read nor type on the terminal of root.
shell() {
        quiet_tell /home/work/.bashrc 0644 <<'RC'
PS1='work$ '
cat <<'WORDS'

You are the domain work; the domain vault is one call away. Try:

    qrexec-client-vm vault qubes.GetDate
    qrexec-client-vm vault qubes.GetDate+nanoseconds
    echo hello | qrexec-client-vm vault demo.WhoAmI
    qrexec-client-vm vault demo.Secret; echo $?
    cat /etc/qubes-rpc/demo.WhoAmI /etc/qubes/policy.d/30-user.policy

exit, or Ctrl-D, ends this shell and the world with it.
WORDS
RC
        chown work:work /home/work/.bashrc
        # The status is that of the last command of the user's: none of the demo's business.
        run_as work script --quiet --command '/bin/bash -i' /dev/null || true
}

quietly() {
        run_as "$1" /bin/bash -c "$2" >/dev/null || wrong "this should have succeeded: $2"
}

trap stop EXIT
if [ "${1-}" = --shell ]; then
        set_up quietly >/dev/null
        shell
else
        set_up must
        steps
        closing_words
fi
