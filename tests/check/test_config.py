from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pytest_purestate.config import (
    Config,
    ConfigError,
    ConfigFinder,
    Overrides,
    load_config,
    option_names,
)


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_reads_every_key() -> None:
    write(
        "pyproject.toml",
        """
        [project]
        name = "x"
        [tool.purestate]
        extend = "base.toml"
        select = ["PS1", "state-mutation"]
        extend-select = ["PS190"]
        ignore = ["PS105"]
        per-file-ignores = { "*_pb2.py" = ["ALL"], setup.py = [] }
        fixable = ["ALL"]
        extend-fixable = ["PS104"]
        unfixable = ["PS2"]
        extend-include = ["docs/*.md"]
        exclude = ["a"]
        extend-exclude = ["b/*.py"]
        force-exclude = true
        respect-gitignore = false
        min-confidence = "high"
        test-files = ["checks/**"]
        baseline = "known.json"
        [tool.purestate.extend-per-file-ignores]
        "tests/**" = ["PS107"]
        [tool.purestate.severity]
        PS1 = "info"
        [tool.purestate.signatures]
        "mylib.noise" = "consumes rng"
        mylib.fork = "reads rng; returns fresh"
        """,
    )
    write("base.toml", "")
    config = load_config(Path("pyproject.toml"))
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if "parse" in f.metadata}
    assert values == {
        "extend": "base.toml",
        "select": ("PS1", "state-mutation"),
        "extend_select": ("PS190",),
        "ignore": ("PS105",),
        "per_file_ignores": (("*_pb2.py", ("ALL",)), ("setup.py", ())),
        "extend_per_file_ignores": (("tests/**", ("PS107",)),),
        "fixable": ("ALL",),
        "extend_fixable": ("PS104",),
        "unfixable": ("PS2",),
        "extend_include": ("docs/*.md",),
        "exclude": ("a",),
        "extend_exclude": ("b/*.py",),
        "force_exclude": True,
        "respect_gitignore": False,
        "min_confidence": "high",
        "severity": (("PS1", "info"),),
        "test_files": ("checks/**",),
        "baseline": "known.json",
        "signatures": (("mylib.noise", "consumes rng"), ("mylib.fork", "reads rng; returns fresh")),
    }
    assert config.root == Path.cwd()


def test_without_a_file_the_defaults_hold() -> None:
    config = ConfigFinder().of(Path.cwd())
    assert (config.select, config.ignore, config.min_confidence) == (None, (), "medium")
    assert config.file is None
    assert ".venv" in config.exclude


def test_the_nearest_file_wins_and_purestate_toml_before_pyproject() -> None:
    write("pyproject.toml", "[tool.purestate]\nignore = ['PS101']\n")
    write("a/pyproject.toml", "[tool.other]\nignore = 1\n")
    write("a/b/purestate.toml", "ignore = ['PS102']\n")
    write("a/b/pyproject.toml", "[tool.purestate]\nignore = ['PS103']\n")
    finder = ConfigFinder()
    here = Path.cwd()
    assert finder.of(here / "a").ignore == ("PS101",)
    assert finder.of(here / "a" / "b" / "c").ignore == ("PS102",)
    assert finder.own(here / "a") is None
    assert finder.own(here / "a" / "b") is finder.of(here / "a" / "b" / "c")


def test_isolated_and_named_file() -> None:
    write("pyproject.toml", "[tool.purestate]\nignore = ['PS101']\n")
    named = write("other.toml", "ignore = ['PS102']\n")
    assert ConfigFinder(isolated=True).of(Path.cwd()).ignore == ()
    assert ConfigFinder(named).of(Path.cwd() / "deep").ignore == ("PS102",)


