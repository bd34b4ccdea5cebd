"""Light trees are read as libcst's own are, and where they are used is decided with care."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TypedDict

import pytest
from grammar import program

HERE = Path(__file__).parent
BLOCK = re.compile(r"```python[^\n]*\n(.*?)```", re.DOTALL)
STRANGE = [
    "",
    "# only a comment",
    "\x0cx = 1\n",
    "x = 1\r\ny = (\r\n  2)\r\n",
    "if x:\n\ty = 1\n",
    "def f(a, /, b: 'list[int]' = 1, *c, d, **e) -> 'int': return a\n",
    "def f(a: 'not an annotation', *, b: b'bytes'): pass\n",
    "async def f():\n    async for x in y: await z\n    async with a as b: pass\n    return [i async for i in j]\n",
    "try:\n    pass\nexcept* (A, B) as e:\n    raise X from e\nelse:\n    pass\nfinally:\n    pass\n",
    "match x:\n    case {'a': 1, **rest} if rest: pass\n    case A(b, c=d) | [e, *_] as f: pass\n    case _: pass\n",
    "x = f'{a!r:>{width}} {b}' 'c' r'\\d' b''\n",
    "y = a[1:2, ::3, ..., *b]\nz = lambda *a, b=1: (yield)\n",
    "from . import a as b\nfrom ...c import *\nimport d.e as f, g.h\n",
    "x: int\nx: int = 1\nx += 1; x @= y; del x, (y, z)\nglobal q\nassert x, 'no'\n",
    "while (n := n - 1) > 0 < 3 != 4 is not None: continue\nelse: pass\n",
    "@a.b(c)\nclass D(E, metaclass=F, **g):\n    x = {**a, 'b': {*c}, 'd': {e for e in f if g}}\n",
    "print(*a, **b, c=d)\nx = not -+~y if z else w and v or u\n",
    "type X = int\ndef f[T](x: T) -> T: return x\n",
    "x = 0xFFFF_FFFF + 1_000.5e3 + 3j\n",
    "x = 'ä' + \"🎉\"  # ü\n",
    "x = (\n",
    "def f(:\n",
    "y = b'' 'mixed'\n",
    "f(a=1, b)\n",
    "x = 1 +\n",
    "return\n\tx\n",
]


class Dumped(TypedDict):
    light: bool
    loaded: bool
    usable: bool
    digests: list[str]


def dumped(texts: list[str], how: str) -> Dumped:
    done = subprocess.run(
        [sys.executable, HERE / "trees_dump.py", how],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    result: Dumped = json.loads(done.stdout)
    return result


def texts() -> list[str]:
    blocks = [
        block
        for page in sorted((HERE / "cases").glob("*.md"))
        for block in BLOCK.findall(page.read_text("utf-8"))
    ]
    own = [
        path.read_text("utf-8") for path in sorted((HERE.parents[1] / "pytest_purestate").rglob("*.py"))[::4]
    ]
    chosen = random.Random(7)
    made = [program(chosen.randrange) for _ in range(40)]
    return [*STRANGE, *blocks, *own, *made]


def test_light_trees_say_what_those_of_libcst_say() -> None:
    given = texts()
    light, whole = dumped(given, "light"), dumped(given, "whole")
    assert (light["light"], light["loaded"]) == (True, False)
    assert (whole["light"], whole["loaded"]) == (False, True)
    assert len(set(light["digests"])) > 350
    different = [text for text, a, b in zip(given, light["digests"], whole["digests"], strict=True) if a != b]
    assert different == []


def test_libcst_can_be_imported_after_its_parser_was_used_without_it() -> None:
    assert dumped(["x = 1\n"], "light")["usable"]


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ("trees.prefer_light(1)", "False"),
        ("", "True"),
        ("trees.prefer_light(trees.FEW)", "False"),
        ("trees.prefer_light(trees.FEW + 1)", "True"),
        (
            "trees.prefer_light(1); threading.Thread(target=time.sleep, args=(2,), daemon=True).start()",
            "True",
        ),
        ("import libcst; trees.prefer_light(1)", "True"),
        ("trees._extension = lambda: None; trees.prefer_light(1)", "True"),
        ("trees._OPTIONAL = (); trees._parsed = lambda entry, text: object(); trees.prefer_light(1)", "True"),
    ],
)
def test_where_libcst_is_loaded(setup: str, expected: str) -> None:
    """Where trees are light it is not; everywhere else trees are its own."""
    code = f"""
    import sys, threading, time
    from pytest_purestate._check import trees
    {setup}
    from pytest_purestate._check.lower import lower
    from pytest_purestate._check.source import Source
    module = lower(Source.from_text("x = f(1)\\n", "a.py")).module
    assert type(module.body[0]).__name__ == "Assign", module
    print("libcst" in sys.modules)
    """
    assert run(code) == expected


@pytest.mark.parametrize(("files", "loaded"), [(1, False), (12, True)])
def test_the_command_checks_a_few_clean_files_without_libcst(
    tmp_path: Path, files: int, loaded: bool
) -> None:
    for number in range(files):
        (tmp_path / f"a{number}.py").write_text(
            "import jax\n\n\ndef f(key):\n    return jax.random.normal(key)\n"
        )
    code = f"""
    import sys
    from pytest_purestate.cli import main
    arguments = ["check", "--isolated", "--no-cache", "--jobs", "0", {str(tmp_path)!r}]
    assert main(arguments, own_process=True) == 0
    print("libcst" in sys.modules)
    """
    assert run(code).splitlines()[-1] == str(loaded)
