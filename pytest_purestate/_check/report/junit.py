"""JUnit XML: a suite for each file, a failed case for each finding, a passed one for a file without."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from pytest_purestate._check.report import Report
from pytest_purestate._check.report.json import FindingObject, objects
from pytest_purestate._check.report.text import render_finding

__all__ = ["render"]

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write."""


def render(report: Report) -> Iterator[str]:
    """The findings as one XML document."""
    found: dict[str, list[tuple[FindingObject, str]]] = {path: [] for path in report.files}
    for finding, item in zip(report.findings, objects(report), strict=True):
        found.setdefault(item["path"], []).append((item, render_finding(finding, report.sources)))
    failures, tests = (sum(max(len(items), least) for items in found.values()) for least in (0, 1))
    root = ElementTree.Element("testsuites", name="purestate", tests=str(tests), failures=str(failures))
    for path, items in found.items():
        suite = ElementTree.SubElement(
            root, "testsuite", name=_clean(path), package="purestate", errors="0",
            tests=str(max(len(items), 1)), failures=str(len(items)),
        )  # fmt: skip
        for item, text in items:
            case = ElementTree.SubElement(
                suite, "testcase", name=item["code"], classname=_clean(path), file=_clean(path),
                line=str(item["line"]),
            )  # fmt: skip
            failure = ElementTree.SubElement(
                case, "failure", message=_clean(item["message"]), type=item["severity"]
            )
            failure.text = _clean(text)
        if not items:
            ElementTree.SubElement(suite, "testcase", name="purestate", classname=_clean(path))
    ElementTree.indent(root)
    yield '<?xml version="1.0" encoding="utf-8"?>\n'
    yield ElementTree.tostring(root, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
