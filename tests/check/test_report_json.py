from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_purestate._check.model import (
    Applicability,
    Confidence,
    Edit,
    Finding,
    Fix,
    Label,
    Rule,
    Severity,
    Span,
)
from pytest_purestate._check.report import Report
from pytest_purestate._check.report.fingerprint import Fingerprints
from pytest_purestate._check.report.json import render, render_lines, render_statistics
from pytest_purestate._check.report.sources import Sources
from pytest_purestate._check.report.style import Style
from pytest_purestate._check.source import Source

RULES = {"PS101": Rule("PS101", "key-reuse", "0.1", Severity.ERROR)}
TEXT = "x = 'ä'; f(key, key)\n"


def source_of(path: str) -> Source | None:
    return Source.from_text(TEXT, "a.py") if path == "a.py" else None


def report(*findings: Finding) -> Report:
    return Report(findings, RULES, source_of, Style())


def at(text: str, nth: int = 0) -> Span:
    data = TEXT.encode()
    start = [i for i in range(len(data)) if data.startswith(text.encode(), i)][nth]
    return Span(start, start + len(text.encode()))


FINDING = Finding(
    "PS101",
    "a.py",
    "key `key` is used again",
    Label(at("key", 1), "again", "a.py"),
    (Label(at("key"), "first", "a.py"), Label(Span(0, 0), "made", "gone.py")),
    "split it",
    Confidence.MEDIUM,
    Fix("split", (Edit(at("key", 1), "sub"),), Applicability.UNSAFE),
    "f",
)


def test_the_contract() -> None:
    (item,) = json.loads("".join(render(report(FINDING))))
    fingerprint = item.pop("fingerprint")
    assert item == {
        "code": "PS101",
        "name": "key-reuse",
        "message": "key `key` is used again",
        "path": "a.py",
        "line": 1,
        "column": 17,
        "end_line": 1,
        "end_column": 20,
        "confidence": "medium",
        "severity": "error",
        "related": [
            {"path": "a.py", "line": 1, "column": 12, "message": "first"},
            {"path": "gone.py", "line": 1, "column": 1, "message": "made"},
        ],
        "help": "split it",
        "fix": {
            "title": "split",
            "applicability": "unsafe",
            "edits": [{"line": 1, "column": 17, "end_line": 1, "end_column": 20, "replacement": "sub"}],
        },
        "cell": None,
    }
    assert list(item) == [
        "code", "name", "message", "path", "line", "column", "end_line", "end_column", "confidence", "severity",
        "related", "help", "fix", "cell",
    ]  # fmt: skip
    assert len(fingerprint) == 32
    assert int(fingerprint, 16)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_array_and_lines_hold_the_same(count: int) -> None:
    array = json.loads("".join(render(report(*[FINDING] * count))))
    lines = [json.loads(line) for line in render_lines(report(*[FINDING] * count))]
    assert array == lines
    assert len(array) == count


def test_a_finding_without_source_and_fix() -> None:
    finding = Finding("PS101", "gone.py", "no", Label(Span(5, 9), "", "gone.py"))
    (item,) = json.loads("".join(render(report(finding))))
    assert (item["line"], item["column"], item["end_line"], item["end_column"]) == (1, 1, 1, 1)
    assert item["fix"] is None
    assert item["related"] == []


def test_output_is_ascii() -> None:
    finding = Finding("PS101", "ä.py", "日", Label(Span(0, 0), "", "ä.py"))
    text = "".join(render(report(finding)))
    assert text.isascii()
    assert json.loads(text)[0]["message"] == "日"


def test_statistics() -> None:
    assert json.loads("".join(render_statistics(report(FINDING, FINDING)))) == [
        {"code": "PS101", "name": "key-reuse", "count": 2}
    ]


def fingerprints(root: Path, text: str, *, path: str = "sub/a.py", scope: str = "f") -> list[str]:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    source = Source.read(file, path)
    starts = [i for i in range(len(text)) if text.startswith("draw", i)]
    given = Fingerprints(lambda _: source)
    return [
        given.of(
            Finding(
                "PS101", str(file), "m", Label(Span(i, text.index(")", i) + 1), "", str(file)), scope=scope
            )
        )
        for i in starts
    ]


def test_fingerprints_survive_moved_lines_and_layout(tmp_path: Path) -> None:
    (before,) = fingerprints(tmp_path, "x = draw(key, 1)\n")
    assert fingerprints(tmp_path, "import jax\n\n\nx =  draw(key,\n    1)\n") == [before]
    assert fingerprints(tmp_path, "x = draw(key, 2)\n") != [before]
    assert fingerprints(tmp_path, "x = draw(key, 1)\n", scope="g") != [before]
    assert fingerprints(tmp_path, "x = draw(key, 1)\n", path="sub/b.py") != [before]


def test_equal_findings_are_told_apart_by_their_order(tmp_path: Path) -> None:
    (once,) = fingerprints(tmp_path, "draw(key)\n")
    first, second = fingerprints(tmp_path, "draw(key)\ndraw(key)\n")
    assert first == once
    assert second != first


def test_fingerprints_do_not_depend_on_where_the_command_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "sub").mkdir(parents=True)
    (project / "pyproject.toml").touch()
    (project / "sub" / "pyproject.toml").touch()
    file = project / "sub" / "a.py"
    file.write_text("draw(key)\n", encoding="utf-8")
    found = set()
    for directory, path in ((project, "sub/a.py"), (project / "sub", "a.py"), (tmp_path, "project/sub/a.py")):
        monkeypatch.chdir(directory)
        finding = Finding("PS101", path, "m", Label(Span(0, 9), "", path))
        found.add(Fingerprints(Sources()).of(finding))
    assert len(found) == 1


def test_sources_forget_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(100):
        (tmp_path / f"{number}.py").write_text(f"x = {number}", encoding="utf-8")
    sources = Sources({"shown": tmp_path / "7.py"}, {"<stdin>": b"x = 'in'"})
    for number in (*range(100), *range(100)):
        source = sources(f"{number}.py")
        assert source is not None
        assert source.text == f"x = {number}"
    shown, stdin = sources("shown"), sources("<stdin>")
    assert shown is not None
    assert stdin is not None
    assert (shown.text, stdin.text) == ("x = 7", "x = 'in'")
    assert [sources(path) for path in ("none.py", ".", "\0")] == [None, None, None]
