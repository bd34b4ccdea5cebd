"""What each assertion says of each step and planted defect, beside what was expected, and what others say of the same.

    python -m benchmarks.assertions.table [OUT.md] [--only MODEL] [--no-peers]

Exit status 1 if anything is not as `expectations.tsv` has it. The peers are asked about one model for each defect.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax

from benchmarks.assertions.cases import plant, planted
from benchmarks.assertions.peers import PEERS, NotComparableError
from benchmarks.assertions.programs import PROGRAMS, run
from pytest_purestate import PurityError, TrainStepError, assert_train_step

__all__ = ["Answer", "Row", "answer", "main", "rows"]

EXPECTATIONS = Path(__file__).with_name("expectations.tsv")


@dataclass(frozen=True)
class Row:
    """A line of the file of expectations."""

    assertion: str
    model: str
    defect: str
    caught: str
    clauses: str
    says: str


@dataclass(frozen=True)
class Answer:
    """What the assertion said."""

    caught: str
    clauses: str
    text: str

    def fits(self, row: Row) -> bool:
        """Whether it is what was expected: no more clauses, no fewer, and the words."""
        return (
            self.caught == row.caught
            and row.clauses in ("-", self.clauses)
            and (row.says == "-" or row.says in self.text)
        )


def rows() -> list[Row]:
    """The expectations."""
    with EXPECTATIONS.open(encoding="utf-8", newline="") as file:
        return [Row(**line) for line in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def answer(row: Row) -> Answer:
    """Ask the assertion."""
    try:
        if row.assertion == "assert_train_step":
            case = plant(row.model, row.defect)
            assert_train_step(case.step, case.state, case.batch, *case.args, **case.options)
        elif row.assertion in PROGRAMS:
            run(row.assertion, row.defect)
        else:
            return Answer("not there", "-", "")
    except TrainStepError as error:
        return Answer("yes", " ".join(error.clauses), str(error))
    except PurityError as error:
        return Answer("yes", "-", str(error))
    except NotComparableError:
        return Answer("not there", "-", "")
    except Exception as error:  # one program that breaks off must not hide the others
        return Answer("error", "-", f"{type(error).__name__}: {error}")
    return Answer("no", "-", "")


def peers(row: Row) -> Iterator[str]:
    """What the others say: caught, an empty text, or n/a."""
    for ask in PEERS.values():
        try:
            ask(planted(row.model, row.defect))
        except NotComparableError:
            yield "n/a"
        except Exception:
            yield "caught"
        else:
            yield ""


def _shown(row: Row, got: Answer) -> str:
    """The line of the text that was expected, or its headline."""
    lines = [line.strip() for line in got.text.splitlines()]
    return next((line for line in lines if row.says in line), lines[0] if lines else "")[:110].replace(
        "|", "\\|"
    )


def main() -> None:
    """Run, print what is not as expected, and write the table if a file is named."""
    parser = argparse.ArgumentParser(description="Compare what assertions say with what was expected.")
    parser.add_argument("out", nargs="?", type=Path, metavar="OUT.md")
    parser.add_argument(
        "--only", action="append", default=[], metavar="MODEL", help="a model, or an assertion"
    )
    parser.add_argument(
        "--no-peers", action="store_true", help="leave out chex, equinox, pytest and the others of ours"
    )
    options = parser.parse_args()
    table, compared, wrong, asked = [], [], 0, set()
    started = time.process_time()
    warnings.simplefilter("ignore")
    for row in rows():
        if options.only and not {row.model, row.assertion} & set(options.only):
            continue
        with contextlib.redirect_stdout(io.StringIO()):
            got = answer(row)
        fits = got.fits(row)
        if got.caught != "not there" and not fits:
            wrong += 1
            print(
                f"{row.assertion} {row.model} {row.defect}: expected {row.caught} [{row.clauses}] {row.says!r}"
            )
            print(f"  got {got.caught} [{got.clauses}] {got.text}", flush=True)
        verdict = "as expected" if fits else got.caught if got.caught == "not there" else "NOT AS EXPECTED"
        clauses = got.clauses.replace(" ", ", ")
        table.append(
            f"| {row.assertion} | {row.model} | {row.defect} | {row.caught} | {got.caught} | {clauses} | "
            f"{_shown(row, got)} | {verdict} |"
        )
        if (
            options.no_peers
            or row.assertion != "assert_train_step"
            or row.defect in asked
            or "+" in row.defect
        ):
            continue
        asked.add(row.defect)
        with contextlib.redirect_stdout(io.StringIO()):
            said = list(peers(row))
        compared.append(
            f"| {row.defect} | {row.model} | {'caught' if got.caught == 'yes' else ''} | {' | '.join(said)} |"
        )
    print(
        f"jax {jax.__version__}: {len(table)} rows, {wrong} not as expected, {time.process_time() - started:.0f} s of CPU"
    )
    if options.out is not None:
        lines = [
            f"Written by `python -m benchmarks.assertions.table`, jax {jax.__version__}.",
            "",
            "| assertion | model | defect | expected | got | clauses | what it says | |",
            "|---|---|---|---|---|---|---|---|",
            *table,
        ]
        if compared:
            lines += [
                "",
                "The same steps given to others, one model for each defect:",
                "",
                f"| defect | model | train_step | {' | '.join(PEERS)} |",
                "|---" * (3 + len(PEERS)) + "|",
                *compared,
            ]
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
