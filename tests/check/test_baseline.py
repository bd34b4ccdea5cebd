"""A baseline hides the findings that were there before, and only those."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_purestate._check.engine import Run, check_paths
from pytest_purestate.cli import main
from pytest_purestate.config import ConfigError, ConfigFinder, Overrides

pytestmark = pytest.mark.usefixtures("marked_analysis")


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put("pyproject.toml", "")  # the root that fingerprints count from
    put("a.py", "# jax\nPS101(x)\nPS102(y)\n")
    put("sub/b.py", "# jax\nPS101(x)\n")


def put(path: str, text: str) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def purestate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["check", "--jobs=0", "--output-format=concise", *arguments])
    return status, *capsys.readouterr()


def run(*paths: str, **overrides: object) -> Run:
    finder = ConfigFinder(overrides=Overrides(**overrides))  # type: ignore[arg-type]
    return check_paths([Path(path) for path in paths or (".",)], finder, jobs=0)


def outline(found: Run) -> list[str]:
    return [f"{f.path} {f.code}" for f in found.findings]


def test_what_is_in_it_is_hidden_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert purestate(capsys, "--write-baseline=known.json") == (0, "", "wrote 3 findings to known.json\n")
    status, out, err = purestate(capsys, "--baseline=known.json")
    assert (status, out, err) == (0, "no findings; 3 in the baseline; 2 files checked\n", "")
    put("sub/b.py", "# jax\nPS101(x)\nPS104(new)\n")
    status, out, _ = purestate(capsys, "--baseline=known.json")
    assert status == 1
    assert out == (
        "sub/b.py:3:7: PS104 found new\n1 finding in 1 file (PS104 1); 3 in the baseline; 2 files checked\n"
    )


def test_the_file_has_a_finding_a_line_and_relative_paths() -> None:
    main(["check", "--jobs=0", "--write-baseline=sub/known.json"])
    text = Path("sub/known.json").read_text(encoding="utf-8")
    found = json.loads(text)
    assert [(entry["path"], entry["code"]) for entry in found["findings"]] == [
        ("../a.py", "PS101"),
        ("../a.py", "PS102"),
        ("b.py", "PS101"),
    ]
    assert len(text.splitlines()) == 3 + len(found["findings"]) + 2
    main(["check", "--jobs=0", "--write-baseline=sub/known.json"])
    assert Path("sub/known.json").read_text(encoding="utf-8") == text


def test_an_empty_one_can_be_written_and_read(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "--jobs=0", "--select=PS3", "--write-baseline=known.json"])
    assert json.loads(Path("known.json").read_text(encoding="utf-8")) == {"version": 1, "findings": []}
    capsys.readouterr()
    assert purestate(capsys, "--baseline=known.json")[0] == 1


def test_moved_lines_stay_hidden_and_another_equal_one_shows() -> None:
    main(["check", "--jobs=0", "--write-baseline=known.json"])
    put("a.py", "# jax\n\nimport os\n\n\nPS102(y)\nPS101(x)\n")
    assert outline(run(baseline="known.json")) == []
    put("a.py", "# jax\nPS102(y)\nPS101(x)\nPS101(x)\n")
    assert outline(run(baseline="known.json")) == ["a.py PS101"]


def test_the_working_directory_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    main(["check", "--jobs=0", "--write-baseline=known.json"])
    monkeypatch.chdir("sub")
    found = run(baseline=str(Path("../known.json").resolve()))
    assert (found.baselined, found.findings, found.notes) == (1, (), ())


def test_a_baseline_in_the_settings_is_relative_to_them(capsys: pytest.CaptureFixture[str]) -> None:
    Path("conf").mkdir()
    main(["check", "--jobs=0", "--write-baseline=conf/known.json"])
    put("conf/base.toml", "baseline = 'known.json'\n")
    put("pyproject.toml", "[tool.purestate]\nextend = 'conf/base.toml'\n")
    assert run().baselined == 3
    capsys.readouterr()
    status, _, err = purestate(capsys, "--write-baseline=conf/known.json")
    assert (status, err) == (0, "wrote 3 findings to conf/known.json\n")  # it is not read when it is written


def test_entries_that_no_longer_occur_are_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "--jobs=0", "--write-baseline=known.json"])
    capsys.readouterr()
    put("a.py", "# jax\n")
    Path("sub/b.py").unlink()
    status, out, _ = purestate(capsys, "--baseline=known.json")
    assert (status, out.splitlines()[0]) == (
        0,
        "3 entries of known.json no longer occur; `--write-baseline known.json` drops what is gone",
    )
    put("a.py", "# jax\nPS101(x)\n")
    put("sub/b.py", "# jax\nPS101(x)\n")
    assert run(baseline="known.json").notes == (
        "1 entry of known.json no longer occurs; `--write-baseline known.json` drops what is gone",
    )
    assert run("sub", baseline="known.json").notes == ()  # it says nothing of a file that it did not see
    assert run(baseline="known.json", select=("PS4",)).notes == ()  # nor of rules that did not run
    put("a.py", "# jax UNPARSABLE 1:1\n")
    assert run(baseline="known.json").notes == ()


def test_what_could_not_be_checked_is_never_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    put("c.py", "# jax UNPARSABLE 1:1\n")
    _, _, err = purestate(capsys, "--write-baseline=known.json")
    assert err == "wrote 3 findings to known.json; 1 file could not be checked and left out\n"
    assert outline(run(baseline="known.json")) == ["c.py PS001"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n\n,", "known.json:3: not a baseline: expecting property name enclosed in double quotes"),
        ("", "known.json:1: not a baseline: expecting value"),
        ("[]", "known.json: not a baseline: it has no list `findings`"),
        ('{"findings": {}}', "known.json: not a baseline: it has no list `findings`"),
        ('{"findings": []}', "known.json: a baseline of version 1 is needed, and this one has None"),
        ('{"version": 2, "findings": []}', "known.json: a baseline of version 1 is needed, and this one has 2"),
        ('{"version": 1, "findings": [{"fingerprint": 1}]}', "known.json: not a baseline: finding 1 has no `fingerprint` or no `path`"),
        ('{"version": 1, "findings": [1]}', "known.json: not a baseline: finding 1 has no `fingerprint` or no `path`"),
        ("[" * 100_000, "known.json: not a baseline: it is nested too deep"),
    ],
)  # fmt: skip
def test_a_broken_one_ends_the_run(text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    put("known.json", text)
    status, out, err = purestate(capsys, "--baseline=known.json")
    assert (status, out) == (2, "")
    assert err == f"purestate: {message}\n"


def test_one_that_is_not_text_or_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    Path("known.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"^known\.json: not a baseline: it is not UTF-8 text$"):
        run(baseline="known.json")
    Path("known.json").unlink()
    put("purestate.toml", "\nbaseline = 'known.json'\n")
    status, _, err = purestate(capsys)
    assert status == 2
    assert err == (
        "purestate: purestate.toml:2: no such baseline: known.json; `--write-baseline known.json` makes it\n"
    )
    Path("dir").mkdir()
    with pytest.raises(ConfigError, match=r"^dir: cannot be read: is a directory$"):
        run(baseline="dir")
    status, _, err = purestate(capsys, "--write-baseline=no/such/known.json")
    assert (status, err) == (
        2,
        "purestate: no/such/known.json: cannot be written: no such file or directory\n",
    )
