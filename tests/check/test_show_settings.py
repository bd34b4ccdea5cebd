"""`--show-settings` prints a settings file that means the same, with where each value comes from."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from pytest_purestate._check.settings import Settings
from pytest_purestate._check.show import render_settings
from pytest_purestate.cli import main
from pytest_purestate.config import Config, ConfigFinder, Overrides, load_config, option_names


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["check", "--show-settings", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_each_value_says_where_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    write("base.toml", "extend-exclude = ['x']\nmin-confidence = 'low'\nfixable = ['PS2']\n")
    write(
        "pyproject.toml",
        "[tool.purestate]\nextend = 'base.toml'\nselect = ['PS1']\nextend-exclude = ['y']\n"
        "[tool.purestate.severity]\nPS1 = 'info'\n",
    )
    write("sub/a.py", "")
    lines = shown(
        capsys,
        "sub",
        "--ignore=PS105",
        "--extend-exclude=z",
        "--config=force-exclude=true",
        "--extend-per-file-ignores=*.py:PS110",
    )
    assert lines[:5] == [
        "# settings for sub/a.py",
        "# pyproject.toml extends base.toml",
        "",
        '# pyproject.toml:3: select = ["PS1"]',
        '# command line: ignore = ["PS105"]',
    ]
    for line in (
        '# base.toml:3: fixable = ["PS2"]',
        'extend-exclude = ["x", "y", "z"]  # base.toml:1, pyproject.toml:4, command line',
        'min-confidence = "low"  # base.toml:2',
        "force-exclude = true  # --config",
        "respect-gitignore = true  # default",
        "# baseline is not set",
        '"PS1" = "info"  # pyproject.toml:6',
        '"*.py" = ["PS110"]  # command line',
    ):
        assert line in lines
    found = tomllib.loads("\n".join(lines))
    assert "PS104" in found["select"]
    assert not {"PS105", "PS201"} & set(found["select"])


def test_without_files_it_is_about_the_working_directory(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys)[:4] == [
        "# settings for the working directory",
        "# no settings file",
        "",
        "# default",
    ]


def test_what_it_prints_can_be_read_back() -> None:
    write("base/purestate.toml", "per-file-ignores = { 'a/*' = ['PS1'] }\nexclude = ['x/y', 'q\"\\\\']\n")
    write(
        "purestate.toml",
        "extend = 'base/purestate.toml'\nignore = ['PS001', 'PS2']\nextend-select = ['PS190']\nunfixable = ['PS104']\n"
        "test-files = ['checks/**']\nbaseline = 'k.json'\nsignatures = { 'm.f' = 'consumes k' }\n"
        "severity = { PS1 = 'info', key-reuse = 'error' }\nmin-confidence = 'low'\nrespect-gitignore = false\n",
    )
    config = ConfigFinder().of(Path.cwd())
    overrides = Overrides(ignore=("PS105",), extend_fixable=("PS104",), min_confidence="high")
    given = overrides.apply(config)
    write("again/../printed.toml", "".join(render_settings("a.py", given, overrides)))
    read = load_config(Path("printed.toml"))
    layered = {"extend", "select", "extend-select", "ignore", "fixable", "extend-fixable", "unfixable"}
    for key, name in option_names().items():
        if key not in layered:
            assert getattr(read, name) == getattr(given, name), key
    before, after = Settings.of(given, overrides), Settings.of(read, Overrides())
    for field in ("rules", "fixable", "severity", "signatures", "is_test", "per_file"):
        assert getattr(before, field) == getattr(after, field), field


def test_every_key_is_there() -> None:
    text = "".join(render_settings("a.py", Config(Path.cwd()), Overrides()))
    tables = {f.name for f in dataclasses.fields(Config) if f.default == () and "per_file" in f.name}
    assert tables == {"per_file_ignores", "extend_per_file_ignores"}
    for key in option_names():
        if key in ("extend", "extend-select", "extend-fixable", "unfixable", "signatures", "severity"):
            continue
        if option_names()[key] not in tables:
            assert f"{key} = " in text or f"# {key} is not set" in text


def test_a_wrong_setting_is_an_error_here_too(capsys: pytest.CaptureFixture[str]) -> None:
    write("purestate.toml", "ignore = ['PS10l']\n")
    assert main(["check", "--show-settings"]) == 2
    assert capsys.readouterr().err == (
        "purestate: purestate.toml:1: unknown rule `PS10l`, did you mean `PS101`?\n"
    )
