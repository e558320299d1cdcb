#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh [DEB] - does the Debian package do what it should, on a machine with systemd? (root)
#
# Builds the package unless DEB is one, and boots a minimal Debian 12 in systemd-nspawn, without a network: installs it
# there, follows the README, calls, upgrades during a call, boots again, calls again, purges. inside.sh is what runs in
# there. What was downloaded for it, a root file system of 250 MB, stays in the folder CACHE for the next time; all else
# is gone at the end, but for the logs in CACHE/logs.
set -euo pipefail

CACHE=${CACHE:-/var/tmp/qair-rootfs}
MIRROR=${MIRROR:-http://deb.debian.org/debian}
BOOT_TIMEOUT_SEC=300
here=$(dirname "$(realpath "$0")")
readme=$here/../../README.md

# What the package depends on and what the check uses, so that installing needs no network.
rootfs_packages=adduser,apparmor,dbus,libinih1,libjson-c5,libpam-modules,libpam-runtime,libpam-systemd,libseccomp2
rootfs_packages+=,libsystemd0,openssh-client,passwd,procps,systemd,systemd-sysv

die() {
        printf 'check-package: %s\n' "$1" >&2
        exit 1
}

[ "$(id -u)" -eq 0 ] || die 'this needs root: it boots a system'
for tool in debootstrap systemd-nspawn lintian; do
        command -v "$tool" >/dev/null ||
                die "there is no $tool: apt-get install --no-install-recommends debootstrap systemd-container lintian"
done

mkdir -p "$CACHE/logs"
CACHE=$(realpath "$CACHE")
# Two at once would share the logs.
exec 9>"$CACHE/lock"
flock --nonblock 9 || die "another one runs with CACHE=$CACHE"
work=$(mktemp -d "$CACHE/run.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

deb=${1-}
if [ -z "$deb" ]; then
        echo '== build'
        deb=$("$here/build.sh" "$work/package")
        lintian --allow-root --fail-on error "$work"/package/*.changes
fi

rootfs=$CACHE/bookworm
if [ "$(cat "$rootfs/etc/.complete" 2>/dev/null)" != "$rootfs_packages" ]; then
        echo "== debootstrap (once; $rootfs)"
        rm -rf "$rootfs"
        debootstrap --variant=minbase --include="$rootfs_packages" bookworm "$rootfs" "$MIRROR" \
                >"$CACHE/logs/debootstrap.log" 2>&1 || die "debootstrap failed: see $CACHE/logs/debootstrap.log"
        echo "$rootfs_packages" >"$rootfs/etc/.complete"
fi

root=$work/root
cp -a --reflink=auto "$rootfs" "$root"
mkdir "$root/check"
cp "$deb" "$root/check/qair.deb"
cp "$here/inside.sh" "$root/check/"
# The README's own words are what is tried: the second block of its section, the first being how to get the package.
awk '/^## / { section = /A first call on a real machine/; block = 0 }
     section && /^```/ { inside = !inside; block += inside; next }
     section && inside && block == 2' "$readme" >"$root/check/first-call.sh"
[ -s "$root/check/first-call.sh" ] || die 'the README has no first call any more'
echo qair-check >"$root/etc/hostname"
: >"$root/etc/machine-id"
cat >"$root/etc/systemd/system/check.service" <<'UNIT'
[Unit]
After=dbus.service systemd-logind.service qair.service
[Service]
ExecStart=/bin/bash /check/inside.sh
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=append:/check/log
StandardError=append:/check/log
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../check.service "$root/etc/systemd/system/multi-user.target.wants/check.service"

status=0
for stage in first second; do
        echo "== $stage boot"
        echo "$stage" >"$root/check/stage"
        rm -f "$root/check/finished"
        timeout --kill-after=10 "$BOOT_TIMEOUT_SEC" systemd-nspawn --quiet --directory="$root" --boot --register=no \
                --keep-unit --private-network --console=pipe </dev/null >"$CACHE/logs/console-$stage" 2>&1 ||
                { echo "not ok - $stage boot: the system did not end by itself" >>"$root/check/result"; }
        [ -e "$root/check/finished" ] || echo "not ok - $stage boot: the check came to its end" >>"$root/check/result"
        cp "$root/check/log" "$CACHE/logs/inside" || true
        [ -e "$root/check/finished" ] || break
done

cat "$root/check/result"
passed=$(grep -c '^ok' "$root/check/result" || true)
failed=$(grep -c '^not ok' "$root/check/result" || true)
[ "$failed" -eq 0 ] || { status=1; echo "see $CACHE/logs"; }
printf '%d passed, %d failed\n' "$passed" "$failed"
exit "$status"
