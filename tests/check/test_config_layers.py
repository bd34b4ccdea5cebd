"""Settings over settings: `extend`, `--config KEY=VALUE`, and where each value comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_purestate._check.settings import Settings
from pytest_purestate.config import Config, ConfigError, ConfigFinder, Overrides, load_config


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def codes(config: Config, overrides: Overrides | None = None) -> set[str]:
    return {rule.code for rule in Settings.of(config, overrides or Overrides()).rules} - {
        "PS001", "PS003", "PS004", "PS005",
    }  # fmt: skip


def test_what_a_file_does_not_say_the_extended_one_does() -> None:
    write(
        "base/purestate.toml", "min-confidence = 'low'\nrespect-gitignore = false\nexclude = ['gen', 'a/b']\n"
    )
    write("pyproject.toml", "[tool.purestate]\nextend = 'base/purestate.toml'\nrespect-gitignore = true\n")
    config = load_config(Path("pyproject.toml"))
    assert (config.min_confidence, config.respect_gitignore) == ("low", True)
    assert config.exclude == (
        "gen",
        str(Path.cwd() / "base" / "a" / "b"),
    )  # paths are those of their own file
    assert (config.root, config.file) == (Path.cwd(), Path.cwd() / "pyproject.toml")


def test_extensions_chain_and_lists_that_extend_add_up() -> None:
    write(
        "a.toml",
        "extend-exclude = ['a']\nextend-per-file-ignores = { x = ['PS1'] }\nper-file-ignores = { y = [] }\n",
    )
    write(
        "b.toml",
        "extend = 'a.toml'\nextend-exclude = ['b']\nsignatures = { 'm.f' = 'reads k', 'm.g' = 'reads k' }\n",
    )
    write("c.toml", "extend = 'b.toml'\nextend-exclude = ['c']\nsignatures = { 'm.f' = 'consumes k' }\n")
    config = load_config(Path("c.toml"))
    assert config.extend_exclude == ("a", "b", "c")
    assert config.extend_per_file_ignores == (("x", ("PS1",)),)
    assert config.per_file_ignores == (("y", ()),)
    assert config.signatures == (("m.f", "consumes k"), ("m.g", "reads k"))
    assert [layer.file and layer.file.name for layer in config.layers] == ["a.toml", "b.toml", "c.toml"]


def test_rules_are_chosen_layer_by_layer() -> None:
    write("base.toml", "select = ['PS1']\nignore = ['PS101']\n")
    write("a.toml", "extend = 'base.toml'\nextend-select = ['PS2']\nignore = ['PS20']\n")
    chosen = codes(load_config(Path("a.toml")))
    assert {"PS102", "PS210"} <= chosen
    assert not chosen & {"PS101", "PS201", "PS301"}
    write("b.toml", "extend = 'base.toml'\nselect = ['PS101']\n")
    assert codes(load_config(Path("b.toml"))) == {"PS101"}
    assert codes(load_config(Path("b.toml")), Overrides(select=("PS102",))) == {"PS102"}


def test_a_pyproject_can_be_extended_from_below() -> None:
    write("pyproject.toml", "[tool.purestate]\nignore = ['PS105']\n")
    write("sub/purestate.toml", "extend = '../pyproject.toml'\n")
    assert "PS105" not in codes(ConfigFinder().of(Path.cwd() / "sub"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": "\nextend = 'no.toml'"}, "a.toml:2: `extend`: no such settings file: no.toml"),
        ({"a": "extend = 'a.toml'"}, "a.toml:1: `extend` goes in a circle: a.toml -> a.toml"),
        ({"a": "extend = 'b.toml'", "b": "#\nextend = 'c.toml'", "c": "\n\nextend = './b.toml'"}, "c.toml:3: `extend` goes in a circle: b.toml -> c.toml -> b.toml"),
        ({"a": "extend = 'b.toml'", "b": "\nselekt = []"}, "b.toml:2: unknown key `selekt`, did you mean `select`?"),
        ({"a": "extend = 'b.toml'", "b": "x = "}, "b.toml:1: not valid TOML: invalid value"),
        ({"a": "extend = 'b.toml'", "b": "\nignore = ['PS998']"}, "b.toml:2: unknown rule `PS998`"),
        ({"a": "extend = 'b.toml'", "b": "\nfixable = ['PS10l']"}, "b.toml:2: unknown rule `PS10l`, did you mean `PS101`?"),
        ({"a": "extend = 'b.toml'", "b": "[severity]\nkey-resue = 'info'"}, "b.toml:2: unknown rule `key-resue`, did you mean `key-reuse`?"),
        ({"a": "extend = 's/b.toml'", "s/b": "[per-file-ignores]\n'x/y.py' = []\n'x/*' = ['key-resue']"}, "s/b.toml:3: unknown rule `key-resue`, did you mean `key-reuse`?"),
        ({"a": "extend = 'b.toml'", "b": "[signatures]\n'm.f' = 'consums k'"}, "b.toml:2: `m.f`: "),
        ({"a": "extend = '~nobody-has-this-name/b.toml'"}, "a.toml:1: `extend`: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_own_file_and_line(files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        write(f"{name}.toml", text + "\n")
    with pytest.raises(ConfigError) as caught:
        Settings.of(load_config(Path("a.toml")), Overrides())
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "key", ["select", "ignore", "extend-select", "fixable", "unfixable", "extend-fixable"]
)
def test_an_unknown_code_is_an_error_wherever_it_stands(key: str) -> None:
    write("purestate.toml", f"\n\n{key} = ['PS101', 'PS10l']\n")
    with pytest.raises(ConfigError) as caught:
        Settings.of(ConfigFinder().of(Path.cwd()), Overrides())
    assert str(caught.value) == "purestate.toml:3: unknown rule `PS10l`, did you mean `PS101`?"
    with pytest.raises(ConfigError, match=r"^unknown rule `PS10l`, did you mean `PS101`\?$"):
        Settings.of(Config(Path.cwd()), Overrides(**{key.replace("-", "_"): ("PS10l",)}))  # type: ignore[arg-type]


def test_settings_of_the_command_line_lie_over_the_file_and_below_options() -> None:
    write("sub/purestate.toml", "select = ['PS1']\nmin-confidence = 'low'\nextend-exclude = ['a']\n")
    inline = ["ignore = ['PS101']", "min-confidence = 'high'\nextend-exclude = ['x/y']"]
    finder = ConfigFinder(inline=inline)
    config = finder.of(Path.cwd() / "sub")
    assert config.min_confidence == "high"
    assert config.extend_exclude == ("a", str(Path.cwd() / "x" / "y"))
    assert (config.root, finder.own(Path.cwd() / "sub")) == (Path.cwd() / "sub", config)
    assert "PS102" in codes(config)
    assert not codes(config) & {"PS101", "PS201"}
    over = ConfigFinder(inline=inline, overrides=Overrides(min_confidence="medium"))
    assert over.of(Path.cwd() / "sub").min_confidence == "medium"
    assert ConfigFinder(isolated=True, inline=inline).of(Path.cwd()).min_confidence == "high"
    named = ConfigFinder(Path("sub/purestate.toml"), inline=inline)
    assert named.of(Path.cwd()).extend_exclude[-1] == str(Path.cwd() / "x" / "y")


def test_places() -> None:
    write("base.toml", "\nseverity = { PS1 = 'info' }\n")
    write("purestate.toml", "extend = 'base.toml'\n\nignore = []\n")
    config = ConfigFinder(inline=["exclude = []"]).of(Path.cwd())
    shown = [str(config.place(key)) for key in ("severity.PS1", "ignore", "exclude", "select")]
    assert shown == ["base.toml:2", "purestate.toml:3", "--config", "None"]
