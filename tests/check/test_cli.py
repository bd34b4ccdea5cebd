from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_purestate._check import registry
from pytest_purestate._check.analysis import Project
from pytest_purestate._check.model import Rule
from pytest_purestate._check.source import Source
from pytest_purestate.cli import main

REUSE = """\
import jax


def step(key, x):
    noise = jax.random.normal(key, x.shape)
    return x + noise + jax.random.normal(key, x.shape)
"""

COMMAND = [sys.executable, "-m", "pytest_purestate"]


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    Path("train.py").write_text(REUSE, encoding="utf-8")
    Path("clean.py").write_text("import jax\n", encoding="utf-8")
    Path("other.py").write_text("import os\n", encoding="utf-8")


class Outcome:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


Purestate = Callable[..., Outcome]


@pytest.fixture
def purestate(capsys: pytest.CaptureFixture[str]) -> Purestate:
    def run(*arguments: str) -> Outcome:
        try:
            status = main(arguments)
        except SystemExit as exit:
            status = exit.code if isinstance(exit.code, int) else 99
        return Outcome(status, *capsys.readouterr())

    return run


def check(*arguments: str, stdin: bytes = b"") -> Outcome:
    done = subprocess.run([*COMMAND, "check", *arguments], input=stdin, capture_output=True, timeout=120)
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_check_shows_findings_and_what_became_of_every_file() -> None:
    done = check()
    assert done.status == 1
    assert done.err == ""
    assert done.out.startswith("PS101 ")
    assert "  --> train.py:6:42\n" in done.out
    assert done.out.splitlines()[-1] == (
        "1 finding in 1 file (PS101 1); 2 files checked; 1 skipped that never mention JAX"
    )


def test_exit_status(purestate: Purestate) -> None:
    assert purestate("check", "clean.py", "--jobs=0").status == 0
    assert purestate("check", "train.py", "--jobs=0").status == 1
    assert purestate("check", "train.py", "--jobs=0", "--exit-zero").status == 0
    assert purestate("check", "train.py", "--jobs=0", "--ignore=PS101").status == 0
    assert purestate("check", "nope.py").status == 2
    assert purestate("check", "nope.py", "--exit-zero").status == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "nope.py"], "purestate: no such file or directory: nope.py\n"),
        (["check", "--select=PS999"], "purestate: unknown rule `PS999`"),
        (["check", "--ignore=key-resue"], "purestate: unknown rule `key-resue`, did you mean `key-reuse`?\n"),
        (["check", "--config=no.toml"], "purestate: no.toml: no such settings file\n"),
        (["check", "--jobs=-1"], "argument --jobs: a whole number from 0 on, not `-1`\n"),
        (["check", "--jobs=many"], "argument --jobs: a whole number from 0 on, not `many`\n"),
        (["check", "--output-format=xml"], "argument --output-format: invalid choice: 'xml'"),
        (
            ["check", "--config=a", "--isolated"],
            "purestate: --config a cannot be used with --isolated, which reads no settings file\n",
        ),
        (
            ["check", "--config=a", "--config=b"],
            "purestate: --config names more than one settings file: a, b\n",
        ),
        (
            ["check", "--config=selekt=[]"],
            "purestate: --config: unknown key `selekt`, did you mean `select`?\n",
        ),
        (["check", "--config=extend='a'"], "purestate: --config: unknown key `extend`"),
        (
            ["check", "--config=a=b"],
            "purestate: --config `a=b` is neither a settings file nor TOML of the form",
        ),
        (["check", "--config=ignore=['PS9']"], "purestate: --config: unknown rule `PS9`"),
        (["check", "--unfixable=PS999"], "purestate: unknown rule `PS999`"),
        (
            ["check", "--per-file-ignores=a.py"],
            "purestate: --per-file-ignores `a.py` is not of the form GLOB:CODE\n",
        ),
        (
            ["check", "--per-file-ignores=a.py:key-resue"],
            "unknown rule `key-resue`, did you mean `key-reuse`?\n",
        ),
        (
            ["check", "--baseline=no.json"],
            "purestate: no such baseline: no.json; `--write-baseline no.json` makes it\n",
        ),
        (["check", "--add-noqa", "--write-baseline=b"], "not allowed with argument --add-noqa\n"),
        (["check", "--add-noqa", "-"], "purestate: --add-noqa writes files, and standard input is none\n"),
        (["check", "--fix", "--add-noqa"], "purestate: fixes cannot be asked for together with --add-noqa"),
        (["check", "--diff", "--write-baseline=b"], "purestate: fixes cannot be asked for together with"),
        (["check", "--fix", "-", "a.py"], "purestate: the fixed standard input goes to standard output"),
        (["check", "--fixx"], "unrecognized arguments: --fixx\n"),
        (["rule", "PS999"], "purestate: unknown rule `PS999`"),
        (["rule"], "one of the arguments RULE --all is required\n"),
        (["explian"], "invalid choice: 'explian'"),
        ([], "the following arguments are required: COMMAND\n"),
    ],
)
def test_usage_errors(purestate: Purestate, arguments: list[str], message: str) -> None:
    done = purestate(*arguments)
    assert done.status == 2
    assert message in done.err
    assert done.out == ""