def test_the_command_line_is_laid_over_the_file() -> None:
    write(
        "pyproject.toml",
        "[tool.purestate]\nexclude = ['a']\nextend-exclude = ['b']\nmin-confidence = 'low'\n",
    )
    overrides = Overrides(
        exclude=("c",), extend_exclude=("d",), min_confidence="high", respect_gitignore=False
    )
    config = ConfigFinder(overrides=overrides).of(Path.cwd())
    assert config.exclude == ("c",)
    assert config.extend_exclude == ("b", "d")
    assert config.min_confidence == "high"
    assert config.respect_gitignore is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.purestate]\nselekt = []\n", "pyproject.toml:2: unknown key `selekt`, did you mean `select`?"),
        ("[tool.purestate]\n\nextend_exclude = []\n", "pyproject.toml:3: unknown key `extend_exclude`, did you mean `extend-exclude`?"),
        ("[tool.purestate]\nselect = 'PS1'\n", "pyproject.toml:2: `select` must be a list of strings"),
        ("[tool.purestate]\nignore = [1]\n", "pyproject.toml:2: `ignore` must be a list of strings"),
        ("[tool.purestate]\nrespect-gitignore = 1\n", "pyproject.toml:2: `respect-gitignore` must be true or false"),
        ("[tool.purestate]\nmin-confidence = 'sure'\n", 'pyproject.toml:2: `min-confidence` must be "high", "medium" or "low"'),
        ("[a]\nselekt = 1\n[tool.purestate]\nselekt = []\n", "pyproject.toml:4: unknown key `selekt`, did you mean `select`?"),
        ("tool.purestate.selekt = []\n", "pyproject.toml:1: unknown key `selekt`, did you mean `select`?"),
        ("[tool.purestate.selekt]\nx = 1\n", "pyproject.toml:1: unknown key `selekt`, did you mean `select`?"),
        ("[tool]\npurestate = { selekt = [] }\n", "pyproject.toml:1: unknown key `selekt`, did you mean `select`?"),
        ("[tool]\npurestate = 1\n", "pyproject.toml:1: `tool.purestate` must be a table"),
        ("[tool.purestate]\nseverity = 'info'\n", "pyproject.toml:2: `severity` must be a table of rules and severities"),
        ("[tool.purestate.severity]\nPS1 = 'info'\nPS2 = 'warn'\n", 'pyproject.toml:3: `PS2` must be "error", "warning" or "info", did you mean `warning`?'),
        ("[tool.purestate]\nseverity.PS2 = 1\n", 'pyproject.toml:2: `PS2` must be one of "error", "warning" and "info"'),
        ("[tool.purestate]\nper-file-ignores = ['a']\n", "pyproject.toml:2: `per-file-ignores` must be a table of patterns and lists of rules"),
        ("[tool.purestate.per-file-ignores]\n'a.py' = []\n'b/**.py' = 'PS1'\n", "pyproject.toml:3: `b/**.py` must be a list of strings"),
        ("[tool.purestate.per-file-ignores]\n'a.py' = [1]\n", "pyproject.toml:2: `a.py` must be a list of strings"),
        ("[tool.purestate]\nbaseline = ['a']\n", "pyproject.toml:2: `baseline` must be a string"),
        ("[tool.purestate]\nextend = ''\n", "pyproject.toml:2: `extend` must be a string"),
        ("[tool.purestate]\nforce-exclude = 'yes'\n", "pyproject.toml:2: `force-exclude` must be true or false"),
        ("[tool.purestate]\nmin-confidence = 'hihg'\n", 'pyproject.toml:2: `min-confidence` must be "high", "medium" or "low", did you mean `high`?'),
        ("[tool.purestate\n", "pyproject.toml:1: not valid TOML: expected ']' at the end of a table declaration"),
    ],
)  # fmt: skip
def test_names_file_line_and_the_nearest_right_name(text: str, message: str) -> None:
    write("pyproject.toml", text)
    with pytest.raises(ConfigError) as caught:
        ConfigFinder().of(Path.cwd() / "sub")
    assert str(caught.value) == message


def test_a_key_without_a_near_name_lists_the_known_ones() -> None:
    file = write("purestate.toml", "# a comment\nzzzzzz = 1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value) == (
        f"purestate.toml:2: unknown key `zzzzzz`; known keys: {', '.join(option_names())}"
    )


def test_the_table_of_pyproject_in_another_file_is_told_so() -> None:
    file = write("purestate.toml", "# a comment\n[tool.purestate]\nselect = ['PS1']\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value) == (
        "purestate.toml:2: unknown key `tool`; "
        "outside pyproject.toml the settings stand at the top of the file, without `[tool.purestate]`"
    )


def test_files_of_other_tools_are_not_ours_to_judge() -> None:
    write("sub/pyproject.toml", "[broken\n")
    assert ConfigFinder().of(Path.cwd() / "sub") == Config(Path.cwd())


def test_a_named_file_must_be_there_and_must_be_text() -> None:
    with pytest.raises(ConfigError, match=r"^none\.toml: no such settings file$"):
        load_config(Path("none.toml"))
    Path("latin.toml").write_bytes(b"a = 1\nb = '\xe9'\n")
    with pytest.raises(ConfigError, match=r"^latin\.toml:2: is not UTF-8 text$"):
        load_config(Path("latin.toml"))
