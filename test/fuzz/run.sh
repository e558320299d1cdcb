#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh BUILD_DIR SECONDS [NAME…] - fuzz each target, or those named, for SECONDS
#
# New inputs are collected in BUILD_DIR/corpus/NAME, what crashes in BUILD_DIR/crashes/NAME-…: make such a file small
# with -minimize_crash=1, name it for what was wrong, and commit it to test/fuzz/corpus/NAME/ with the fix.
set -uo pipefail

build=$1 seconds=$2
shift 2
source=$(dirname -- "$0")
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

if [ "$#" -eq 0 ]; then
        for program in "$build"/test/fuzz/fuzz-*; do
                if [ -f "$program" ] && [ -x "$program" ]; then
                        name=${program##*/fuzz-}
                        set -- "$@" "$name"
                fi
        done
fi

failed=()
mkdir -p "$build/crashes"
for name; do
        corpus=$build/corpus/$name
        mkdir -p "$corpus"
        # Names of functions would be a symbolizer's, a child for which targets that wait for all of theirs would wait.
        options=(-print_funcs=0 -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1
                -artifact_prefix="$build/crashes/$name-")
        [ -f "$source/$name.dict" ] && options+=(-dict="$source/$name.dict")
        echo "== $name"
        if "$build/test/fuzz/fuzz-$name" "${options[@]}" "$corpus" "$source/corpus/$name" >"$build/crashes/$name.log" 2>&1
        then
                grep -E '^stat::(number_of_executed_units|average_exec_per_sec|new_units_added)' "$build/crashes/$name.log"
        else
                failed+=("$name")
                tail -n 40 "$build/crashes/$name.log"
        fi
done

if [ "${#failed[@]}" -gt 0 ]; then
        echo "failed: ${failed[*]}"
        exit 1
fi
echo "$# targets, none failed"
