"""Notebooks, Markdown and MyST: what is seen of them, where findings stand, and that fixes change nothing else."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_purestate._check.documents import DocumentError, view_of
from pytest_purestate._check.documents.cells import plain, problem
from pytest_purestate._check.source import Source
from pytest_purestate.cli import main


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def code(*lines: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": 3,
        "metadata": {"tags": ["x"]},
        "outputs": [{"output_type": "stream", "name": "stdout", "text": ["x[0] = 1\n"]}],
        "source": [f"{line}\n" for line in lines[:-1]] + list(lines[-1:]),
    }


def prose(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": [text]}


def notebook(*cells: dict[str, Any], **metadata: Any) -> str:
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


REUSE = notebook(
    prose("# Größe"),
    code("%matplotlib inline", "import jax", "import jax.numpy as jnp", "key = jax.random.key(0)"),
    code("größe = jax.random.normal(key)"),
    prose("key is used again below"),
    code("!pip install x", "y = jax.random.normal(key)  # ü", "x = jnp.zeros(3)", "x[0] = 1.0  # keep"),
)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["check", "--isolated", "--jobs=0", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


# --- notebooks -----------------------------------------------------------------------------


def test_findings_are_placed_by_cell_and_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.ipynb").write_text(REUSE, encoding="utf-8")
    status, out, _ = run(capsys, "--output-format=concise")
    assert status == 1
    assert out.splitlines()[:2] == [
        "a.ipynb:cell 5:2:23: PS101 key `key` is used again after `normal` consumed it",
        "a.ipynb:cell 5:4:1: PS201 `x` is a JAX array and cannot be assigned in place",
    ]


def test_the_frames_of_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.ipynb").write_text(REUSE, encoding="utf-8")
    _, out, _ = run(capsys, "--select=PS101")
    assert out.split("\n\n")[0] == (
        "PS101 key `key` is used again after `normal` consumed it\n"
        "  --> a.ipynb:cell 5:2:23\n"
        "   |\n"
        " 2 | y = jax.random.normal(key)  # ü\n"
        "   |                       ^^^ used again here\n"
        "  ::: a.ipynb:cell 3:1:27\n"
        "   |\n"
        " 1 | größe = jax.random.normal(key)\n"
        "   |                           --- first consumed here\n"
        "   = help: split it first, `key_a, key_b = jax.random.split(key)`, and use each part once"
    )


def test_json_has_the_cell(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.ipynb").write_text(REUSE, encoding="utf-8")
    _, out, _ = run(capsys, "--output-format=json")
    reuse, array = json.loads(out)
    assert (reuse["cell"], reuse["line"], reuse["column"]) == (5, 2, 23)
    (edit,) = array["fix"]["edits"]
    assert (array["cell"], edit["line"], edit["column"], edit["end_column"]) == (5, 4, 1, 11)


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_fixes_leave_all_but_the_line_byte_for_byte(
    capsys: pytest.CaptureFixture[str], indent: int | None, ascii_only: bool, ending: str
) -> None:
    text = json.dumps(json.loads(REUSE), indent=indent, ensure_ascii=ascii_only).replace("\n", ending)
    file = Path("a.ipynb")
    file.write_bytes(text.encode())
    run(capsys, "--fix")
    assert file.read_bytes().decode() == text.replace("x[0] = 1.0  # keep", "x = x.at[0].set(1.0)  # keep")


def test_sources_that_are_one_string_stay_one(capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(REUSE)
    for cell in content["cells"]:
        cell["source"] = "".join(cell["source"])
    text = json.dumps(content, sort_keys=True)
    file = Path("a.ipynb")
    file.write_text(text)
    run(capsys, "--fix")
    assert file.read_text() == text.replace("x[0] = 1.0", "x = x.at[0].set(1.0)")


def test_a_fix_that_adds_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = notebook(code("from jax import jit"), code("@jit", "def f(x):", "    print(x)", "    return x"))
    file = Path("a.ipynb")
    file.write_text(text)
    assert run(capsys, "--fix", "--unsafe-fixes")[0] == 0
    first, second = (cell["source"] for cell in json.loads(file.read_text())["cells"])
    assert first == ["import jax\n", "from jax import jit"]
    assert second == ["@jit\n", "def f(x):\n", '    jax.debug.print("{}", x)\n', "    return x"]


def test_comments_are_added_to_cells(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("a.ipynb")
    file.write_text(REUSE, encoding="utf-8")
    assert run(capsys, "--add-noqa")[0] == 0
    (*_, cell) = json.loads(file.read_text(encoding="utf-8"))["cells"]
    assert cell["source"] == [
        "!pip install x\n",
        "y = jax.random.normal(key)  # ü  # noqa: PS101\n",
        "x = jnp.zeros(3)\n",
        "x[0] = 1.0  # keep  # noqa: PS201",
    ]
    assert run(capsys)[0] == 0


def test_a_cell_that_cannot_be_parsed_costs_that_cell_only(capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(REUSE)
    content["cells"].insert(2, code("import jax", "def f(:"))
    Path("a.ipynb").write_text(json.dumps(content))
    _, out, _ = run(capsys, "--output-format=concise")
    assert [line.split(": ")[0] for line in out.splitlines()[:3]] == [
        "a.ipynb:cell 3:2:7",
        "a.ipynb:cell 6:2:23",
        "a.ipynb:cell 6:4:1",
    ]
    assert "PS001 cannot be parsed: " in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a notebook"),
        ("{", "is not a notebook"),
        ("[]", "is not a notebook: it has no cells"),
        ('{"cells": 3}', "is not a notebook: its cells are no list"),
        (
            '{"worksheets": []}',
            "is a notebook of format 3; `jupyter nbconvert --to notebook` makes a newer one",
        ),
        ('{"cells": [}', "is not a notebook"),
        ("\ud800", "is not a notebook"),
    ],
)
def test_what_is_no_notebook_says_so(capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    Path("a.ipynb").write_bytes(text.encode("utf-8", "surrogatepass"))
    status, out, _ = run(capsys, "--no-prefilter", "--output-format=concise")
    assert status == 1
    assert out.startswith(f"a.ipynb:1:1: PS003 cannot be read: {message}")


def test_notebooks_of_other_languages_have_nothing_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(REUSE)
    content["metadata"] = {"kernelspec": {"language": "julia", "name": "julia-1.10"}}
    Path("a.ipynb").write_text(json.dumps(content))
    assert run(capsys)[0] == 0
    content["metadata"] = {"language_info": {"name": "python"}}
    Path("a.ipynb").write_text(json.dumps(content))
    assert run(capsys)[0] == 1


def test_standard_input_under_the_name_of_a_notebook(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys
    import types

    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(REUSE.encode())))
    status, out, _ = run(capsys, "-", "--fix", "--stdin-filename=a.ipynb", "--select=PS201")
    assert (status, out) == (0, REUSE.replace("x[0] = 1.0", "x = x.at[0].set(1.0)"))


@pytest.mark.parametrize(
    "cell",
    [
        "%time x = 1\ny = 2", "!ls -l\nx = 1", "x = !ls\ny = 1", "files = %sx ls ü\ny", "?x\ny = 1", "x.y?\ny = 1",
        "x??\n", "%%time\nx = 1", "%%capture out\nx = 1\n!ls", "if True:\n    !ls\n    x = 1", "try:\n    import x\nexcept ImportError:\n    %pip install x", "try:\n    x\nfinally:\n    !ls",
        "!python main.py \\\n  --x=1 \\\n  --y\nx = 1", "x = !ls \\\n -l\ny", "%time\nx = (a % 2) / 2\ny = a != b", "x = %time f(1)",
        "  %magic\nx", "%", "!", "a, b = !ü",
    ],
)  # fmt: skip
def test_magics_become_python_of_the_same_length(cell: str) -> None:
    seen = plain(cell)
    assert len(seen.encode()) == len(cell.encode())
    assert seen.count("\n") == cell.count("\n")
    assert problem(seen) is None


@pytest.mark.parametrize("cell", ["%%bash\nls", "%%html\n<b>", "  %%writefile x.py\nx = 1"])
def test_cells_of_other_languages_are_blank(cell: str) -> None:
    assert not plain(cell).strip()
    assert len(plain(cell)) == len(cell)


def test_an_indented_cell_is_one_that_ipython_takes_but_we_cannot_show() -> None:
    cell = " print(1)\nfor i in x:\n  y\n"
    assert not plain(cell).strip()
    assert len(plain(cell)) == len(cell)


def test_a_string_may_look_like_a_magic() -> None:
    cell = 'text = """\n%d percent\n!no\n"""\nx = 5 \\\n% 3'
    assert plain(cell) == cell


SOURCES = st.lists(st.text(st.characters(exclude_characters="\x1e\r"), max_size=20), max_size=5)


@given(SOURCES, st.sampled_from([None, 1, 2]), st.booleans())
def test_a_notebook_that_is_not_changed_is_written_as_it_was(
    sources: list[str], indent: int | None, ascii_only: bool
) -> None:
    cells = [{**code(), "source": source} for source in sources]
    try:
        raw = json.dumps({"cells": cells, "metadata": {}}, indent=indent, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return
    try:
        view = view_of("a.ipynb", raw)
    except DocumentError:
        return
    assert view is not None
    assert view.restore(view.text) == raw
    assert len(view.text.encode("utf-8", "surrogatepass")) == len(
        view.python.encode("utf-8", "surrogatepass")
    )
    ast.parse(view.python.replace("\0", " "))


# --- Markdown ------------------------------------------------------------------------------

PAGE = """\
# Random *numbers* in grün

