#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""qair-policy-cases --lines: the table's evaluations, asked one a line in one process, come out as the table says.

Usage: test-lines.py PROGRAM TABLE
"""

import json
import subprocess
import sys


def is_ascii(value):
    return not isinstance(value, str) or value.isascii()


def same(want, got):
    """Members of the table's result; the message of a fault and quoted characters beyond ASCII need not match (A.2)."""
    if want["outcome"] == "fault":
        return got["outcome"] == "fault" or got.get("message", "").startswith("internal error")
    if want.get("reason") == "fatal":
        return got["outcome"] == "error"
    for name, value in want.items():
        if name == "answers":
            if not all(same(answer, got["answers"][choice]) for choice, answer in value.items()):
                return False
        elif name == "modes":
            if any((got["modes"][mode] == "allow") != (value[mode] == "allow") for mode in value):
                return False
        elif is_ascii(value) and value != got.get(name):
            return False
    return True


def main(program, table_path):
    with open(table_path) as stream:
        table = json.load(stream)
    house = table["inventories"]["house"]
    lines = []
    for i, case in enumerate(table["cases"]):
        # By name, and as it is.
        lines.append(json.dumps({**case, "inventory": house} if i % 2 else case))
    result = subprocess.run(
        [program, "--lines", table_path], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, text=True, check=True
    )
    got = [json.loads(line) for line in result.stdout.splitlines()]
    assert [case["id"] for case in got] == [case["id"] for case in table["cases"]]
    failed = [(case["id"], case["expect"], one) for case, one in zip(table["cases"], got) if not same(case["expect"], one)]
    for identifier, want, one in failed:
        print(f"{identifier}: want {want}, got {one}")
    print(f"{len(got) - len(failed)} of {len(got)} lines are as the table says")
    broken = subprocess.run([program, "--lines", table_path], input="{}\n", stderr=subprocess.DEVNULL, text=True, check=False)
    return 1 if failed or not got or broken.returncode != 2 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
