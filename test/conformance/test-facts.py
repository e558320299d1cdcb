#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""test-facts.py FACTS TOP [--list] - does each fact of protocol-facts.txt have a test that names it?

A test names a fact by its number, in its name (test_A14_A15_chunks, test_A108_to_A112_configuration), in that of one of its
cases ("A20: 160 bytes") or in a comment. --list shows where.
"""

import glob
import os
import re
import sys

# Where tests are about this protocol. In other folders A63 may mean anything.
TESTS = ["test/e2e/test_*.py", "test/conformance/protocol/*.py"] + [
    "src/%s/test-*.c" % folder for folder in ("agent", "client", "daemon", "data", "vchan", "wire")
]
FACT = re.compile(r"^A(\d+) \S")
# Letters and digits beside it would make it something else; an underscore is what names have for a blank.
NAME = re.compile(r"(?<![A-Za-z0-9])A(\d{2,3})(?:_to_A(\d{2,3}))?(?![A-Za-z0-9])")


def facts(path):
    with open(path) as file:
        found = [FACT.match(line) for line in file if line.startswith("A")]
    return [int(match.group(1)) for match in found]


def named(top):
    """The places, as PATH:LINE, by the number that is named there."""
    places = {}
    for pattern in TESTS:
        for path in sorted(glob.glob(os.path.join(top, pattern))):
            with open(path) as file:
                for number, line in enumerate(file, 1):
                    for match in NAME.finditer(line):
                        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
                        for fact in range(first, last + 1):
                            places.setdefault(fact, []).append("%s:%d" % (os.path.relpath(path, top), number))
    return places


def main(path, top, *options):
    known, places = facts(path), named(top)
    if "--list" in options:
        for fact in known:
            print("A%02d %s" % (fact, " ".join(places.get(fact, ["-"]))))
    missing = [fact for fact in known if fact not in places]
    unknown = sorted(set(places) - set(known))
    for fact in missing:
        print("%s: A%02d: no test names it" % (path, fact))
    for fact in unknown:
        print("%s: there is no fact A%02d" % (places[fact][0], fact))
    print("%d facts, %d without a test" % (len(known), len(missing)))
    return 1 if not known or missing or unknown else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