def test_a_configuration_error_names_its_place(purestate: Purestate) -> None:
    Path("pyproject.toml").write_text("[tool.purestate]\n\nselekt = []\n", encoding="utf-8")
    done = purestate("check")
    assert (done.status, done.out) == (2, "")
    assert done.err == "purestate: pyproject.toml:3: unknown key `selekt`, did you mean `select`?\n"
    assert purestate("check", "--isolated", "--jobs=0").status == 1


def test_formats(purestate: Purestate) -> None:
    summary = "1 finding in 1 file (PS101 1); 2 files checked; 1 skipped that never mention JAX\n"
    concise = purestate("check", "--jobs=0", "--output-format=concise")
    assert re.fullmatch(r"train\.py:6:42: PS101 [^\n]+\n" + re.escape(summary), concise.out)
    array = purestate("check", "--jobs=0", "--output-format=json")
    lines = purestate("check", "--jobs=0", "--output-format=json-lines")
    assert array.err == lines.err == summary
    assert json.loads(array.out) == [json.loads(line) for line in lines.out.splitlines()]
    (item,) = json.loads(array.out)
    assert (item["code"], item["path"], item["line"], item["column"]) == ("PS101", "train.py", 6, 42)
    counts = purestate("check", "--jobs=0", "--statistics")
    assert counts.out == "1  PS101  key-reuse\n" + summary
    counts = purestate("check", "--jobs=0", "--statistics", "--output-format=json")
    assert json.loads(counts.out) == [{"code": "PS101", "name": "key-reuse", "count": 1}]


def test_json_of_nothing(purestate: Purestate) -> None:
    done = purestate("check", "clean.py", "--jobs=0", "--output-format=json")
    assert (done.status, json.loads(done.out)) == (0, [])


def test_selection(purestate: Purestate) -> None:
    def found(*arguments: str) -> int:
        return int(purestate("check", "--jobs=0", "train.py", *arguments).status)

    assert found("--select", "PS2,PS3") == 0
    assert found("--select", "PS2", "--select", "PS1") == 1
    assert found("--select", "PS2", "--extend-select", "key-reuse") == 1
    assert found("--select", "PS1", "--ignore", "PS101") == 0
    assert found("--select", "ALL", "--min-confidence", "high") == 1


def test_files(purestate: Purestate) -> None:
    Path("sub").mkdir()
    Path("sub/gen_a.py").write_text(REUSE, encoding="utf-8")
    Path(".gitignore").write_text("clean.py\n", encoding="utf-8")

    def files(*arguments: str) -> list[str]:
        done = purestate("check", "--show-files", *arguments)
        assert done.status == 0
        return str(done.out).splitlines()

    assert files() == ["other.py", "train.py", "sub/gen_a.py"]
    assert files("--no-respect-gitignore") == ["clean.py", "other.py", "train.py", "sub/gen_a.py"]
    assert files("--exclude", "sub,train.py") == ["other.py"]
    assert files("--extend-exclude", "sub/gen_*.py") == ["other.py", "train.py"]
    Path("sub/purestate.toml").write_text("", encoding="utf-8")
    assert files("--extend-exclude", "sub/gen_*.py", "sub") == []
    assert files("sub", "clean.py") == ["sub/gen_a.py", "clean.py"]


def test_prefilter(purestate: Purestate) -> None:
    done = purestate("check", "other.py", "--jobs=0", "--no-prefilter")
    assert done.out == "no findings; 1 file checked\n"


