#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# deps.sh [--check] [demo|bench|cross|guest] - install what building and testing need, if anything is missing (Debian)
#
# With `demo`, only what building and showing need; with `bench`, what the benchmarks measure beside us. With --check,
# install nothing: the status is 1 if something is missing. Without anything missing it touches no network and takes a
# few hundredths of a second.
set -eu

# dpkg-dev: without it Meson takes lib64 for where Debian's libraries are, and neither ld.so nor pkg-config looks there.
build='meson ninja-build gcc libc6-dev dpkg-dev musl-dev pkg-config libsystemd-dev libseccomp-dev libinih-dev libjson-c-dev
        libpam0g-dev libcmocka-dev scdoc'
# The private world and what is done in it: mount, unshare, setpriv, script, ip, useradd, and a Python for the starter.
world='mount util-linux bsdutils iproute2 procps passwd libpam-modules libpam-runtime python3'
# libclang-rt-dev has the runtimes of the sanitizers and of libFuzzer, llvm the symbolizer that makes reports readable.
# openssh-* and nftables: hosts that call each other, over links that lose packets. graphviz: pictures of policies. git and
# gnupg: what signs with keys of another domain, and another agent that has them.
# softhsm2 and opensc: keys on a token. systemd: systemd-socket-activate, which needs no systemd to run.
check='clang libclang-rt-dev llvm clang-format python3-pytest strace bubblewrap socat openssh-client openssh-server nftables
        graphviz git gnupg python3-gpg softhsm2 opensc systemd'
# Terminals and desktops with a person in front of them; without, their tests are skipped, and no window is built.
person='tmux xvfb xdotool openbox x11-utils dbus dunst libnotify-bin zenity imagemagick libgtk-3-dev at-spi2-core gir1.2-atspi-2.0 python3-gi'
bench='gnupg socat s6 execline sudo openssh-client openssh-server strace'

only_check=
if [ "${1-}" = --check ]; then
        only_check=yes
        shift
fi
case ${1-} in
'') wanted="$build $world $check $person" ;;
demo) wanted="$build $world openssh-client openssh-server" ;;
bench) wanted="$bench" ;;
guest) wanted="qemu-system-x86 debootstrap e2fsprogs debhelper dh-apparmor dpkg-dev libgtk-3-dev" ;;
cross) wanted="meson ninja-build pkg-config gcc-aarch64-linux-gnu qemu-user-static debootstrap" ;;
*)
        echo 'usage: deps.sh [--check] [demo|bench|cross|guest]' >&2
        exit 2
        ;;
esac

# missing: the wanted packages that are not installed, one a line
missing() {
        # dpkg-query complains about packages it has never heard of; those are missing all the same.
        installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null) || true
        for package in $wanted; do
                printf '%s\n' "$installed" | grep -qxF "installed $package" || echo "$package"
        done
}

if ! command -v dpkg-query >/dev/null; then
        echo 'deps: this is not Debian. Needed are, under the names that they have there:' $wanted >&2
        exit 0
fi

packages=$(missing)
[ -n "$packages" ] || exit 0
if [ -n "$only_check" ]; then
        echo 'deps: missing:' $packages
        exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
        echo 'deps: packages are missing, and only root can install them. Run: sudo make deps' >&2
        echo 'deps: that is: apt-get install --no-install-recommends' $packages >&2
        exit 1
fi

export DEBIAN_FRONTEND=noninteractive

# An SSH server is wanted for its program alone: installing it must not start it, now or at the next boot. Where somebody
# has a policy already, that is not ours to change.
case " $(echo $packages) " in
*' openssh-server '*)
        if [ -d /run/systemd/system ] && [ ! -e /usr/sbin/policy-rc.d ]; then
                trap 'rm -f /usr/sbin/policy-rc.d; systemctl --quiet disable ssh.service ssh.socket 2>/dev/null || :' EXIT
                printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
                chmod 0755 /usr/sbin/policy-rc.d
        fi
        ;;
esac

install() {
        apt-get install --yes --quiet=2 --no-install-recommends -o DPkg::Lock::Timeout=120 \
                -o Dpkg::Use-Pty=0 $packages
}

echo 'deps: installing' $packages
# The package lists may be missing or old; they are fetched only if what they say now does not do.
install >/dev/null 2>&1 || { apt-get update --quiet=2 && install; }