x[0] = 1 is prose.

```python
import jax
import jax.numpy as jnp
key = jax.random.key(0)
a = jax.random.normal(key)
```

```
key = not(python
```

1. A list:

   ```py title="x.py"
   x = jnp.zeros(3)
   x[0] = 1.0  # keep
   ```

> quoted
>
> ~~~python
> b = jax.random.normal(key)
> ~~~

```{code-cell} ipython3
:tags: [hide-input]
%time
c = jax.random.normal(key)
```

```python
sketch = f(..., and so on
```

```pycon
>>> jax.random.normal(key)
```

```{code-block} julia
key = jax.random.normal(key)
```

    jax.random.normal(key)

```{code-cell}
---
tags: [x]
---
d = jnp.ones(3)
d[1] += 2
```
"""


def test_blocks_of_a_page_are_one_module(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.md").write_text(PAGE, encoding="utf-8")
    _, out, _ = run(capsys, "a.md", "--output-format=concise")
    assert [line.split(" `")[0] for line in out.splitlines()[:-2]] == [
        "a.md:20:4: PS201",
        "a.md:26:25: PS101 key",
        "a.md:32:23: PS101 key",
        "a.md:54:1: PS201",
    ]


def test_fixes_of_a_page_leave_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("a.md")
    file.write_text(PAGE, encoding="utf-8")
    run(capsys, "a.md", "--fix")
    fixed = PAGE.replace("x[0] = 1.0  # keep", "x = x.at[0].set(1.0)  # keep")
    assert file.read_text(encoding="utf-8") == fixed.replace("d[1] += 2", "d = d.at[1].add(2)")


@pytest.mark.parametrize("name", ["a.md", "b.markdown", "c.myst"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_views_are_as_long_as_pages(name: str, ending: str) -> None:
    raw = PAGE.replace("\n", ending).encode()
    source = Source.from_bytes(raw, name)
    assert len(source.data) == len(raw)
    assert source.to_bytes() == raw
    ast.parse(source.text)
    assert "sketch" not in source.text
    assert "d[1] += 2" in source.text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_is_a_page(text: str) -> None:
    raw = f"{text}\n```python\nx = 1\n```\n{text}".encode()
    view = view_of("a.md", raw)
    assert view is not None
    assert len(view.python.encode()) == len(raw)
    assert view.restore(view.text) == raw
    ast.parse(view.python.replace("\0", " "))


def test_pages_are_checked_when_they_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.md").write_text(PAGE, encoding="utf-8")
    assert "0 files checked" in run(capsys)[1]
    Path("purestate.toml").write_text("extend-include = ['*.md']\n")
    assert main(["check", "--jobs=0", "--output-format=concise"]) == 1
    assert "a.md:20:4: PS201" in capsys.readouterr().out
    Path("b.md").write_bytes(b"jax \xff")
    assert (
        "b.md:1:1: PS003 cannot be read: is not utf-8: " in run(capsys, "b.md", "--output-format=concise")[1]
    )
