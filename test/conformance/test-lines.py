#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""qair-policy-cases --lines: the table's evaluations, asked one a line in one process, come out as the table says.

Usage: test-lines.py PROGRAM TABLE [CASES]

CASES (default: twice the table) are the table's, again and again, each time in another form that means the same: the
inventory by its name, in the line, in another order, with members that nobody knows; and with rules about a service that
nobody calls. One process answers them all, and does not grow.
"""

import itertools
import json
import random
import subprocess
import sys
import threading

# The process has seen every case by then. What a longer run adds is a leak.
WARM_UP_ROUNDS = 3
GROWTH_MAX_KIB = 1024


def is_ascii(value):
    return not isinstance(value, str) or value.isascii()


def same(want, got):
    """Members of the table's result; the message of a fault and quoted characters beyond ASCII need not match (A.2)."""
    if want["outcome"] == "fault":
        return got["outcome"] == "fault"
    if want.get("reason") == "fatal":
        return (got["outcome"], got["reason"]) == ("error", "fatal")
    for name, value in want.items():
        if name == "answers":
            if value.keys() != got["answers"].keys() or not all(same(value[c], got["answers"][c]) for c in value):
                return False
        elif name == "modes":
            if any((got["modes"][mode] == "allow") != (value[mode] == "allow") for mode in value):
                return False
        elif is_ascii(value) and value != got.get(name):
            return False
    return True


def shuffled(inventory, number):
    """The same domains in another order, each with its members in another order, and with some that nobody knows."""
    order = random.Random(number)
    domains = list(inventory["domains"].items())
    order.shuffle(domains)
    result = {}
    for name, domain in domains:
        members = list(domain.items()) + [("of-the-future", {"number": number})]
        order.shuffle(members)
        result[name] = dict(members)
    return {"domains": result}


def variation(case, house, number):
    """The case in a form that means the same; the first is the case itself."""
    inventory = [None, house, shuffled(house, number)][number % 3]
    changed = dict(case, id="%s/%d" % (case["id"], number))
    if inventory and case.get("inventory", "house") == "house":
        changed["inventory"] = inventory
    if number % 2 and "etc" not in case.get("absent", ()) and "etc" not in case.get("links", ()):
        rule = "zz.Unrelated-%d * desk web allow\n" % number
        changed["files"] = {**case.get("files", {}), "etc/99-unrelated.policy": rule}
    return changed


def resident(process):
    """Its memory in KiB."""
    with open("/proc/%d/status" % process.pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def variations(table, n_cases):
    """Round by round; with each its number and what the table expects."""
    house = table["inventories"]["house"]
    rounds = ((number, case) for number in itertools.count() for case in table["cases"])
    for number, case in itertools.islice(rounds, n_cases):
        yield number, variation(case, house, number), case["expect"]


def run(program, table_path, n_cases):
    with open(table_path) as stream:
        table = json.load(stream)
    n = n_failed = warm = 0
    measured = threading.Event()  # it ends with its input: until then it is there to be looked at
    with subprocess.Popen(
        [program, "--lines", table_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def write():
            with process.stdin as stream:
                for _, asked, _ in variations(table, n_cases):
                    stream.write(json.dumps(asked) + "\n")
                stream.flush()
                measured.wait()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number, asked, want in variations(table, n_cases):
                got = json.loads(process.stdout.readline())
                n += 1
                if got["id"] != asked["id"] or not same(want, got):
                    n_failed += 1
                    print(f"{asked['id']}: want {want}, got {got}")
                if number == WARM_UP_ROUNDS and not warm:
                    warm = resident(process)
            growth = resident(process) - warm
        finally:
            measured.set()
        writer.join()
        status = process.wait()
    print(f"{n - n_failed} of {n} lines are as the table says" + (f"; memory grew by {growth} KiB" if warm else ""))
    return n_failed == 0 and n > 0 and status == 0 and (not warm or growth <= GROWTH_MAX_KIB)


def main(program, table_path, n_cases=None):
    with open(table_path) as stream:
        n_table = len(json.load(stream)["cases"])
    passed = run(program, table_path, int(n_cases) if n_cases else 2 * n_table)
    broken = subprocess.run([program, "--lines", table_path], input="{}\n", stderr=subprocess.DEVNULL, text=True, check=False)
    return 0 if passed and broken.returncode == 2 and runs_alone(program) else 1


def runs_alone(program):
    """Without arguments: the table's inventory, one in the line, domains that cannot be; and none that anybody knows."""
    case = {"files": {"etc/30-t.policy": "s.Go * a b allow\n"}, "request": {"source": "a", "target": "b", "service": "s.Go"}}
    domain = {"type": "AppVM", "tags": [], "template_for_dispvms": False, "power_state": "Running"}
    domains = {name: {**domain, "uuid": "0000000%d-0000-4000-8000-000000000000" % i} for i, name in enumerate("ab")}
    twice = {name: {**domain, "uuid": domains["a"]["uuid"]} for name in domains}
    cases = [case, {**case, "inventory": {"domains": domains}}, {**case, "inventory": {"domains": twice}}, {**case, "inventory": "no"}]
    result = subprocess.run([program], input="".join(json.dumps(case) + "\n" for case in cases), capture_output=True, text=True, check=False)
    outcomes = [json.loads(line)["outcome"] for line in result.stdout.splitlines()]
    if (result.returncode, outcomes) == (2, ["deny", "allow", "fault"]) and "unknown inventory" in result.stderr:
        return True
    print("alone: status %d, %s %s" % (result.returncode, outcomes, result.stderr))
    return False


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
