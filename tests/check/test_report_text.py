"""Reports as text: what a user reads is compared whole."""

from __future__ import annotations

import textwrap

import pytest

from pytest_purestate._check.model import Finding, Label, Rule, Severity, Span
from pytest_purestate._check.report import Report
from pytest_purestate._check.report.style import Style, wants_colour
from pytest_purestate._check.report.summary import summary
from pytest_purestate._check.report.text import render, render_finding, render_lines, render_statistics
from pytest_purestate._check.source import Source

TRAIN = """\
import jax


def step(key, x):
    k1, k2 = jax.random.split(key)

    noise = jax.random.normal(key, x.shape)
"""


class Files:
    """Sources by path, and labels at the n-th occurrence of a text in them."""

    def __init__(self, **texts: str) -> None:
        self.sources = {name + ".py": Source.from_text(text, name + ".py") for name, text in texts.items()}

    def __call__(self, path: str) -> Source | None:
        return self.sources.get(path)

    def label(self, text: str, says: str = "", nth: int = 1, path: str = "a.py") -> Label:
        source, at = self.sources[path], -1
        for _ in range(nth):
            at = source.text.index(text, at + 1)
        start = len(source.text[:at].encode())
        return Label(Span(start, start + len(text.encode())), says, path)


def shown(
    files: Files, primary: Label, *related: Label, help: str = "", message: str = "what happens"
) -> str:
    return render_finding(Finding("PS103", primary.path, message, primary, related, help), files)


def expect(text: str) -> str:
    return textwrap.dedent(text).strip("\n")


def test_both_places_and_help() -> None:
    files = Files(train=TRAIN)
    assert shown(
        files,
        files.label("key", "used again here", 3, "train.py"),
        files.label("key", "first consumed here", 2, "train.py"),
        help="draw from `k1` or `k2`",
        message="key `key` is used again after `split` consumed it",
    ) == expect(
        """
        PS103 key `key` is used again after `split` consumed it
          --> train.py:7:31
           |
         5 |     k1, k2 = jax.random.split(key)
           |                               --- first consumed here
         7 |     noise = jax.random.normal(key, x.shape)
           |                               ^^^ used again here
           = help: draw from `k1` or `k2`
        """
    )


def test_several_labels_on_one_line() -> None:
    files = Files(a="f(key, key, key)")
    assert shown(
        files, files.label("key", "third", 3), files.label("key", "first", 1), files.label("key", "second", 2)
    ) == expect(
        """
        PS103 what happens
          --> a.py:1:13
           |
         1 | f(key, key, key)
           |   ---  ---  ^^^ third
           |   |    |
           |   |    second
           |   first
        """
    )


def test_labels_that_overlap() -> None:
    files = Files(a="x = f(g(key))")
    assert shown(files, files.label("key", "inner"), files.label("g(key)", "outer")) == expect(
        """
        PS103 what happens
          --> a.py:1:9
           |
         1 | x = f(g(key))
           |       --^^^-
           |       | |
           |       | inner
           |       outer
        """
    )


def test_two_labels_at_one_place() -> None:
    files = Files(a="f(key)")
    assert shown(files, files.label("key", "again"), files.label("key", "before")) == expect(
        """
        PS103 what happens
          --> a.py:1:3
           |
         1 | f(key)
           |   ^^^ before
           |   |
           |   again
        """
    )


def test_labels_without_text() -> None:
    files = Files(a="f(key, key)")
    assert shown(files, files.label("key", "", 2), files.label("key")) == expect(
        """
        PS103 what happens
          --> a.py:1:8
           |
         1 | f(key, key)
           |   ---  ^^^
        """
    )


def test_a_label_in_another_file() -> None:
    files = Files(a="def f(k):\n    return draw(k)\n", b="\n" * 104 + "y = normal(key)\n")
    assert shown(files, files.label("k", "here", 2), files.label("key", "spent here", 1, "b.py")) == expect(
        """
        PS103 what happens
           --> a.py:2:17
            |
          2 |     return draw(k)
            |                 ^ here
           ::: b.py:105:12
            |
        105 | y = normal(key)
            |            --- spent here
        """
    )


def test_a_span_over_lines() -> None:
    files = Files(a="x = f(\n    1,\n\n    2,\n)  # end\n")
    assert shown(files, files.label("f(\n    1,\n\n    2,\n)", "this call")) == expect(
        """
        PS103 what happens
          --> a.py:1:5
           |
         1 | x = f(
           |     ^^
         2 |     1,
           |     ^^
         4 |     2,
           |     ^^
         5 | )  # end
           | ^ this call
        """
    )


def test_a_long_span_shows_its_ends() -> None:
    body = "".join(f"    {n},\n" for n in range(20))
    files = Files(a=f"f(\n{body})\n")
    assert shown(files, files.label(f"f(\n{body})", "this call")) == expect(
        """
        PS103 what happens
          --> a.py:1:1
           |
         1 | f(
           | ^^
         2 |     0,
           |     ^^
        ...
        21 |     19,
           |     ^^^
        22 | )
           | ^ this call
        """
    )


