"""What the checker finds in a folder of real code, and what a change of the engine changes about it.

    python -m benchmarks.findings write FOLDER OUT.jsonl
    python -m benchmarks.findings compare A.jsonl B.jsonl
    python -m benchmarks.findings compare --base REVISION [--head REVISION] FOLDER

``--select`` and ``--min-confidence`` go to the checker. The last one runs the engine of a git revision against that of the working tree, or of another revision.
Exit status of ``compare``: 0 nothing changed, 1 something did.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.corpus import require_outside_project

__all__ = ["Found", "compare", "find", "read", "write"]

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """A finding; ``path`` is relative to the corpus."""

    path: str
    line: int
    code: str
    fingerprint: str
    confidence: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.code} [{self.confidence}] {self.message}"


def find(folder: Path, arguments: Sequence[str] = (), engine: Path = ROOT) -> list[Found]:
    """Run the command line of one version of the checker over a folder.

    Raises `RuntimeError` when it fails, or does not say what became of the files.
    """
    require_outside_project(folder)
    command = (sys.executable, "-P", "-m", "pytest_purestate", "check", "--isolated", "--output-format")
    done = subprocess.run(
        (*command, "json-lines", *arguments, "."),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(engine)},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip()}")
    print(done.stderr.strip(), file=sys.stderr)
    rows = map(json.loads, done.stdout.splitlines())
    return sorted(Found(**{key: row[key] for key in Found.__slots__}) for row in rows)


def write(found: Iterable[Found], file: Path) -> None:
    """Store findings, one JSON object a line."""
    file.write_text("".join(json.dumps(asdict(each)) + "\n" for each in found), encoding="utf-8")


def read(file: Path) -> list[Found]:
    """Findings that `write` stored."""
    return [Found(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def compare(old: Iterable[Found], new: Iterable[Found]) -> bool:
    """Print what was added and removed, and counts a rule; return whether anything was.

    The same finding with another confidence is removed and added: it may now be shown, or hidden.
    """
    before = {(each.fingerprint, each.confidence): each for each in old}
    after = {(each.fingerprint, each.confidence): each for each in new}
    removed = sorted(each for key, each in before.items() if key not in after)
    added = sorted(each for key, each in after.items() if key not in before)
    for sign, changed in (("-", removed), ("+", added)):
        for each in changed:
            print(sign, each)
    counts = [Counter(each.code for each in group) for group in (before.values(), removed, added)]
    for code in sorted({code for count in counts for code in count}):
        was, less, more = (count[code] for count in counts)
        print(f"{code}  {was} - {less} + {more} = {was - less + more}")
    return bool(removed or added)


@contextlib.contextmanager
def engine_of(revision: str | None) -> Iterator[Path]:
    """A folder with the code of a git revision, or the working tree for None."""
    if revision is None:
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = str(Path(folder) / "engine")
        git = ("git", "-C", str(ROOT), "worktree")
        subprocess.run((*git, "add", "--quiet", "--detach", tree, revision), check=True)
        try:
            yield Path(tree)
        finally:
            subprocess.run((*git, "remove", "--force", tree), check=True)


def _checking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--select", metavar="CODES", help="use these rules only")
    parser.add_argument("--min-confidence", choices=("high", "medium", "low"), default="medium")


def main() -> int:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description="Collect and compare findings.")
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write", help="store the findings in a folder of code")
    writing.add_argument("folder", type=Path)
    writing.add_argument("out", type=Path)
    _checking(writing)
    comparing = commands.add_parser("compare", help="print what differs")
    comparing.add_argument("--base", metavar="REVISION", help="the older engine")
    comparing.add_argument("--head", metavar="REVISION", help="the newer engine, by default the working tree")
    comparing.add_argument(
        "paths", type=Path, nargs="+", help="two stored files; with --base, a folder of code"
    )
    _checking(comparing)
    options = parser.parse_args()
    arguments = ["--min-confidence", options.min_confidence]
    arguments += ["--select", options.select] if options.select else []
    if options.command == "write":
        write(find(options.folder, arguments), options.out)
        return 0
    if options.base is None:
        if len(options.paths) != 2:
            parser.error("compare takes two files, or --base and a folder")
        old, new = map(read, options.paths)
        return int(compare(old, new))
    if len(options.paths) != 1:
        parser.error("compare --base takes one folder")
    (folder,) = options.paths
    with engine_of(options.base) as base, engine_of(options.head) as head:
        return int(compare(find(folder, arguments, base), find(folder, arguments, head)))


if __name__ == "__main__":
    sys.exit(main())
