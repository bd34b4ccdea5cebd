"""Annotations of GitHub Actions: workflow commands, which the runner turns into notes beside the lines.

The command and its escapes are those of https://docs.github.com/actions/reference/workflow-commands-for-github-actions.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.report import Report
from pytest_purestate._check.report.json import objects

__all__ = ["render"]

_LEVEL = {"error": "error", "warning": "warning", "info": "notice"}


def render(report: Report) -> Iterator[str]:
    """A workflow command for each finding."""
    for found in objects(report):
        properties = {
            "title": f"{found['code']} ({found['name']})",
            "file": found["path"],
            "line": str(found["line"]),
            "col": str(found["column"]),
            "endLine": str(found["end_line"]),
            "endColumn": str(found["end_column"]),
        }
        if found["end_line"] != found["line"]:  # columns count within one line only
            del properties["col"], properties["endColumn"]
        given = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
        place = f"{found['path']}:{found['line']}:{found['column']}"
        text = f"{place}: {found['code']} {found['message']}"
        yield f"::{_LEVEL[found['severity']]} {given}::{_data(text)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
