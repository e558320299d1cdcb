#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# qubes.GetDate answers in the two formats that callers parse byte by byte (protocol specification, 8.1).
# Usage: test-qubes.GetDate.sh PATH-OF-SERVICE
set -u
service=$1
day='[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'
time='[0-9][0-9]:[0-9][0-9]:[0-9][0-9]'
faults=0

# check NAME EXPRESSION BYTES ARGUMENT…: the answer is one line of EXPRESSION and BYTES long, newline included
check() {
        name=$1 expression=$2 bytes=$3
        shift 3
        if ! "$service" "$@" | grep -qx "$expression" || [ "$("$service" "$@" | wc -c)" -ne "$bytes" ]; then
                echo "$name: got $("$service" "$@" | od -c)"
                faults=$((faults + 1))
        fi
}

check 'no argument'           "${day}T${time}+00:00" 26
check 'empty argument'        "${day}T${time}+00:00" 26 ''
check 'nanoseconds'           "${day}T${time},[0-9]\{9\}+00:00" 36 nanoseconds
check 'any other argument'    "${day}T${time},[0-9]\{9\}+00:00" 36 x
check 'an option is no option' "${day}T${time},[0-9]\{9\}+00:00" 36 --help

# UTC and locale C whatever the caller's environment says: half an hour of offset would show in the minutes.
before=$(date +%s)
answer=$(TZ=Asia/Kolkata LC_ALL=fa_IR.UTF-8 "$service")
after=$(date +%s)
then=$(date --date="$answer" +%s)
if [ "$then" -lt "$before" ] || [ "$then" -gt "$after" ]; then
        echo "time zone: got $answer, which is not between $before and $after"
        faults=$((faults + 1))
fi

exit "$((faults > 0))"