def test_standard_input() -> None:
    done = check("-", "--output-format=concise", stdin=REUSE.encode())
    assert done.status == 1
    assert done.out.startswith("<stdin>:6:42: PS101 ")
    done = check("-", "clean.py", "--stdin-filename=pkg/x.py", stdin=REUSE.replace("\n", "\r\n").encode())
    assert "--> pkg/x.py:6:42\n" in done.out
    assert " 6 |     return x + noise" in done.out
    assert done.out.endswith("2 files checked\n")
    done = check("-", stdin=b"# jax \xff")
    assert done.out.startswith(
        "PS003 cannot be read: line 1 is not utf-8: unexpected byte 0xff\n  --> <stdin>:1:1\n"
    )


UNCHECKABLE = {
    "binary": (b"jax" + bytes(range(256)), "PS003"),
    "null": (b"import jax\nx = 1\x00\n", "PS003"),
    "latin": ("# jax ä\n".encode("latin-1"), "PS003"),
    "cookie": (b"# coding: nonsense\nimport jax\n", "PS003"),
    "utf16": ("import jax\n".encode("utf-16"), "PS003"),
    "syntax": (b"import jax\nx = = 1\n", "PS001"),
    "python2": (b"import jax\nprint 'x'\n", "PS001"),
    "indent": (b"import jax\n  x = 1\n y = 2\n", "PS001"),
    "open": (b"import jax\nx = (1,\n", "PS001"),
    "string": (b"import jax\nx = 'abc\n", "PS001"),
    "triple": (b'import jax\n"""abc\n', "PS001"),
    "deep": (b"import jax\nx = " + b"(" * 3000 + b")" * 3000, "PS004"),
    "brackets": (b"import jax\nx = " + b"[" * 5000 + b"]" * 5000, "PS004"),
    "minus": (b"import jax\nx = " + b"-" * 20000 + b"1", "PS004"),
    "attributes": (b"import jax\nx = a" + b".b" * 50000, "PS004"),
    "sum": (b"import jax\nx = 1" + b"+1" * 20000, "PS004"),
    "elif": (b"import jax\nif x: pass\n" + b"elif x: pass\n" * 2000, "PS004"),
    "pattern": (b"import jax\nmatch x:\n  case " + b"[" * 30 + b"]" * 30 + b": pass\n", "PS004"),
    "large": (b"# jax\n" * 400_000, "PS004"),
}


def test_what_cannot_be_checked_is_a_finding_and_the_rest_goes_on() -> None:
    for name, (raw, _) in UNCHECKABLE.items():
        Path(f"{name}.py").write_bytes(raw)
    done = check("--output-format=json")
    assert done.status == 1
    found = {finding["path"]: finding["code"] for finding in json.loads(done.out)}
    assert found == {"train.py": "PS101", **{f"{name}.py": code for name, (_, code) in UNCHECKABLE.items()}}
    assert done.err == (
        "20 findings in 20 files (PS001 6, PS003 5, PS004 8, PS101 1); 2 files checked;"
        " 1 skipped that never mention JAX; 19 could not be checked\n"
    )


UNUSUAL = {
    "empty": b"",
    "newline": b"\n",
    "bom": b"\xef\xbb\xbf",
    "comment": b"# only a comment about jax",
    "bom_crlf": b"\xef\xbb\xbfimport jax\r\nx = 1\r\n",
    "cr": b"import jax\rx = 1\r",
    "form_feed": b"\x0cimport jax\n\x0c\nx = 1\n",
    "latin": "# coding: latin-1\nimport jax\nx = 'ä'\n".encode("latin-1"),
    "backslash": b"import jax\nx = 1 \\\n  + 2\n",
    "tabs": b"import jax\nif jax:\n\tx = 1\n\tif x:\n\t    y = 1\n",
    "name with spaces": b"import jax\n",
    "größe": b"import jax\n",
}


def test_unusual_files_are_checked() -> None:
    Path("odd").mkdir()
    for name, raw in UNUSUAL.items():
        (Path("odd") / f"{name}.py").write_bytes(raw)
    done = check("odd", "--no-prefilter")
    assert (done.status, done.out, done.err) == (0, "no findings; 12 files checked\n", "")


def test_findings_in_unusual_files_have_right_places() -> None:
    Path("odd.py").write_bytes(
        b"\xef\xbb\xbf" + REUSE.replace("\n", "\r\n").replace("noise", "größe").encode()
    )
    done = check("odd.py", "--output-format=concise")
    assert done.out.startswith("odd.py:6:42: PS101 ")
    Path("odd.py").write_bytes(("# coding: cp1252\n" + REUSE.replace("noise", "größe")).encode("cp1252"))
    done = check("odd.py")
    assert "--> odd.py:7:42\n" in done.out
    assert " 6 |     größe = jax.random.normal(key, x.shape)\n" in done.out


