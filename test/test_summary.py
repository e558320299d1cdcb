# SPDX-License-Identifier: Apache-2.0
"""The count at the end of `make check` can be trusted: nothing that went wrong is counted as well."""

import os
import subprocess
import sys

import pytest

SUMMARY = os.path.join(os.path.dirname(__file__), "summary.py")

MESON_GOOD = '{"name": "a", "result": "OK"}\n{"name": "b", "result": "SKIP"}\n{"name": "c", "result": "OK"}\n'
MESON_BAD = MESON_GOOD + '{"name": "d", "result": "TIMEOUT"}\n'
MESON_CUT = MESON_GOOD + '{"name": "d", "res'
JUNIT_GOOD = '<testsuites><testsuite><testcase classname="m" name="a"/></testsuite></testsuites>'
JUNIT_BAD = (
    '<testsuites><testsuite><testcase classname="m" name="a"><failure/></testcase>'
    '<testcase classname="m" name="b"><error/></testcase><testcase classname="m" name="c"><skipped/></testcase>'
    '<testcase classname="m" name="d"/></testsuite></testsuites>'
)


@pytest.mark.parametrize(
    "reports, last_line",
    [
        ([("x.json", 0, MESON_GOOD)], "2 passed, 0 failed"),
        ([("x.json", 1, MESON_BAD)], "2 passed, 1 failed"),
        ([("x.json", 0, MESON_CUT)], "0 passed, 1 failed"),
        ([("x.json", 0, "")], "0 passed, 1 failed"),
        ([("x.json", 0, None)], "0 passed, 1 failed"),
        ([("x.json", 1, MESON_GOOD)], "2 passed, 1 failed"),
        ([("x.json", 0, '{"name": "a", "result": "A NEW WORD"}')], "0 passed, 1 failed"),
        ([("x.xml", 0, JUNIT_GOOD)], "1 passed, 0 failed"),
        ([("x.xml", 1, JUNIT_BAD)], "1 passed, 2 failed"),
        ([("x.xml", 2, JUNIT_GOOD[:-9])], "0 passed, 1 failed"),
        ([("x.json", 0, MESON_GOOD), ("y.xml", 0, JUNIT_GOOD)], "3 passed, 0 failed"),
        ([("x.json", 0, MESON_GOOD), ("y.xml", 3, None)], "2 passed, 1 failed"),
        ([("x.json", 0, '{"name": "a", "result": "SKIP"}')], "0 passed, 0 failed"),
    ],
)
def test_summary(tmp_path, reports, last_line):
    arguments = []
    for name, status, content in reports:
        if content is not None:
            (tmp_path / name).write_text(content)
        arguments.append("run:%d:%s" % (status, tmp_path / name))
    result = subprocess.run([sys.executable, SUMMARY, *arguments], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == last_line
    all_is_well = last_line.endswith(" 0 failed") and not last_line.startswith("0 passed")
    assert result.returncode == (0 if all_is_well else 1)
