"""Where the defects of the demo are: each is marked in its own line by a comment `# planted: CODE`."""

import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["ROOT", "Place", "planted"]

ROOT = Path(__file__).resolve().parent


class Place(NamedTuple):
    """A finding, by what matters here: a path relative to the demo, with slashes, a 1-based line,
    and the code.
    """

    path: str
    line: int
    code: str


def planted(root: Path = ROOT) -> list[Place]:
    """Read the marks in the Python files of `story`."""
    return [
        Place(file.relative_to(root).as_posix(), number, code)
        for file in (root / "story").rglob("*.py")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        for code in re.findall(r"# planted: (PS\d{3})", line)
    ]
