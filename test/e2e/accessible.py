#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What a screen reader is told of the windows on this desktop, one object in JSON for each thing in them. With --check: could
it be found out?
"""
import json
import os
import sys

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi  # noqa: E402  the version has to be chosen first


def things(node, window):
    if node is None:
        return
    states = node.get_state_set()
    labels = [relation.get_target(i).get_name() for relation in node.get_relation_set()
              if relation.get_relation_type() == Atspi.RelationType.LABELLED_BY
              for i in range(relation.get_n_targets())]
    print(json.dumps({"window": window, "role": node.get_role_name(), "name": node.get_name(), "labels": labels,
                      "description": node.get_description(),
                      "sensitive": states.contains(Atspi.StateType.SENSITIVE),
                      "shown": states.contains(Atspi.StateType.SHOWING),
                      "focused": states.contains(Atspi.StateType.FOCUSED)}))
    for i in range(node.get_child_count()):
        things(node.get_child_at_index(i), window)


def main():
    if sys.argv[1:] == ["--check"]:
        return 0 if os.path.exists("/usr/share/dbus-1/services/org.a11y.Bus.service") else 1
    desktop = Atspi.get_desktop(0)
    for i in range(desktop.get_child_count()):
        application = desktop.get_child_at_index(i)
        for k in range(application.get_child_count() if application else 0):
            window = application.get_child_at_index(k)
            if window:
                things(window, window.get_name())
    return 0


if __name__ == "__main__":
    sys.exit(main())
