"""`purestate explain`: what a value on a line is taken for, why, and which line of settings says or would say so."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest

import pytest_purestate
from pytest_purestate.cli import main

TRAIN = """\
import jax
import lib
from helpers import forward


def loss(params, key, x):
    noise_key, dropout_key = jax.random.split(key)
    mask = jax.random.bernoulli(key, 0.5, x.shape)
    y = lib.noise(noise_key)
    return forward(params, dropout_key, x * mask + y)


@jax.jit
def step(state, batch, key: jax.Array):
    grads = jax.grad(loss)(state.params, key, batch)
    return state.apply_gradients(grads=grads)


key = jax.random.key(0)
"""

HELPERS = """\
import jax


def forward(params, rng, x):
    params["seen"] = True
    return x @ params["w"] + jax.random.normal(rng, x.shape)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "purestate.toml").touch()
    (tmp_path / "train.py").write_text(TRAIN, encoding="utf-8")
    (tmp_path / "helpers.py").write_text(HELPERS, encoding="utf-8")
    return tmp_path


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["explain", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_a_key_that_was_spent_and_a_known_call(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(capsys, "train.py:8") == textwrap.dedent("""\
        train.py:8  mask = jax.random.bernoulli(key, 0.5, x.shape)
        in `loss`, which `jax.grad` traces: train.py:15:13

        mask
          is a JAX array
            made by `bernoulli`: train.py:8:12

        jax.random.bernoulli(key, 0.5, x.shape)
          is a JAX array
          signature: jax.random.bernoulli(key): consumes key; returns array
          to declare it otherwise, under [tool.purestate.signatures]: "jax.random.bernoulli" = "consumes key; returns array"

        key
          is a key
            spent before by `split`: train.py:7:47
            a JAX array is handed over: train.py:15:42
            the parameter `key` of `loss`: train.py:6:18

        x.shape
          is a Python value at trace time
            the parameter `x` of `loss`: train.py:6:23

        x
          nothing is known of its value
            the parameter `x` of `loss`: train.py:6:23
        """)  # fmt: skip


def test_a_column_narrows_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(capsys, "train.py:8:34")
    assert [line for line in found.splitlines()[2:] if line and line[0] != " "] == [
        "jax.random.bernoulli(key, 0.5, x.shape)",
        "key",
    ]


def test_parameters_and_the_transform_around(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(capsys, "train.py:14") == textwrap.dedent("""\
        train.py:14  def step(state, batch, key: jax.Array):
        in `step`, which `jax.jit` traces: train.py:13:2

        state
          is a state
            the parameter `state` of `step`: train.py:14:10
            `state` is differentiated, or handed to what takes parameters

        batch
          nothing is known of its value
            the parameter `batch` of `step`: train.py:14:17

        key
          is a JAX array
            the parameter `key` of `step`: train.py:14:24
            annotated so: train.py:14:29
        """)


def test_a_function_of_the_project_is_followed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(capsys, "train.py:10:12")
    assert (
        "  followed `helpers.forward`: spends `rng`; edits `params` in place; returns a JAX array\n"
        '  to declare it otherwise, under [tool.purestate.signatures]: "helpers.forward" = "reads rng"\n'
    ) in found


def test_what_nobody_knows(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(capsys, "train.py:9:9")
    assert (
        "lib.noise(noise_key)\n"
        "  nothing is known of its value\n"
        "  `lib.noise` is not known: keys that it is handed count as spent, with less confidence\n"
        '  to declare it otherwise, under [tool.purestate.signatures]: "lib.noise" = "reads key"\n'
    ) in found


def test_the_line_of_settings_that_decides(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "purestate.toml").write_text('[signatures]\n# ours\n"lib.noise(rng)" = "reads rng"\n')
    line = '  called as purestate.toml:3 declares: "lib.noise(rng)" = "reads rng"\n'
    assert line in explained(capsys, "train.py:9")
    assert line not in explained(capsys, "train.py:9", "--isolated")


@pytest.mark.parametrize("line", [1, 5, 11])
def test_a_line_without_values(line: int, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(capsys, f"train.py:{line}").endswith("\nno value here is looked at\n")


def test_module_level(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explained(capsys, "train.py:19")
    assert found.startswith("train.py:19  key = jax.random.key(0)\nat module level, not traced\n")
    assert "key\n  is a key\n    made by `key`: train.py:19:7\n" in found


def test_as_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(explained(capsys, "train.py:9:9", "--output-format", "json"))
    assert found == {
        "path": "train.py",
        "cell": None,
        "line": 9,
        "code": "y = lib.noise(noise_key)",
        "function": "loss",
        "traced_by": "jax.grad",
        "traced_at": {"path": "train.py", "cell": None, "line": 15, "column": 13},
        "items": [
            {
                "text": "lib.noise(noise_key)",
                "at": {"path": "train.py", "cell": None, "line": 9, "column": 9},
                "is": None,
                "reasons": [],
                "call": {
                    "name": "lib.noise",
                    "by": "unknown",
                    "does": "not known: keys that it is handed count as spent, with less confidence",
                    "declared_at": None,
                    "override": '"lib.noise" = "reads key"',
                },
            }
        ],
    }


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("train.py", "`train.py` is not of the form FILE:LINE or FILE:LINE:COLUMN"),
        ("train.py:0", "train.py has 19 lines, so there is no line 0"),
        ("train.py:20", "train.py has 19 lines, so there is no line 20"),
        ("one.py:2", "one.py has 1 line, so there is no line 2"),
        ("none.py:1", "none.py: cannot be read: no such file or directory"),
        (
            "broken.py:1",
            "broken.py:2:1: cannot be parsed: expected an indented block after 'if' statement on line 1",
        ),
    ],
)
def test_a_place_that_cannot_be_explained(
    place: str, message: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "one.py").write_text("x = 1\n")
    (project / "broken.py").write_text("if x:\npass\n")
    assert main(["explain", place]) == 2
    assert capsys.readouterr() == ("", f"purestate: {message}\n")


PAGE = (Path(pytest_purestate.__file__).parents[1] / "docs" / "explain.md").read_text(encoding="utf-8")


def test_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "train.py").write_text(code, encoding="utf-8")
    shown = re.findall(r"^```console\n\$ purestate explain (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    settings = '[tool.purestate.signatures]\n"lib.noise" = "consumes rng"\n'
    for (place, expected), text in zip(shown, ("", settings), strict=True):
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        assert explained(capsys, place) == expected


CELLS = [
    ("markdown", "# Notes"),
    ("code", "%time\nimport jax\nkey = jax.random.key(0)"),
    ("code", "\na = jax.random.normal(key)\nb = jax.random.normal(key)"),
]


def notebook(folder: Path) -> None:
    cells = [{"cell_type": kind, "source": text, "metadata": {}} for kind, text in CELLS]
    (folder / "a.ipynb").write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )


def test_a_line_of_a_cell_and_places_in_others(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook(project)
    assert explained(capsys, "a.ipynb:cell 3:3:22") == textwrap.dedent("""\
        a.ipynb:cell 3:3  b = jax.random.normal(key)
        at module level, not traced

        jax.random.normal(key)
          is a JAX array
          signature: jax.random.normal(key, shape): consumes key; returns array
          to declare it otherwise, under [tool.purestate.signatures]: "jax.random.normal" = "consumes key; returns array"
        """)
    text = explained(capsys, "a.ipynb:cell 3:3:23")
    assert "spent before by `normal`: a.ipynb:cell 3:2:23\n" in text
    assert "a.ipynb:cell 2:3:7\n" in text
    told = json.loads(explained(capsys, "a.ipynb:cell 3:3", "--output-format", "json"))
    assert (told["cell"], told["line"]) == (3, 3)
    assert told["items"][0]["at"] == {"path": "a.ipynb", "cell": 3, "line": 3, "column": 1}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("a.ipynb:3", "a.ipynb is a notebook, of which a line is in a cell: `a.ipynb:cell 2:3`"),
        ("a.ipynb:cell 1:1", "a.ipynb: there is no code cell 1"),
        ("a.ipynb:cell 4:1", "a.ipynb: there is no code cell 4"),
        ("a.ipynb:cell 2:4", "a.ipynb: cell 2 has no line 4"),
        ("a.ipynb:cell 3:4", "a.ipynb: cell 3 has no line 4"),
        ("a.ipynb:cell 3:0", "a.ipynb: cell 3 has no line 0"),
        ("train.py:cell 3:1", "train.py: there is no code cell 3"),
    ],
)
def test_what_is_no_line_of_a_cell(
    project: Path, capsys: pytest.CaptureFixture[str], place: str, message: str
) -> None:
    notebook(project)
    assert main(["explain", place]) == 2
    assert capsys.readouterr().err == f"purestate: {message}\n"
