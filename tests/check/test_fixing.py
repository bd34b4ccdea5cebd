"""Fixes from the command line: what is written, what is left alone, and what is said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_purestate._check import fixer
from pytest_purestate._check.engine import check_source
from pytest_purestate._check.source import Source
from pytest_purestate.cli import main

ARRAYS = """\
import jax.numpy as jnp


def clear(n):
    x = jnp.zeros(n)
    x[0] = 1.0  # first
    x[1] += 2.0
    return x
"""
FIXED = ARRAYS.replace("x[0] = 1.0", "x = x.at[0].set(1.0)").replace("x[1] += 2.0", "x = x.at[1].add(2.0)")

PRINTS = """\
from jax import jit


@jit
def step(w, x):
    print("w", w)
    print(f"{x:.2f}")
    return w * x
"""

COMMAND = [sys.executable, "-m", "pytest_purestate", "check", "--jobs=0", "--isolated"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["check", "--jobs=0", "--isolated", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def written(name: str, text: str) -> Path:
    file = Path(name)
    file.write_bytes(text.encode())
    return file


def test_safe_fixes_are_applied_and_nothing_remains(capsys: pytest.CaptureFixture[str]) -> None:
    file = written("a.py", ARRAYS)
    assert run(capsys, "--fix") == (
        0,
        "fixed 2 findings in 1 file\nno findings; 1 file checked\n",
        "",
    )
    assert file.read_text() == FIXED
    assert run(capsys, "--fix") == (0, "no findings; 1 file checked\n", "")
    assert file.read_text() == FIXED


def test_what_can_be_fixed_is_said_where_nothing_is(capsys: pytest.CaptureFixture[str]) -> None:
    written("a.py", ARRAYS)
    written("b.py", PRINTS)
    status, out, _ = run(capsys, "--output-format=concise")
    assert status == 1
    assert "\n2 fixable with `--fix`; 2 more with `--fix --unsafe-fixes`\n" in out
    status, out, _ = run(capsys, "b.py", "--output-format=concise")
    assert "\n2 fixable with `--fix --unsafe-fixes`\n" in out
    status, out, err = run(capsys, "--output-format=json")
    assert "fixable" not in out
    assert "fixable" in err


def test_unsafe_fixes_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    file = written("b.py", PRINTS)
    status, out, _ = run(capsys, "--fix")
    assert status == 1
    assert "fixed" not in out
    assert file.read_text() == PRINTS
    status, out, _ = run(capsys, "--fix", "--unsafe-fixes")
    assert status == 0
    assert file.read_text() == (
        "import jax\nfrom jax import jit\n\n\n@jit\ndef step(w, x):\n"
        '    jax.debug.print("w {}", w)\n    jax.debug.print("{:.2f}", x)\n    return w * x\n'
    )


def test_what_remains_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    reuse = "\n\ndef draw(key):\n    return jax.random.normal(key) + jax.random.normal(key)\n"
    written("a.py", "import jax\n" + ARRAYS + reuse)
    status, out, _ = run(capsys, "--fix", "--output-format=concise")
    assert status == 1
    assert out.splitlines()[0].startswith("a.py:13:")
    assert out.splitlines()[1:] == [
        "fixed 2 findings in 1 file",
        "1 finding in 1 file (PS101 1); 1 file checked",
    ]


UNSAFE = "2 fixable with `--unsafe-fixes`\n"


def test_fix_only_reports_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    written("a.py", ARRAYS)
    written("b.py", PRINTS)
    assert run(capsys, "--fix-only") == (0, f"fixed 2 findings in 1 file\n{UNSAFE}", "")
    assert run(capsys, "--fix-only") == (0, f"nothing to fix\n{UNSAFE}", "")
    assert run(capsys, "--diff") == (0, "", f"would fix 0 findings in 0 files\n{UNSAFE}")
    assert run(capsys, "--fix-only", "--unsafe-fixes", "--exit-non-zero-on-fix")[0] == 1


def test_a_list_of_what_was_fixed(capsys: pytest.CaptureFixture[str]) -> None:
    written("a.py", ARRAYS)
    written("b.py", PRINTS)
    _, out, _ = run(capsys, "--fix", "--unsafe-fixes", "--show-fixes")
    assert out == (
        "a.py:\n    2 x PS201 (inplace-array-update)\nb.py:\n    2 x PS301 (side-effect-in-trace)\n"
        "fixed 4 findings in 2 files\nno findings; 2 files checked\n"
    )


def test_a_diff_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    file = written("a.py", ARRAYS)
    status, out, err = run(capsys, "--diff")
    assert status == 1
    assert out == (
        "--- a.py\n+++ a.py\n@@ -3,6 +3,6 @@\n \n def clear(n):\n     x = jnp.zeros(n)\n"
        "-    x[0] = 1.0  # first\n-    x[1] += 2.0\n+    x = x.at[0].set(1.0)  # first\n"
        "+    x = x.at[1].add(2.0)\n     return x\n"
    )
    assert err == "would fix 2 findings in 1 file\n"
    assert file.read_text() == ARRAYS
    written("a.py", FIXED)
    assert run(capsys, "--diff") == (0, "", "would fix 0 findings in 0 files\n")


def test_the_diff_is_one_that_patch_applies(capsys: pytest.CaptureFixture[str]) -> None:
    file = written("a.py", ARRAYS.rstrip("\n"))
    _, out, _ = run(capsys, "--diff")
    done = subprocess.run(["patch", "-p0"], input=out, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert file.read_text() == FIXED.rstrip("\n")


FORMS: dict[str, Callable[[str], bytes]] = {
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "bom": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "latin-1": lambda text: ("# coding: latin-1\n" + text.replace("first", "größe")).encode("latin-1"),
    "tabs": lambda text: text.replace("    ", "\t").encode(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_form_of_a_file_is_kept(capsys: pytest.CaptureFixture[str], form: Callable[[str], bytes]) -> None:
    file = Path("a.py")
    file.write_bytes(form(ARRAYS))
    file.chmod(0o755)
    assert run(capsys, "--fix")[0] == 0
    assert file.read_bytes() == form(FIXED)
    assert file.stat().st_mode & 0o777 == 0o755


def test_fixes_that_wait_for_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    text = ARRAYS.replace("x[0] = 1.0  # first", "x[0][1] = 1.0").replace("zeros(n)", "zeros((n, n))")
    file = written("a.py", text)
    assert run(capsys, "--fix", "--unsafe-fixes")[0] == 0
    assert "x = x.at[0].set(x[0].at[1].set(1.0))" in file.read_text()


def test_a_suppression_that_a_fix_makes_useless_goes_too(capsys: pytest.CaptureFixture[str]) -> None:
    file = written("a.py", ARRAYS.replace("# first", "# noqa: PS203"))
    assert run(capsys, "--fix")[0] == 0
    assert "noqa" not in file.read_text()


def test_unfixable_rules_and_baselines_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    file = written("a.py", ARRAYS)
    assert run(capsys, "--fix", "--unfixable=PS201")[0] == 1
    assert file.read_text() == ARRAYS
    assert run(capsys, "--write-baseline=base.json")[0] == 0
    assert run(capsys, "--fix", "--baseline=base.json")[0] == 0
    assert file.read_text() == ARRAYS


def broken(monkeypatch: pytest.MonkeyPatch, replacement: str) -> None:
    """Every fix writes this instead."""
    apply = fixer.apply

    def wrong(source: Source, findings: object, *, unsafe: bool = False) -> fixer.Fixed:
        fixed = apply(source, findings, unsafe=unsafe)  # type: ignore[arg-type]
        return fixer.Fixed(source.text + replacement, fixed.applied) if fixed.applied else fixed

    monkeypatch.setattr(fixer, "apply", wrong)


def test_a_fix_that_breaks_a_file_is_thrown_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written("a.py", ARRAYS)
    broken(monkeypatch, "def (\n")
    status, out, _ = run(capsys, "--fix", "--output-format=concise")
    assert status == 1
    assert "a.py: not fixed: the result cannot be parsed: " in out
    assert "fixed 2" not in out
    assert file.read_text() == ARRAYS


def test_fixes_that_come_to_no_end_are_thrown_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written("a.py", ARRAYS)
    broken(monkeypatch, "# more\n")
    status, out, _ = run(capsys, "--fix", "--output-format=concise")
    assert status == 1
    assert "a.py: not fixed: its fixes do not come to an end\n" in out
    assert file.read_text() == ARRAYS


def test_a_file_that_changed_meanwhile_is_not_overwritten(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytest_purestate._check import fixing

    file = written("a.py", ARRAYS)
    write = fixing.write

    def late(repaired: fixing.Repair) -> list[str]:
        file.write_text("mine = 1\n")
        return write(repaired)

    monkeypatch.setattr(fixing, "write", late)
    status, _, err = run(capsys, "--fix")
    assert status == 2
    assert err == "purestate: a.py: not fixed: it changed while it was checked\n"
    assert file.read_text() == "mine = 1\n"


def test_a_file_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytest_purestate._check import fixing

    def full(file: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    file = written("a.py", ARRAYS)
    monkeypatch.setattr(fixing, "write_atomically", full)
    status, _, err = run(capsys, "--fix")
    assert (status, err) == (2, "purestate: a.py: cannot be written: no space left on device\n")
    assert file.read_text() == ARRAYS


def test_a_link_stays_one_and_its_file_is_fixed_once(capsys: pytest.CaptureFixture[str]) -> None:
    file = written("a.py", ARRAYS)
    Path("b.py").symlink_to("a.py")
    _, out, _ = run(capsys, "--fix", "--output-format=concise")
    assert "fixed 2 findings in 1 file\n" in out
    assert Path("b.py").is_symlink()
    assert file.read_text() == FIXED


def stdin(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, "-", *arguments], input=text, capture_output=True, text=True)


def test_standard_input_is_fixed_on_standard_output() -> None:
    done = stdin(ARRAYS, "--fix")
    assert (done.returncode, done.stdout) == (0, FIXED)
    assert done.stderr == "fixed 2 findings in 1 file\nno findings; 1 file checked\n"
    done = stdin(PRINTS, "--fix", "--output-format=concise")
    assert (done.returncode, done.stdout) == (1, PRINTS)
    assert done.stderr.startswith("<stdin>:6:5: PS301 ")
    done = stdin(PRINTS, "--fix", "--fix-only", "--unsafe-fixes")
    assert (done.returncode, done.stderr) == (0, "fixed 2 findings in 1 file\n")
    done = stdin("import jax\ndef (\n", "--fix")
    assert (done.returncode, done.stdout) == (1, "import jax\ndef (\n")


def test_standard_input_as_a_diff() -> None:
    done = stdin(ARRAYS, "--diff", "--stdin-filename=lib/a.py")
    assert done.returncode == 1
    assert done.stdout.startswith("--- lib/a.py\n+++ lib/a.py\n")


def test_callers_of_a_fixed_file_are_checked_again(capsys: pytest.CaptureFixture[str]) -> None:
    written("lib.py", ARRAYS.replace("def clear(n):", "def clear(n, key):"))
    written("use.py", "import lib\nimport jax\n\n\ndef use(key):\n    return lib.clear(3, key)\n")
    status, out, _ = run(capsys, "--fix")
    assert (status, out) == (0, "fixed 2 findings in 1 file\nno findings; 2 files checked\n")


@pytest.mark.parametrize("text", [ARRAYS, PRINTS])
def test_fixed_texts_have_no_fixes_left(text: str) -> None:
    source = Source.from_text(text)
    for _ in range(5):
        fixed = fixer.apply(source, check_source(source), unsafe=True)
        source = Source.from_text(fixed.text)
    assert not fixer.apply(source, check_source(source), unsafe=True).applied
