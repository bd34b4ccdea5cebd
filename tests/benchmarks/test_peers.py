"""The comparison with other linters counts what it says, on messages that no linter wrote."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks.peers import programs, tools
from benchmarks.peers.__main__ import Row, render
from benchmarks.peers.programs import FAMILIES, Program
from benchmarks.peers.score import RULES, Message, fitting, score

TABLE = {"R1": frozenset({"PS1"}), "R3": frozenset({"PS3"})}
RIGHT = Program("right", (("right.py", ""),))
KEYS = Program(
    "keys",
    (("keys.py", ""),),
    marks=frozenset({(("keys.py", 4), "K"), (("keys.py", 9), "K")}),
    instead=frozenset({(("keys.py", 20), "K")}),
    neutral=frozenset({("keys.py", 30)}),
)


def fits(code: str) -> frozenset[str]:
    return TABLE.get(code, frozenset())


def at(path: str, line: int, code: str = "R1", end: int | None = None) -> Message:
    return Message(path, line, code, end or line)


def test_a_program_is_found_when_every_line_of_it_is() -> None:
    half = score([KEYS, RIGHT], [at("keys.py", 4)], fits)
    assert (dict(half.programs), half.lines) == ({}, 1)
    assert half.missed == ((("keys.py", 9), "K"),)
    both = score([KEYS, RIGHT], [at("keys.py", 4), at("keys.py", 9)], fits)
    assert (dict(both.programs), both.lines, both.missed, both.wrong) == ({"K": 1}, 2, (), ())
    assert both.rules == {("K", "R1"): 2}


def test_another_place_of_the_same_defect_is_as_good() -> None:
    counted = score([KEYS], [at("keys.py", 20)], fits)
    assert (dict(counted.programs), counted.lines, counted.wrong) == ({"K": 1}, 0, ())


def test_a_rule_that_does_not_fit_the_class_finds_nothing_and_is_not_wrong_there() -> None:
    counted = score(
        [KEYS], [at("keys.py", 4, "R3"), at("keys.py", 4, "D100"), at("keys.py", 5, "D100")], fits
    )
    assert (counted.lines, counted.wrong, counted.unlisted) == (0, (), {"D100": 1})


def test_a_report_on_a_line_without_a_mark_is_wrong() -> None:
    messages = [at("keys.py", 5), at("right.py", 1, "R3"), at("keys.py", 30), at("elsewhere.py", 1)]
    counted = score([KEYS, RIGHT], [*messages, *messages], fits)
    assert counted.wrong == (at("keys.py", 5), at("right.py", 1, "R3"))
    assert counted.in_right == 1


def test_a_report_covers_its_lines_but_no_whole_function() -> None:
    assert score([KEYS], [at("keys.py", 2, end=4)], fits).lines == 1
    assert score([KEYS], [at("keys.py", 1, end=40)], fits).lines == 0


def test_marks_are_read() -> None:
    chosen = {program.name: program for program in (*programs.examples(), *programs.cases())}
    assert chosen["ps101_0_bad"].classes == {"PS1"}
    assert chosen["ps190_0_bad"].classes == frozenset()
    assert chosen["ps190_0_bad"].neutral
    assert not any(program.marks for name, program in chosen.items() if name.endswith(("_good", "_fixed")))
    paths = [path for program in chosen.values() for path, _ in program.files]
    assert len(paths) == len(set(paths)) > len(chosen) > 100


def test_a_corpus_is_read(tmp_path: Path) -> None:
    for name, text in {
        "bugs/1-a/bug.py": "x = 1  # EXPECT: K\ny = 2  # EXPECT-ALT: K\n",
        "bugs/1-a/fixed.py": "x = 1\n",
        "bugs/2-b/bug.py": "x = 1  # EXPECT: D\n",
        "bugs/2-b/fixed.py": "",
        "bugs/2-b/meta.toml": "static = false\n",
        "clean/3-c.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    bug, fixed, clean = programs.corpus(tmp_path)
    assert [bug.name, fixed.name, clean.name] == ["bug_1_a", "fixed_1_a", "clean_3_c"]
    assert bug.marks == {(("bug_1_a/bug_1_a.py", 1), "K")}
    assert bug.instead == {(("bug_1_a/bug_1_a.py", 2), "K")}
    assert not fixed.marks | clean.marks


def test_the_list_of_fitting_rules_is_in_order() -> None:
    with RULES.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, dialect="excel-tab"))
    keys = [(row["tool"], row["code"]) for row in rows]
    assert len(set(keys)) == len(keys)
    assert {tool for tool, _ in keys} <= {tool.name for tool in tools.TOOLS} - {"purestate"}
    assert all(row["reason"] and set(row["families"].split()) <= set(FAMILIES) for row in rows)
    assert fitting("ruff")("T201") == {"PS3"}
    assert fitting("ruff")("D100") == frozenset()
    assert fitting("purestate")("PS101") == {"PS1"}
    assert fitting("purestate")("PS001") == frozenset()


@pytest.mark.parametrize(
    ("tool", "output"),
    [
        ("ruff", '{"filename":"a.py","location":{"row":3},"end_location":{"row":4},"code":"X1"}'),
        ("jaxlint", '[{"path":"a.py","line":3,"end_line":4,"rule_id":"X1"}]'),
        ("pylint", '{"messages":[{"path":"a.py","line":3,"endLine":4,"messageId":"X1"}]}'),
        ("purestate", '{"path":"a.py","line":3,"end_line":4,"code":"X1"}'),
    ],
)
def test_reports_are_read(tool: str, output: str) -> None:
    (parse,) = (each.parse for each in tools.TOOLS if each.name == tool)
    assert list(parse(output)) == [Message("a.py", 3, "X1", 4)]


def test_a_linter_that_is_not_there_has_a_plain_row(tmp_path: Path) -> None:
    (ruff,) = (tool for tool in tools.TOOLS if tool.name == "ruff")
    assert tools.version(ruff, tmp_path, tmp_path) is None
    counted = score([KEYS, RIGHT], [at("keys.py", 4), at("right.py", 1)], fits)
    text = render("made up", [KEYS, RIGHT], [Row("ruff"), Row("pylint", "1.0", counted, ("keys.py",), 2.0)])
    assert "2 programs, 1 of them right; 2 lines to report." in text
    assert "| ruff | not there |" in text
    assert "| pylint | 1.0 | 0/1 | 1/2 | 1 | 1 | 1 | 2.0 |" in text
    assert "| pylint | R1 1 | R1 1 |" in text
