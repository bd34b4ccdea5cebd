"""Programs that use keys rightly and wrongly, with what must be said of each, what JAX's checker says, and what the guard says.

    python -m benchmarks.guard.table [OUT.md]

The programs and their expectations are those of the tests (`tests/guard/programs`), JAX's answers were asked for by
``ask_jax.py`` there. Prints the counts, and writes a row for each program.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import jax

from pytest_purestate._runtime.guard.keys import KeyReuse, KeyWatch
from pytest_purestate._runtime.guard.places import Where

__all__ = ["main", "rows"]

PROGRAMS = Path(__file__).parents[2] / "tests" / "guard" / "programs"
Row = tuple[str, str, str, str]


def rows() -> Iterator[Row]:
    """Name, what must be said, what JAX says, what the guard says."""
    jax_says = json.loads((PROGRAMS / "jax_says.json").read_text(encoding="utf-8"))
    found: list[KeyReuse] = []
    here = (Path(__file__).name, "replays.py")
    watch = KeyWatch(Where(lambda file: Path(file).name in here), found.append)
    sys.path.insert(0, str(PROGRAMS.parent))
    every = list(importlib.import_module(PROGRAMS.name).every())
    if not watch.start():
        sys.exit("this JAX has no place to watch from")
    try:
        for name, function in every:
            watch.clear()
            found.clear()
            function()
            watch.finish()
            wanted = "reports" if function.__name__.startswith("bad_") else "silent"
            yield name, wanted, jax_says[name], "reports" if found else "silent"
    finally:
        watch.stop()


def main() -> None:
    """Run, print the counts, and write the table if a file is named."""
    parser = argparse.ArgumentParser(
        description="Compare JAX's key checker and the guard on the same programs."
    )
    parser.add_argument("out", nargs="?", type=Path, metavar="OUT.md")
    out: Path | None = parser.parse_args().out
    table = list(rows())
    print(f"jax {jax.__version__}, {len(table)} programs")
    for who, place in (("JAX's checker", 2), ("the guard", 3)):
        missed = sum(row[1] == "reports" and row[place] != "reports" for row in table)
        false = sum(row[1] == "silent" and row[place] != "silent" for row in table)
        print(f"{who}: {len(table) - missed - false} right, {missed} missed, {false} false alarms")
    if out is not None:
        lines = ["| program | must be | JAX | guard |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(row)} |" for row in table]
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