def test_no_arguments_in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    done = check()
    assert (done.status, done.out) == (0, "no findings; 0 files checked\n")


def test_an_internal_error_ends_with_status_2_after_the_other_findings(
    purestate: Purestate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pytest_purestate._check import engine

    analyse = engine.analyse

    def break_on_clean(source: Source, project: Project, rules: Sequence[Rule]) -> object:
        if source.path == "clean.py":
            raise ZeroDivisionError("division by zero")
        return analyse(source, project, rules)

    monkeypatch.setattr(engine, "analyse", break_on_clean)
    done = purestate("check", "--jobs=0", "--output-format=concise")
    assert done.status == 2
    first, second, _ = done.out.splitlines()
    assert first.startswith(
        "clean.py:1:1: PS004 internal error: ZeroDivisionError: division by zero (check/test_cli.py:"
    )
    assert second.startswith("train.py:6:42: PS101 ")
    assert purestate("check", "--jobs=0", "--exit-zero").status == 2


def test_a_failure_of_the_command_itself_is_not_taken_for_findings(
    purestate: Purestate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytest_purestate._check import command

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(command, "check_targets", fail)
    done = purestate("check")
    assert (done.status, done.out) == (2, "")
    last = done.err.splitlines()[-1]
    assert last == "purestate: internal error, please report it: ZeroDivisionError: division by zero"


def test_output_in_an_encoding_without_the_characters() -> None:
    Path("größe.py").write_text(REUSE.replace("noise", "größe"), encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([*COMMAND, "check", "größe.py"], capture_output=True, env=environment, timeout=120)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"gr\\xf6\\xdfe.py:6:42" in done.stdout


def test_colours_on_request() -> None:
    environment = {**os.environ, "FORCE_COLOR": "1"}
    done = subprocess.run([*COMMAND, "check"], capture_output=True, env=environment, timeout=120)
    assert done.stdout.startswith(b"\x1b[1;31mPS101\x1b[0m ")
    assert "\x1b" not in check().out


def test_a_reader_that_leaves() -> None:
    for number in range(10):
        Path(f"train{number}.py").write_text(REUSE * 20, encoding="utf-8")
    process = subprocess.Popen(
        [*COMMAND, "check", "--jobs=1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), error) == (2, b"")


def test_interruption() -> None:
    # What runs in the background of a shell ignores interruptions, and so would what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [*COMMAND, "check", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        signal.signal(signal.SIGINT, before)
        time.sleep(3)  # by then it waits for the text
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (130, b"", b"purestate: interrupted\n")


def test_rule_pages(purestate: Purestate) -> None:
    by_code, by_name = purestate("rule", "PS101"), purestate("rule", "key-reuse")
    assert by_code.out == by_name.out
    assert by_code.out.startswith("# key-reuse (PS101)\n")
    everything = purestate("rule", "--all")
    assert re.findall(r"^# \S+ \((PS\d+)\)$", everything.out, re.MULTILINE) == [
        r.code for r in registry.rules()
    ]


def test_version(purestate: Purestate) -> None:
    done = purestate("--version")
    assert done.status == 0
    assert re.fullmatch(r"purestate \d+\.\d+\.\d+\S*\n", done.out)


def test_rules_as_json(purestate: Purestate) -> None:
    (one,) = json.loads(purestate("rule", "PS201", "--output-format=json").out)
    assert {name: one[name] for name in ("code", "name", "severity", "fix", "opt_in")} == {
        "code": "PS201", "name": "inplace-array-update", "severity": "error", "fix": True, "opt_in": False,
    }  # fmt: skip
    assert one["summary"].startswith("Reports ")
    assert "## Why is this bad?" in one["explanation"]
    every = json.loads(purestate("rule", "--all", "--output-format=json").out)
    assert one in every
    assert [rule["code"] for rule in every] == sorted(rule["code"] for rule in every)


def test_help_names_the_commands_there_are(purestate: Purestate) -> None:
    commands = ["check", "rule", "explain", "replay", "report", "clean", "lsp"]
    done = purestate("--help")
    assert done.status == 0
    assert re.findall(r"^    (\w+) ", done.out, re.MULTILINE) == commands
    assert "exit status: 0 clean, 1 findings, 2 usage" in done.out
    assert purestate("check", "--help").status == 0