@pytest.mark.parametrize(
    ("code", "under"),
    [
        ("\tf(key)", "      ^^^ here"),
        ("x\t= key", "      ^^^ here"),
        ("'日本' + key", "         ^^^ here"),
        ("'e\u0301' + key", "      ^^^ here"),
        ("'\U0001f600' + key", "       ^^^ here"),
        ("é = key", "    ^^^ here"),
        ("'\x1b[31m' + key", "          ^^^ here"),
    ],
    ids=["tab", "inner tab", "wide", "combining", "emoji", "accent", "escape"],
)
def test_columns_are_terminal_cells(code: str, under: str) -> None:
    files = Files(a=code)
    frame = shown(files, files.label("key", "here")).splitlines()
    assert frame[4] == "   | " + under
    assert "\t" not in frame[3]
    assert "\x1b" not in frame[3]


def test_line_endings_are_not_shown() -> None:
    files = Files(a="x = 1\r\ny = key\r\n")
    assert shown(files, files.label("key", "here")).splitlines()[3:] == [" 2 | y = key", "   |     ^^^ here"]
    files = Files(a="x = 1\ry = key\r")
    assert shown(files, files.label("key", "here")).splitlines()[3:] == [" 2 | y = key", "   |     ^^^ here"]


@pytest.mark.parametrize(("before", "after"), [(500, 500), (0, 500), (500, 0)])
def test_long_lines_are_cut_around_the_label(before: int, after: int) -> None:
    files = Files(a="a" * before + " key " + "b" * after)
    line, under = shown(files, files.label("key", "here")).splitlines()[3:]
    assert len(line) < 160
    assert line[under.index("^^^") :].startswith("key")
    assert ("…" in line[:10], line.endswith("…")) == (before > 0, after > 0)


def test_a_label_longer_than_the_line_that_is_shown() -> None:
    files = Files(a="f(" + "x" * 1_000 + ")")
    line, under = shown(files, files.label("x" * 1_000, "here")).splitlines()[3:]
    assert len(line) < 320
    assert under.endswith("^ here")


def test_places_at_the_end_of_file_and_line() -> None:
    files = Files(a="x = (\n")
    at_end = Label(Span(6, 6), "here", "a.py")
    assert shown(files, at_end).splitlines()[1:] == ["  --> a.py:2:1", "   |", " 2 |", "   | ^ here"]
    line_end = Label(Span(5, 6), "here", "a.py")
    assert shown(files, line_end).splitlines()[1:] == [
        "  --> a.py:1:6",
        "   |",
        " 1 | x = (",
        "   |      ^ here",
    ]


def test_a_finding_about_a_whole_file_has_no_frame() -> None:
    files = Files(a="x = 1\n")
    for path in ("a.py", "gone.py"):
        label = Label(Span(0, 0), "", path)
        assert shown(files, label, help="do this") == (
            f"PS103 what happens\n  --> {path}:1:1\n   = help: do this"
        )


def test_several_lines_of_help() -> None:
    files = Files(a="key")
    assert shown(files, files.label("key"), help="first\nsecond").splitlines()[-2:] == [
        "   = help: first",
        "           second",
    ]


def test_control_characters_do_not_reach_the_terminal() -> None:
    files = Files(a="key")
    text = shown(files, files.label("key", "\x1b[2J"), message="key `\x1b]0;x\x07`\n", help="\x9b1m")
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\x9b" not in text
    assert text.splitlines()[0] == r"PS103 key `\x1b]0;x\x07`\n"


def test_colours_are_on_top_of_the_same_text() -> None:
    import re

    files = Files(a="f(key, key, key)\n")
    finding = Finding(
        "PS103",
        "a.py",
        "m",
        files.label("key", "third", 3),
        (files.label("key", "first"), files.label("key", "second", 2)),
        "h",
    )
    coloured = render_finding(finding, files, Style(colour=True))
    assert "\x1b[1;31m^^^\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render_finding(finding, files)


@pytest.mark.parametrize(
    ("environment", "terminal", "colour"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_when_to_colour(environment: dict[str, str], terminal: bool, colour: bool) -> None:
    import io

    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    assert wants_colour(Stream(), environment) is colour


def test_lists() -> None:
    files = Files(a="f(key, key)\n")
    findings = [
        Finding("PS103", "a.py", "one", files.label("key")),
        Finding("PS101", "a.py", "two", files.label("key", "", 2)),
        Finding("PS101", "gone.py", "three", Label(Span(0, 0), "", "gone.py")),
    ]
    rules = {code: Rule(code, code.lower(), "0.1", Severity.ERROR) for code in ("PS101", "PS103")}
    report = Report(findings, rules, files, Style())
    assert list(render_lines(report)) == [
        "a.py:1:3: PS103 one\n",
        "a.py:1:8: PS101 two\n",
        "gone.py:1:1: PS101 three\n",
    ]
    full = "".join(render(report))
    assert full.count("\n\n") == 3
    assert full.endswith("gone.py:1:1\n\n")
    assert list(render_statistics(report)) == ["2  PS101  ps101\n", "1  PS103  ps103\n"]


def test_summary() -> None:
    label = Label(Span(0, 0), "", "a.py")
    findings = [Finding(code, path, "", label) for code, path in (("PS2", "a"), ("PS1", "a"), ("PS2", "b"))]
    assert summary([], checked=1, skipped=0, failed=0) == "no findings; 1 file checked"
    assert summary(findings, checked=12, skipped=5, failed=1) == (
        "3 findings in 2 files (PS1 1, PS2 2); 12 files checked; 5 skipped that never mention JAX;"
        " 1 could not be checked"
    )
