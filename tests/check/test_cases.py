"""The programs of ``cases/*.md``: every finding is marked on its line, and nothing else is found.

A section is one program. Blocks that begin with ``# file: path`` are files of one project; a block without
a path is a file of its own. Where a section says "Low confidence.", all that it marks is found with low confidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_rules import found, marks

from pytest_purestate._check.source import Source

CASES = Path(__file__).parent / "cases"
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LOW = "Low confidence."
FILE = re.compile(r"# file: (\S+)\n")


def cases() -> Iterator[tuple[str, str]]:
    for path in sorted(CASES.glob("*.md")):
        _, *parts = SECTION.split(path.read_text(encoding="utf-8"))
        for title, text in zip(parts[::2], parts[1::2], strict=True):
            yield f"{path.stem}: {title}", text


@pytest.mark.parametrize(("title", "text"), [pytest.param(*case, id=case[0]) for case in cases()])
def test_case(title: str, text: str, tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for number, block in enumerate(BLOCK.findall(text)):
        named = FILE.match(block)
        files[named[1] if named else f"case{number or ''}.py"] = block
    assert files, title
    for name, block in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(block, encoding="utf-8")
    expected = {name: marks(block) for name, block in files.items()}
    opt_in = {code for listed in expected.values() for _, code in listed}

    def actual(least: str) -> dict[str, list[tuple[int, str]]]:
        return {
            name: found(Source.read(tmp_path / name, name), *sorted(opt_in), least=least) for name in files
        }

    if LOW in text:
        assert actual("low") == expected
        assert not any(actual("medium").values())
    else:
        assert actual("medium") == expected


def test_titles_are_unique() -> None:
    titles = [title for title, _ in cases()]
    assert len(titles) > 100
    assert len(set(titles)) == len(titles)
