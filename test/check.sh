#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh - everything that a change must pass: what `make check` runs, from the top of the checkout
#
# Two builds: gcc, warnings being errors, for the unit tests, the replay of the fuzzing corpora and the end-to-end tests
# on the installed programs; clang with the address and undefined-behaviour sanitizers for the first two. A step that
# fails does not keep the others from running; the last line adds up what they reported.
set -uo pipefail

gcc_build=${CHECK_BUILD:-build-check}
clang_build=${SANITIZER_BUILD:-build-san}
jobs=${JOBS:-$(nproc)}
reports=$gcc_build/reports
pytest=(/usr/bin/python3 -m pytest --quiet -p no:cacheprovider)
export PYTHONDONTWRITEBYTECODE=1

# An undefined behaviour that is merely printed fails nothing.
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS=detect_stack_use_after_return=1

runs=()

# step NAME REPORT COMMAND…: run COMMAND, which writes REPORT, and remember how it went
step() {
        local name=$1 report=$2 status=0 begin=$SECONDS
        shift 2

        printf '\n== %s\n' "$name"
        rm -f "$report"
        "$@" || status=$?
        printf '== %s: status %d, %d s\n' "$name" "$status" "$((SECONDS - begin))"
        runs+=("$name:$status:$report")
}

# build FOLDER COMPILER OPTION…: configure once, with meson noticing what has changed since
build() {
        local folder=$1 compiler=$2
        shift 2

        [ -f "$folder/build.ninja" ] || CC=$compiler meson setup "$folder" --werror "$@" >"$folder.setup.log" || {
                cat "$folder.setup.log"
                return 1
        }
        rm -f "$folder.setup.log"
        # Quiet but for warnings, which stop it.
        ninja -C "$folder" -j "$jobs" --quiet
}

# build_ahead FOLDER COMPILER OPTION…: the same in the background, with what nobody else wants of the processors; if it
# fails, the step that needs it says so, for it builds what is missing
build_ahead() {
        (
                chrt --idle --pid 0 "$BASHPID"
                build "$@"
        ) >/dev/null 2>&1 &
        ahead=$!
        trap 'kill "$ahead" 2>/dev/null' EXIT
}

build_and_test() {
        build "$@" && meson test -C "$1" --no-rebuild --print-errorlogs --quiet
}

end_to_end() {
        "$PWD/test/world/enter" "$gcc_build" "${pytest[@]}" --junit-xml="$PWD/$1" test/e2e test/conformance/protocol
}

if [ "$(id -u)" -ne 0 ]; then
        echo 'check: the end-to-end tests need root: they make accounts and mounts, in a private namespace' >&2
fi
mkdir -p "$reports"
rm -f "$reports/summary"
export QAIR_BUILD=$PWD/$gcc_build

step gcc "$gcc_build/meson-logs/testlog.json" build_and_test "$gcc_build" gcc
step tools "$reports/tools.xml" "${pytest[@]}" --junit-xml="$reports/tools.xml" test/test_summary.py test/test_bench.py
step world "$reports/world.xml" "${pytest[@]}" --junit-xml="$reports/world.xml" \
        test/e2e/test_world.py test/e2e/test_demo.py
# End-to-end tests wait for each other's processes most of the time.
sanitizers=(clang -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true)
build_ahead "$clang_build" "${sanitizers[@]}"
step e2e "$reports/e2e.xml" end_to_end "$reports/e2e.xml"
wait "$ahead"
trap - EXIT
step sanitizers "$clang_build/meson-logs/testlog.json" build_and_test "$clang_build" "${sanitizers[@]}"

echo
status=0
/usr/bin/python3 test/summary.py "${runs[@]}" | tee "$reports/all" || status=$?
tail -n 1 "$reports/all" >"$reports/summary"
exit "$status"
