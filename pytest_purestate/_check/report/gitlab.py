"""GitLab's Code Quality report: an array of issues, of which a merge request shows those that are new.

The format is that of https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from pytest_purestate._check.report import Report
from pytest_purestate._check.report.json import objects

__all__ = ["render"]

_SEVERITY = {"error": "major", "warning": "minor", "info": "info"}


def render(report: Report) -> Iterator[str]:
    """The findings as a Code Quality report."""
    issues = [
        {
            "description": f"{found['code']} {found['message']}",
            "check_name": found["code"],
            "fingerprint": found["fingerprint"],
            "severity": _SEVERITY[found["severity"]],
            "location": {
                "path": found["path"],
                "positions": {
                    "begin": {"line": found["line"], "column": found["column"]},
                    "end": {"line": found["end_line"], "column": found["end_column"]},
                },
            },
        }
        for found in objects(report)
    ]
    yield json.dumps(issues, indent=2) + "\n"
