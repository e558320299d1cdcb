#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh OUT - build the Debian package of this checkout and put it into the folder OUT
#
# It is built from a copy: dpkg-buildpackage writes beside and into the source, and the checkout stays as it is.
# DEB_BUILD_OPTIONS=nocheck leaves out the unit tests. Its output is in OUT/build.log.
set -eu

out=$1
checkout=$(dirname "$(realpath "$0")")/../..
needed='debhelper dh-apparmor dpkg-dev libcmocka-dev libgtk-3-dev libinih-dev libjson-c-dev libpam0g-dev libseccomp-dev libsystemd-dev
        meson pkg-config scdoc'

missing=
for package in $needed; do
        [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
                missing="$missing $package"
done
if [ -n "$missing" ]; then
        echo "build: missing:$missing" >&2
        echo "build: install them: apt-get install --no-install-recommends$missing" >&2
        exit 1
fi

mkdir -p "$out"
out=$(realpath "$out")
work=$(mktemp -d "${TMPDIR:-/var/tmp}/qair-package.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

mkdir "$work/qair"
tar -C "$checkout" --exclude='./build*' --exclude='./obj-*' --exclude=./.git --exclude=./debian/qair --exclude=./debian/qair-desktop -c . |
        tar -C "$work/qair" -x
(cd "$work/qair" && DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS-} parallel=$(nproc)" dpkg-buildpackage -us -uc -b) \
        >"$out/build.log" 2>&1 || {
        tail -n 30 "$out/build.log" >&2
        exit 1
}
rm -f "$out"/qair*.deb "$out"/qair_*.changes "$out"/qair_*.buildinfo
mv "$work"/qair*.deb "$work"/qair_*.changes "$work"/qair_*.buildinfo "$out"
ls "$out"/qair_*.deb
