#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Add up what test runs reported: summary.py NAME:STATUS:REPORT…

REPORT is meson's testlog.json or a JUnit file (.xml) as pytest writes it, STATUS the exit status of the run that should
have written it. Prints what failed or was skipped, then as the last line `N passed, N failed`; the status is 0 only if
nothing failed and something passed.

What cannot be counted is a failure: a report that is missing or unreadable, one without a test in it, and a run that
failed although none of its tests did (it crashed, or was stopped half way).
"""

import json
import sys
import xml.etree.ElementTree

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

# The words of meson's testlog.json; any other is a failure.
MESON_RESULTS = {"OK": PASSED, "EXPECTEDFAIL": PASSED, "SKIP": SKIPPED, "IGNORED": SKIPPED}


def read_meson(path):
    """One JSON object a line, one line a test."""
    with open(path) as file:
        for line in file:
            test = json.loads(line)
            yield test["name"], MESON_RESULTS.get(test["result"], FAILED)


def read_junit(path):
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = "%s::%s" % (case.get("classname"), case.get("name"))
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, FAILED
        elif case.find("skipped") is not None:
            yield name, SKIPPED
        else:
            yield name, PASSED


def read(path):
    return list(read_junit(path) if path.endswith(".xml") else read_meson(path))


def count(run, status, path):
    """The results of one run: a list of (name, result) pairs, never empty."""
    try:
        results = read(path)
    except (OSError, ValueError, KeyError, TypeError, xml.etree.ElementTree.ParseError) as error:
        return [("%s: no usable report: %s" % (run, error), FAILED)]
    if not results:
        return [("%s: its report has no test in it" % run, FAILED)]
    results = [("%s: %s" % (run, name), result) for name, result in results]
    if status != 0 and not any(result == FAILED for _, result in results):
        results.append(("%s: ended with status %d although no test failed" % (run, status), FAILED))
    return results


def main(arguments):
    if not arguments:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    results = []
    for argument in arguments:
        run, status, path = argument.split(":", 2)
        results += count(run, int(status), path)

    for kind in (SKIPPED, FAILED):
        for name, result in results:
            if result == kind:
                print("%s: %s" % (kind, name))
    n_passed = sum(result == PASSED for _, result in results)
    n_failed = sum(result == FAILED for _, result in results)
    print("%d passed, %d failed" % (n_passed, n_failed))
    return 0 if n_passed and not n_failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
