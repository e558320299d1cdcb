# SPDX-License-Identifier: Apache-2.0
"""The rows of the benchmarks: what was measured, beside what, and whether it is what we aim at."""

import json
import statistics

MET, MISSED = "met", "MISSED"


class Row:
    """One figure. VALUE is in UNIT; RATIO (to what the section says) and TARGET are optional.

    TARGET is (comparison, number), such as ("<=", 2.8), and holds for the ratio if there is one, else for the value.
    A row with a REASON and no value is one that could not be measured.
    """

    def __init__(self, name, value=None, unit="", ratio=None, target=None, reason=None, note=""):
        self.name, self.value, self.unit, self.ratio = name, value, unit, ratio
        self.target, self.reason, self.note = target, reason, note

    @property
    def verdict(self):
        if self.target is None or self.value is None:
            return ""
        comparison, number = self.target
        measured = self.value if self.ratio is None else self.ratio
        good = {"<=": measured <= number, ">=": measured >= number, ">": measured > number}[comparison]
        return MET if good else MISSED

    def cells(self):
        if self.value is None:
            return [self.name, "-", "-", "", "", self.reason or ""]
        target = "%s %s" % (self.target[0], _number(self.target[1])) if self.target else ""
        ratio = "%.2f" % self.ratio if self.ratio is not None else ""
        return [self.name, "%s %s" % (_number(self.value), self.unit), ratio, target, self.verdict, self.note]

    def record(self):
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "ratio": self.ratio,
            "target": list(self.target) if self.target else None,
            "verdict": self.verdict or None,
            "note": self.reason or self.note or None,
        }


class Section:
    """A table: rows measured in the same interleaved rounds. RATIO says what the column of ratios is to."""

    def __init__(self, name, title, ratio=""):
        self.name, self.title, self.ratio = name, title, ratio
        self.rows = []

    def add(self, *arguments, **settings):
        row = Row(*arguments, **settings)
        self.rows.append(row)
        return row

    def show(self):
        table = [["", "median", self.ratio, "target", "", ""]] + [row.cells() for row in self.rows]
        widths = [max(len(cells[i]) for cells in table) for i in range(6)]
        print("\n== %s" % self.title)
        for cells in table:
            line = "  ".join(
                [cells[0].ljust(widths[0])]
                + [cell.rjust(width) for cell, width in zip(cells[1:4], widths[1:4])]
                + [cells[4].ljust(widths[4]), cells[5]]
            )
            print(line.rstrip(), flush=True)


def rounds_ratio(rounds, ours, theirs):
    """The median over ROUNDS (each a dict of figures by name) of what OURS is to THEIRS in the same round."""
    return statistics.median(figures[ours] / figures[theirs] for figures in rounds)


def rounds_median(rounds, name):
    return statistics.median(figures[name] for figures in rounds)


def summary(sections):
    """The last word: what was missed, and how many targets were met."""
    rows = [(section, row) for section in sections for row in section.rows if row.target]
    missed = [(section, row) for section, row in rows if row.verdict == MISSED]
    unknown = [(section, row) for section, row in rows if not row.verdict]
    print()
    for section, row in missed:
        measured = row.value if row.ratio is None else row.ratio
        print(
            "MISSED  %s: %s: %s, target %s %s"
            % (section.name, row.name, _number(measured), row.target[0], _number(row.target[1]))
        )
    for section, row in unknown:
        print("not measured  %s: %s: %s" % (section.name, row.name, row.reason))
    met = len(rows) - len(missed) - len(unknown)
    print("bench: %d targets met, %d MISSED, %d not measured" % (met, len(missed), len(unknown)))


def write(path, sections, machine):
    """The same for programs."""
    records = [
        {"name": section.name, "title": section.title, "rows": [row.record() for row in section.rows]}
        for section in sections
    ]
    with open(path, "w") as file:
        json.dump({"machine": machine, "sections": records}, file, indent=1)
        file.write("\n")


def _number(value):
    if isinstance(value, int) or value >= 1000:
        return "%d" % round(value)
    return "%.3g" % value if value < 10 else "%.1f" % value
