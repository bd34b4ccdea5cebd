"""Checks files that were mutilated, and fails if one of them is lost, ends a process, or is beyond the bounds of time.

Each file of a folder is cut short, has bytes flipped or doubled, its line ends, indentation or form changed, is nested as
deep as nobody writes, or loses a bracket; always in the same way for the same seed. What is right then: every file is
accounted for, none with an internal error, the exit status is 0 or 1, and nothing is written to standard error.

    python -m benchmarks.fuzz FOLDER [--seed 0] [--files 200]
"""

import argparse
import collections
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pytest_purestate._check.engine import Status, check_paths
from pytest_purestate.config import ConfigFinder, Overrides

__all__ = ["WAYS", "main", "mutilated"]

Way = Callable[[bytes, random.Random], bytes]


def _cut(raw: bytes, chance: random.Random) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def _flipped(raw: bytes, chance: random.Random) -> bytes:
    data = bytearray(raw)
    for _ in range(chance.randrange(1, 20)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def _doubled(raw: bytes, chance: random.Random) -> bytes:
    begin = chance.randrange(len(raw))
    end = min(len(raw), begin + chance.randrange(1, 200))
    return raw[:end] + raw[begin:]


def _without(raw: bytes, chance: random.Random) -> bytes:
    places = [at for at, byte in enumerate(raw) if byte in b"()[]{}:\"'"] or [0]
    at = chance.choice(places)
    return raw[:at] + raw[at + 1 :]


def _shuffled(raw: bytes, chance: random.Random) -> bytes:
    lines = raw.splitlines(keepends=True)
    chance.shuffle(lines)
    return b"".join(lines)


def _nested(raw: bytes, chance: random.Random) -> bytes:
    depth = chance.choice((30, 150, 1_000, 20_000))
    kind = chance.randrange(4)
    if kind == 0:
        return raw + b"\nx = " + b"(" * depth + b"1" + b")" * depth + b"\n"
    if kind == 1:
        return raw + b"\nx = " + b"-" * depth + b"1\n"
    if kind == 2:
        return raw + b"\nx = " + b"a(" * depth + b")" * depth + b"\n"
    return (
        raw
        + b"\n"
        + b"".join(b" " * level + b"if x:\n" for level in range(min(depth, 1_000)))
        + b" " * 1_000
        + b"y\n"
    )


WAYS: Mapping[str, Way] = {
    "cut": _cut,
    "flipped": _flipped,
    "doubled": _doubled,
    "without": _without,
    "shuffled": _shuffled,
    "nested": _nested,
    "crlf": lambda raw, _: raw.replace(b"\n", b"\r\n"),
    "cr": lambda raw, _: raw.replace(b"\n", b"\r"),
    "tabs": lambda raw, _: raw.replace(b"    ", b"\t"),
    "feeds": lambda raw, _: raw.replace(b"\n\n", b"\n\x0c\n"),
    "nulls": lambda raw, chance: raw.replace(b"e", b"\0", chance.randrange(1, 4)),
    "long": lambda raw, _: raw + b"\nx = [" + b"1, " * 200_000 + b"]\n",
    "wide": lambda raw, _: raw + b"\n" + b"x = y if z else w\n" * 5_000,
    "utf-16": lambda raw, _: raw.decode("utf-8", "replace").encode("utf-16"),
    "coding": lambda raw, _: b"# coding: cp037\n" + raw,
}
"""What is done to files."""


def mutilated(files: list[Path], folder: Path, seed: int) -> Iterator[Path]:
    """Write a mutilated copy of each file, each in its own way."""
    names = list(WAYS)
    for number, file in enumerate(files):
        raw = file.read_bytes() or b"x\n"
        name = names[number % len(names)]
        copy = folder / f"{name} {number} größe" / file.name
        copy.parent.mkdir()
        copy.write_bytes(WAYS[name](raw, random.Random(f"{seed} {number}")))
        yield copy


def main() -> int:
    """Run it; 1 if something is not as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=200)
    options = parser.parse_args()
    every = sorted(
        file for file in options.folder.rglob("*") if file.suffix in (".py", ".ipynb") and file.is_file()
    )
    files = random.Random(options.seed).sample(every, min(options.files, len(every)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copies = list(mutilated(files, folder, options.seed))
        (folder / "loop").symlink_to(folder)
        began = time.process_time(), time.monotonic()
        run = check_paths([folder], ConfigFinder(isolated=True, overrides=Overrides()), prefilter=False)
        wall = time.monotonic() - began[1]
    wrong = [result for result in run.results if result.internal]
    codes = collections.Counter(f.code for result in run.results for f in result.findings if f.code < "PS1")
    late = [f for f in run.findings if f.code == "PS004" and "longer than" in f.message]
    print(f"{len(copies)} files, seed {options.seed}, {wall:.1f} s; {run.summary()}")
    print("of the checker itself:", ", ".join(f"{code} {count}" for code, count in sorted(codes.items())))
    for result in wrong:
        print("INTERNAL", result.path, result.findings[0].message)
    for finding in late:
        print("LATE", finding.path)
    counted = sum(map(run.count, Status))
    if counted != len(copies):
        print(f"LOST: {len(copies)} files were written, {counted} came back")
    return int(bool(wrong or late) or counted != len(copies))


if __name__ == "__main__":
    sys.exit(main())
