"""SARIF 2.1.0, the format of code scanning: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.

Paths are relative to the working directory, which is the repository where code scanning runs, and columns count code
points, as ``columnKind`` says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import metadata, version
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from pytest_purestate._check.docs import page
from pytest_purestate._check.report import Report
from pytest_purestate._check.report.json import EditObject, FindingObject, objects

__all__ = ["render"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL = {"error": "error", "warning": "warning", "info": "note"}
_RANK = {"high": 90.0, "medium": 60.0, "low": 20.0}


def render(report: Report) -> Iterator[str]:
    """The findings as one SARIF log with one run."""
    items = list(objects(report))
    codes = sorted({item["code"] for item in items})
    driver = {
        "name": "purestate",
        "semanticVersion": version("pytest-purestate"),
        "rules": [_rule(report, code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "the working directory"}}},
        "results": [_result(item, codes.index(item["code"])) for item in items],
    }
    yield json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(report: Report, code: str) -> dict[str, Any]:
    rule = report.rules[code]
    found = page(rule)
    pages = _pages()
    return {
        "id": code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": found.summary},
        "fullDescription": {"text": found.summary},
        "help": {"text": found.body, "markdown": found.body},
        **({"helpUri": f"{pages}/{rule.name}.md"} if pages else {}),
        "defaultConfiguration": {"level": _LEVEL[rule.severity.value]},
    }


@cache
def _pages() -> str:
    """Where the pages of the rules are, if the package names an address for its documentation."""
    urls = metadata("pytest-purestate").get_all("Project-URL") or []
    known = dict(url.split(", ", 1) for url in urls if ", " in url)
    address = str(known.get("Documentation", "")).rstrip("/")
    return f"{address}/rules" if address else ""


def _result(item: FindingObject, rule: int) -> dict[str, Any]:
    text = item["message"] + (f"\n{item['help']}" if item["help"] else "")
    result: dict[str, Any] = {
        "ruleId": item["code"],
        "ruleIndex": rule,
        "level": _LEVEL[item["severity"]],
        "rank": _RANK[item["confidence"]],
        "message": {"text": text},
        "locations": [{"physicalLocation": _location(item["path"], _region(item))}],
        "partialFingerprints": {"purestate/v1": item["fingerprint"]},
    }
    if item["related"]:
        result["relatedLocations"] = [
            {
                "id": number,
                "physicalLocation": _location(
                    place["path"], {"startLine": place["line"], "startColumn": place["column"]}
                ),
                "message": {"text": place["message"]},
            }
            for number, place in enumerate(item["related"])
        ]
    if item["fix"] is not None:
        replacements = [
            {"deletedRegion": _region(edit), "insertedContent": {"text": edit["replacement"]}}
            for edit in item["fix"]["edits"]
        ]
        change = {"artifactLocation": _artifact(item["path"]), "replacements": replacements}
        result["fixes"] = [{"description": {"text": item["fix"]["title"]}, "artifactChanges": [change]}]
    return result


def _location(path: str, region: Mapping[str, int]) -> dict[str, Any]:
    return {"artifactLocation": _artifact(path), "region": region}


def _artifact(path: str) -> dict[str, str]:
    if PurePath(path).is_absolute():
        return {"uri": f"file://{quote(path)}"}
    return {"uri": quote(path), "uriBaseId": "%SRCROOT%"}


def _region(found: FindingObject | EditObject) -> dict[str, int]:
    return {
        "startLine": found["line"],
        "startColumn": found["column"],
        "endLine": found["end_line"],
        "endColumn": found["end_column"],
    }
