"""The formats that other programs read: each is read back by its own kind of reader."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree

import jsonschema
import pytest

from pytest_purestate._check.model import Finding, Label, Rule, Severity, Span
from pytest_purestate._check.registry import rules_by_code
from pytest_purestate._check.report import FORMATS, Report, render
from pytest_purestate._check.report import sarif as sarif_report
from pytest_purestate._check.report.style import Style
from pytest_purestate._check.source import Source
from pytest_purestate.cli import main

TRAIN = """\
import jax
import jax.numpy as jnp


def step(key, x):
    grün = jax.random.normal(key, x.shape)
    return grün + jax.random.normal(key, x.shape)


def clear(n):
    x = jnp.zeros(n)
    x[0] = 1.0
    return x
"""

SCHEMA = json.loads(Path(__file__).with_name("sarif-2.1.0.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    Path("a b").mkdir()
    Path("a b/train.py").write_text(TRAIN, encoding="utf-8")
    Path("clean.py").write_text("import jax\n", encoding="utf-8")


def report(capsys: pytest.CaptureFixture[str], form: str, *arguments: str) -> str:
    status = main(["check", "--isolated", "--jobs=0", f"--output-format={form}", *arguments])
    assert status in (0, 1)
    out, err = capsys.readouterr()
    machine = FORMATS[form].machine
    assert ("checked" in err) is machine
    assert ("files checked" in out or "file checked" in out) is not machine
    return out


def test_every_format_is_one_and_has_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[2].joinpath("docs/output-formats.md").read_text(encoding="utf-8")
    for name in FORMATS:
        assert report(capsys, name)
        assert f"`{name}`" in page
        report(capsys, name, "clean.py")


# --- SARIF ---------------------------------------------------------------------------------


def sarif(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(report(capsys, "sarif", *arguments))
    jsonschema.validate(log, SCHEMA)
    return log


def test_sarif_is_valid_and_says_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = sarif(capsys)["runs"]
    reuse, clear = run["results"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["PS101", "PS201"]
    assert [rules[result["ruleIndex"]]["id"] for result in (reuse, clear)] == ["PS101", "PS201"]
    assert rules[0]["name"] == "KeyReuse"
    assert rules[0]["shortDescription"]["text"].startswith("Reports ")
    assert "```python" in rules[0]["help"]["markdown"]
    assert reuse["level"] == "error"
    assert reuse["message"]["text"].startswith("key `key` is used again")
    place = reuse["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "a%20b/train.py", "uriBaseId": "%SRCROOT%"}
    # Columns count code points: the line has a letter of two bytes before the place.
    assert place["region"] == {"startLine": 7, "startColumn": 37, "endLine": 7, "endColumn": 40}
    (first,) = reuse["relatedLocations"]
    assert first["physicalLocation"]["region"]["startLine"] == 6
    assert first["message"]["text"] == "first consumed here"
    assert re.fullmatch("[0-9a-f]{32}", reuse["partialFingerprints"]["purestate/v1"])
    (fix,) = clear["fixes"]
    ((replacement,),) = [change["replacements"] for change in fix["artifactChanges"]]
    assert replacement["insertedContent"]["text"] == "x = x.at[0].set(1.0)"
    assert replacement["deletedRegion"]["startLine"] == 12


def test_sarif_of_nothing_and_of_a_file_that_cannot_be_parsed(capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = sarif(capsys, "clean.py")["runs"]
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])
    Path("broken.py").write_text("import jax\ndef (\n", encoding="utf-8")
    (run,) = sarif(capsys, "broken.py")["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["PS001"]


@pytest.mark.parametrize(
    ("urls", "address"),
    [
        (
            ["Documentation, https://purestate.example/docs/"],
            "https://purestate.example/docs/rules/key-reuse.md",
        ),
        (["Source, https://purestate.example/"], None),
        (None, None),
    ],
)
def test_sarif_names_the_pages_where_the_package_has_an_address(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    urls: list[str] | None,
    address: str | None,
) -> None:
    message = Message()
    for url in urls or ():
        message["Project-URL"] = url
    monkeypatch.setattr(sarif_report, "metadata", lambda name: message)
    sarif_report._pages.cache_clear()
    (run,) = sarif(capsys)["runs"]
    sarif_report._pages.cache_clear()
    assert run["tool"]["driver"]["rules"][0].get("helpUri") == address


def test_sarif_outside_of_the_working_directory(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    inside = tmp_path / "a b" / "below"
    inside.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(inside)
        (run,) = sarif(capsys, str(tmp_path / "a b" / "train.py"))["runs"]
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert Path(unquote(urlparse(uri).path)) == tmp_path / "a b" / "train.py"


# --- the others ----------------------------------------------------------------------------


def test_github(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = report(capsys, "github").splitlines()
    assert first == (
        "::error title=PS101 (key-reuse),file=a b/train.py,line=7,col=37,endLine=7,endColumn=40::"
        "a b/train.py:7:37: PS101 key `key` is used again after `normal` consumed it"
    )
    assert second.startswith("::error title=PS201 (inplace-array-update),file=a b/train.py,line=12,")


def test_github_escapes_what_would_end_a_command() -> None:
    label = Label(Span(0, 9), "", "a,b:c%.py")
    finding = Finding("PS101", "a,b:c%.py", "50% of\r\nthem::", label, severity=Severity.INFO)
    rules = {"PS101": Rule("PS101", "key-reuse", "0.1", Severity.ERROR)}
    source = Source.from_text("x = 1\ny = 2\n", "a,b:c%.py")
    (line,) = "".join(render("github", Report([finding], rules, lambda _: source, Style()))).splitlines()
    assert line == (
        "::notice title=PS101 (key-reuse),file=a%2Cb%3Ac%25.py,line=1,endLine=2::"
        "a,b:c%25.py:1:1: PS101 50%25 of%0D%0Athem::"
    )


def test_gitlab(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = json.loads(report(capsys, "gitlab"))
    assert first["check_name"] == "PS101"
    assert first["description"] == "PS101 key `key` is used again after `normal` consumed it"
    assert first["severity"] == "major"
    assert first["location"]["path"] == "a b/train.py"
    assert first["location"]["positions"]["begin"] == {"line": 7, "column": 37}
    assert first["fingerprint"] != second["fingerprint"]
    assert json.loads(report(capsys, "gitlab", "clean.py")) == []


def test_junit(capsys: pytest.CaptureFixture[str]) -> None:
    root = ElementTree.fromstring(report(capsys, "junit"))
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "3", "2")
    suites = {suite.get("name"): list(suite) for suite in root}
    assert list(suites) == ["clean.py", "a b/train.py"] or list(suites) == ["a b/train.py", "clean.py"]
    reuse, clear = suites["a b/train.py"]
    assert (reuse.get("name"), reuse.get("classname"), reuse.get("line")) == ("PS101", "a b/train.py", "7")
    failure = reuse.find("failure")
    assert failure is not None
    assert failure.get("message") == "key `key` is used again after `normal` consumed it"
    assert "first consumed here" in (failure.text or "")
    assert clear.find("failure") is not None
    (passed,) = suites["clean.py"]
    assert passed.find("failure") is None


def test_junit_is_xml_whatever_the_code_says() -> None:
    finding = Finding("PS101", "a\x00&<.py", "a \x1b[0m ]]> \ud800", Label(Span(0, 0), "", "a\x00&<.py"))
    rules = {"PS101": Rule("PS101", "key-reuse", "0.1", Severity.ERROR)}
    text = "".join(render("junit", Report([finding], rules, lambda _: None, Style())))
    case = ElementTree.fromstring(text).find("testsuite/testcase/failure")
    assert case is not None
    assert case.get("message") == "a \ufffd[0m ]]> \ufffd"


# --- where it goes -------------------------------------------------------------------------


def test_a_report_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--isolated", "--jobs=0", "--output-format=sarif", "-o", "out.sarif"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("2 findings in 1 file (PS101 1, PS201 1); 2 files checked")
    assert err == ""
    jsonschema.validate(json.loads(Path("out.sarif").read_text(encoding="utf-8")), SCHEMA)
    assert main(["check", "--isolated", "--jobs=0", "--output-file", "out.txt"]) == 1
    text = Path("out.txt").read_text(encoding="utf-8")
    assert "grün + jax.random.normal(key, x.shape)" in text
    assert "\x1b" not in text


def test_a_report_in_a_file_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--isolated", "--jobs=0", "-o", "no/such/out.txt"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "purestate: no/such/out.txt: cannot be written: no such file or directory\n"


COLOURS: list[tuple[dict[str, str], bool]] = [
    ({}, False),
    ({"FORCE_COLOR": "1"}, True),
    ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
]


@pytest.mark.parametrize(("environment", "coloured"), COLOURS)
def test_colours_only_where_they_are_wanted(environment: dict[str, str], coloured: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest_purestate", "check", "--isolated"],
        env={**os.environ, **environment}, capture_output=True,
    )  # fmt: skip
    assert (b"\x1b[" in done.stdout) is coloured


def test_the_rules_of_a_report_are_those_of_the_registry() -> None:
    assert {"PS001", "PS101"} <= rules_by_code().keys()
