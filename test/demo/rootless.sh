#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# rootless.sh [BUILD_DIR] - an ordinary user's sandboxes call each other (make demo-rootless)
#
# Without root, accounts or anything installed: if this build is not at its place in /usr, the script starts itself again in
# a user and mount namespace where it is. All of its files are in one new folder below /tmp, gone at the end.
set -euo pipefail

stage=

die() {
        printf 'demo: %s\n' "$1" >&2
        exit 1
}

here=$(dirname -- "$(realpath -- "$0")")
supervisor_program=/usr/lib/qubes/qair-supervisor

[ "$(id -u)" -ne 0 ] || die 'this is the demo for an ordinary user; root has: make demo'
[ -x /usr/bin/bwrap ] || die 'it needs bubblewrap (apt install bubblewrap)'

# enter BUILD_DIR: this script again, with the build laid over /usr: root of a namespace mounts, then we are ourselves again.
enter() {
        local build=$1

        [ -f "$build/meson-private/coredata.dat" ] || die "$build is not a build directory: make build"
        stage=$(mktemp --directory /tmp/qair-rootless.XXXXXX)
        trap 'rm -rf -- "$stage"' EXIT
        DESTDIR=$stage/installed meson install -C "$build" --no-rebuild --quiet >"$stage/install.log" 2>&1 ||
                die "the build could not be installed: $(tail -n 3 "$stage/install.log")"
        QAIR_DEMO_INSIDE=1 unshare --user --map-root-user --mount --propagation private -- /bin/sh -c '
                mount -t overlay -o lowerdir="$1/installed/usr:/usr" demo /usr &&
                exec unshare --user --map-user="$2" --map-group="$3" -- "$4"
        ' sh "$stage" "$(id -u)" "$(id -g)" "$here/rootless.sh"
}

if [ -z "${QAIR_DEMO_INSIDE-}" ] && [ $# -gt 0 ]; then
        enter "$(realpath -- "$1")"
        exit
fi
[ -x "$supervisor_program" ] || die "there is no $supervisor_program: rootless.sh BUILD_DIR, or install the package"

if [ -t 1 ]; then
        bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
        bold='' green='' red='' plain=''
fi

folder=$(mktemp --directory /tmp/qair-demo.XXXXXX)
log=$folder/log
supervisor=

finish() {
        if [ -n "$supervisor" ]; then
                kill "$supervisor" 2>/dev/null || true
                wait "$supervisor" 2>/dev/null || true
        fi
        rm -rf -- "$folder"
}
trap finish EXIT

export XDG_RUNTIME_DIR=$folder/run XDG_CONFIG_HOME=$folder/config XDG_STATE_HOME=$folder/state XDG_DATA_HOME=$folder/data
mkdir -m 0700 "$XDG_RUNTIME_DIR" "$XDG_CONFIG_HOME"
config=$XDG_CONFIG_HOME/qubes

say() { printf '\n%s# %s%s\n' "$bold" "$1" "$plain"; }
good() { printf '%s  ok: %s%s\n' "$green" "$1" "$plain"; }
wrong() {
        printf '%s  WRONG: %s%s\n' "$red" "$1" "$plain" >&2
        [ ! -s "$log" ] || tail -n 40 "$log" >&2
        exit 1
}

# show COMMAND-LINE: print it, run it, print what it said; sets $output and $status
show() {
        printf '%s$ %s%s\n' "$bold" "$1" "$plain"
        status=0
        output=$(/bin/bash -c "$1" 2>&1 </dev/null) || status=$?
        [ -z "$output" ] || printf '%s\n' "$output"
        [ "$status" -eq 0 ] || printf '  (exit status %d)\n' "$status"
}

# tell PATH MODE: write standard input to PATH, and show it
tell() {
        mkdir -p -- "$(dirname -- "$1")"
        cat >"$1"
        chmod "$2" "$1"
        printf '%s$ cat %s%s\n' "$bold" "${1/#$XDG_CONFIG_HOME/\~\/.config}" "$plain"
        cat "$1"
}

say "You are $(id -un), an ordinary user. Your Qair starts"
printf '%s$ %s --user &%s\n' "$bold" "$supervisor_program" "$plain"
umask 077
"$supervisor_program" --user 2>"$log" &
supervisor=$!
# The supervisor keeps callers waiting until it serves them, once its socket is there.
timeout 20 /bin/sh -c 'until [ -S "$1" ]; do sleep 0.05; done' sh "$XDG_RUNTIME_DIR/qubes/dom0/qrexec-agent" ||
        wrong 'it did not start'
show 'qair --user status'
[ "$status" -eq 0 ] || wrong 'it does not answer'
good 'it runs, and nobody had to be root'

say 'Two sandboxes become domains'
for name in work vault; do
        show "qair --user domain add $name sandbox=bwrap"
        [ "$status" -eq 0 ] || wrong 'this should have succeeded'
done

# A saved file is in force within milliseconds; under load, some more.
timeout 20 /bin/sh -c 'until qair --user status | grep -q "^vault"; do sleep 0.05; done' || wrong 'they are not served'

say 'Who may call what'
tell "$config/policy.d/30-user.policy" 0600 <<'POLICY'
demo.WhoAmI   *  work   vault  allow
POLICY
tell "$config/rpc/demo.WhoAmI" 0700 <<'SERVICE'
#!/bin/sh
echo "I run as $(id -un) on $(cat /proc/sys/kernel/hostname), and $QREXEC_REMOTE_DOMAIN called me"
SERVICE
# What the user has a sandbox do: run its standard input. Only dom0, who is not asked, gets to call it.
tell "$config/rpc/demo.Shell" 0700 <<'SERVICE' >/dev/null
#!/bin/sh
exec /bin/sh
SERVICE
cat >"$folder/inside" <<'SCRIPT'
#!/bin/sh
printf '%s\n' "$2" | qrexec-client-vm --agent-socket "$XDG_RUNTIME_DIR/qubes/dom0/qrexec-agent" "$1" demo.Shell
SCRIPT
chmod 0700 "$folder/inside"
PATH=$folder:$PATH

say 'A call from one sandbox to the other ("inside work": what runs in the sandbox work)'
show "inside work 'qrexec-client-vm vault demo.WhoAmI'"
[ "$output" = 'I run as user on vault, and work called me' ] || wrong 'this is not what the service says'
good 'it ran in the vault, and knew that work called'

say 'A call that no rule allows'
show "inside vault 'qrexec-client-vm work demo.WhoAmI'"
[ "$status" -eq 126 ] || wrong 'the status should be 126'
good 'refused'

say 'What a sandbox sees: its own home, its own sockets, no network, no process but its own'
show "inside vault 'ls -A /home /run/qubes; tail -n +3 /proc/net/dev | cut -d: -f1; ls -d $HOME $XDG_RUNTIME_DIR 2>&1'"
[[ $output == *'lo'* && $output == *'No such file'* ]] || wrong 'it sees more than that'
good 'nothing of yours'

say 'What has happened'
show 'qair --user domain list'
show 'qair --user log'
[[ $output == *demo.WhoAmI* ]] || wrong 'the calls are not in the log'

kill "$supervisor"
wait "$supervisor" || wrong 'the supervisor did not end well'
supervisor=
good 'stopped; nothing is left'
