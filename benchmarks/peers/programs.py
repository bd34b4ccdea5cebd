"""The programs that the linters are run on, and the lines of theirs that a perfect checker reports.

`examples` are those of the rule pages, `cases` those of the tests, `corpus` reads a folder of other
people's bugs. Text marks itself: ``# error: [PS101]`` in the first two, ``# EXPECT: K`` in the last.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_purestate._check import docs, registry

__all__ = ["FAMILIES", "Program", "cases", "corpus", "examples", "write"]

CASES = Path(__file__).parents[2] / "tests" / "check" / "cases"

# A class of defects -> the families of rules that a report of it may belong to.
FAMILIES = {
    **{family: frozenset({family}) for family in ("PS1", "PS2", "PS3", "PS4")},
    "K": frozenset({"PS1", "PS4"}),  # keys
    "M": frozenset({"PS2", "PS3"}),  # state
    "J": frozenset({"PS1", "PS2", "PS3"}),  # tracing
    "D": frozenset({"PS1", "PS4"}),  # reproducibility
}

_ERROR = re.compile(r"# error:((?: \[PS\d{3}\])+)\s*$")
_EXPECT = re.compile(r"# (EXPECT|EXPECT-ALT): ([KMJD])\s*$")
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# file: (\S+)\n")

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Program:
    """Files that are checked together, and what is to be found in them.

    Paths are relative to the folder of the set. ``marks`` are the lines to report, with their class.
    ``instead`` are lines where the same defect may be reported as well, and ``neutral`` ones where a report
    counts neither way.
    """

    name: str
    files: tuple[tuple[str, str], ...]
    marks: frozenset[tuple[Place, str]] = frozenset()
    instead: frozenset[tuple[Place, str]] = frozenset()
    neutral: frozenset[Place] = frozenset()

    @property
    def classes(self) -> frozenset[str]:
        """The classes of its defects; none for a program that is right."""
        return frozenset(kind for _, kind in self.marks)


def _own(name: str, files: dict[str, str]) -> Program:
    """A program whose lines name our rules; rules that are off by default are nobody's to find."""
    off = {rule.code for rule in registry.rules() if rule.opt_in}
    marks, neutral = set(), set()
    for path, text in files.items():
        for number, line in enumerate(text.splitlines(), start=1):
            match = _ERROR.search(line)
            for code in re.findall(r"PS\d{3}", match[1]) if match else ():
                if code in off or code[:3] not in FAMILIES:
                    neutral.add((path, number))
                else:
                    marks.add(((path, number), code[:3]))
    return Program(name, tuple(files.items()), frozenset(marks), neutral=frozenset(neutral))


def examples() -> Iterator[Program]:
    """The examples of the rule pages. What is shown as good, or as repaired, has no mark."""
    for rule in registry.rules():
        if rule.code[:3] not in FAMILIES:
            continue
        for number, example in enumerate(docs.examples(docs.page(rule).body)):
            name = f"{rule.code.lower()}_{number}_{example.kind}"
            yield _own(name, {f"{name}/{name}.py": example.code})


def cases() -> Iterator[Program]:
    """The sections of the Markdown files of the tests: blocks that name their file, or one file each."""
    for path in sorted(CASES.glob("*.md")):
        _, *parts = _SECTION.split(path.read_text(encoding="utf-8"))
        for number, text in enumerate(parts[1::2]):
            name = f"{path.stem}_{number}"
            files = {}
            for index, block in enumerate(_BLOCK.findall(text)):
                named = _FILE.match(block)
                files[f"{name}/{named[1] if named else f'{name}_{index}.py'}"] = block
            yield _own(name, files)


def corpus(folder: Path) -> Iterator[Program]:
    """A folder with ``bugs/<id>/{bug.py,fixed.py}`` and ``clean/*.py``.

    Bugs whose ``meta.toml`` says ``static = false`` are left out: their source does not show them.
    """
    for bug in sorted((folder / "bugs").glob("*/bug.py")):
        meta = bug.with_name("meta.toml")
        if meta.is_file() and not tomllib.loads(meta.read_text(encoding="utf-8")).get("static", True):
            continue
        for kind in ("bug", "fixed"):
            yield _foreign(f"{kind}_{bug.parent.name}", bug.with_name(f"{kind}.py"))
    for path in sorted((folder / "clean").glob("*.py")):
        yield _foreign(f"clean_{path.stem}", path)


def _foreign(name: str, file: Path) -> Program:
    name = name.replace("-", "_")
    path, text = f"{name}/{name}.py", file.read_text(encoding="utf-8")
    found: dict[str, set[tuple[Place, str]]] = {"EXPECT": set(), "EXPECT-ALT": set()}
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _EXPECT.search(line):
            found[match[1]].add(((path, number), match[2]))
    return Program(name, ((path, text),), frozenset(found["EXPECT"]), frozenset(found["EXPECT-ALT"]))


def write(programs: Iterable[Program], folder: Path) -> None:
    """Write the files of a set. Every program gets a folder: its imports lead nowhere else."""
    for program in programs:
        for path, text in program.files:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
