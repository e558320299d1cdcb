# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks say of a figure: a target that is missed must never read as met, nor one that was not measured."""

import json
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "bench"))
from syscalls import _events  # noqa: E402
from table import MET, MISSED, Row, Section, rounds_ratio, summary, write  # noqa: E402


@pytest.mark.parametrize(
    "settings, verdict",
    [
        ({"value": 2.8, "target": ("<=", 2.8)}, MET),
        ({"value": 2.81, "target": ("<=", 2.8)}, MISSED),
        ({"value": 0.95, "target": (">=", 0.95)}, MET),
        ({"value": 0.94, "target": (">=", 0.95)}, MISSED),
        ({"value": 1.0, "target": (">", 1.0)}, MISSED),
        ({"value": 1.01, "target": (">", 1.0)}, MET),
        # The target is for the ratio, where there is one.
        ({"value": 1.0, "ratio": 3.0, "target": ("<=", 2.8)}, MISSED),
        ({"value": 9.0, "ratio": 2.0, "target": ("<=", 2.8)}, MET),
        # Zero is a figure.
        ({"value": 0, "target": ("<=", 0)}, MET),
        ({"value": 1, "target": ("<=", 0)}, MISSED),
        ({"value": 1.0}, ""),
        ({"target": ("<=", 2.8), "reason": "not installed"}, ""),
    ],
)
def test_verdict(settings, verdict):
    assert Row("x", **settings).verdict == verdict


def test_ratio_is_taken_within_each_round():
    # The machine is ten times as slow in the second round: that is no difference between the two.
    rounds = [{"a": 2.0, "b": 1.0}, {"a": 20.0, "b": 10.0}, {"a": 3.0, "b": 1.0}]
    assert rounds_ratio(rounds, "a", "b") == 2.0


def test_summary_and_record(capsys, tmp_path):
    section = Section("call", "Calls", "x floor")
    section.add("good", 1.0, "ms", ratio=2.0, target=("<=", 2.8))
    section.add("bad", 1.0, "ms", ratio=3.0, target=("<=", 2.8))
    section.add("absent", target=("<=", 2.8), reason="not available: no such thing")
    section.show()
    summary([section])
    said = capsys.readouterr().out
    assert "MISSED  call: bad: 3, target <= 2.8" in said
    assert "not measured  call: absent: not available: no such thing" in said
    assert said.splitlines()[-1] == "bench: 1 targets met, 1 MISSED, 1 not measured"

    write(tmp_path / "bench.json", [section], "a machine")
    rows = json.loads((tmp_path / "bench.json").read_text())["sections"][0]["rows"]
    assert [row["verdict"] for row in rows] == [MET, MISSED, None]
    assert rows[2]["value"] is None


def test_events_of_a_trace(tmp_path):
    trace = tmp_path / "trace"
    trace.write_text(
        "10 1.000000 read(0, \"\", 1) = 0\n"
        "10 2.000000 write(2, \"a\", 1 <unfinished ...>\n"
        "11 2.100000 close(3) = 0\n"
        "10 2.200000 <... write resumed>) = 1\n"
        "11 2.300000 --- SIGCHLD {si_signo=SIGCHLD} ---\n"
        "11 2.400000 exit_group(0) = ?\n"
        "11 2.500000 +++ exited with 0 +++\n"
        "10 3.000000 epoll_wait(5,  <unfinished ...>\n"
    )
    events = [(event.pid, event.name) for event in _events(trace, begin=1.5)]
    assert events == [(11, "close"), (10, "write"), (11, "exit_group")]
