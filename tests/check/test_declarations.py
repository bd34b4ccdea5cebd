"""`[tool.purestate.signatures]`: what users say of their own functions wins over all that we know."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_purestate import cli
from pytest_purestate._check.apis import parse_declaration, signature
from pytest_purestate._check.engine import check_paths
from pytest_purestate.config import ConfigError


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return file


def declare(*lines: str, folder: str = ".") -> None:
    write(f"{folder}/pyproject.toml", "[tool.purestate.signatures]\n" + "\n".join(lines) + "\n")


def found(*paths: str) -> list[tuple[str, int, str, str]]:
    run = check_paths([Path(path) for path in paths or (".",)], jobs=0)
    assert not run.internal, run.findings
    return [
        (result.path, Path(result.path).read_bytes().count(b"\n", 0, f.primary.span.start) + 1, f.code,
         f.confidence.name)
        for result in run.results
        for f in result.findings
    ]  # fmt: skip


FOREIGN = """
    import jax
    import mylib
    from mylib import noise as draw

    def f(key, x):
        a = mylib.noise(key, x.shape)
        return a + draw(key, x.shape)

    def g(rng, x):
        return mylib.noise(x.shape, rng=rng) + jax.random.normal(rng)
"""


def test_a_foreign_function_spends_the_first_key_it_is_given() -> None:
    write("a.py", FOREIGN)
    assert found() == [("a.py", 10, "PS101", "MEDIUM")]
    declare('"mylib.noise" = "consumes rng"')
    assert found() == [("a.py", 7, "PS101", "HIGH"), ("a.py", 10, "PS101", "HIGH")]


def test_a_list_of_parameters_says_where_the_key_stands() -> None:
    write("a.py", """
        import jax
        import mylib

        def f(key, other):
            a = mylib.noise(key, other)
            return a + mylib.noise(key, jax.random.key(1)) + jax.random.normal(other)
    """)  # fmt: skip
    declare('"mylib.noise(table, rng)" = "consumes rng"')
    assert found() == [("a.py", 6, "PS101", "HIGH")]
    declare('"mylib.noise(rng, table)" = "consumes rng"')
    assert found() == [("a.py", 6, "PS101", "HIGH")]
    declare('"mylib.noise(table, *, rng)" = "consumes rng"')
    assert found() == []


def test_a_function_that_only_reads() -> None:
    write("a.py", """
        import jax
        import mylib

        def f(key):
            a = mylib.fork(key, 1)
            b = mylib.fork(key, 2)
            return jax.random.normal(a) + jax.random.normal(b) + jax.random.normal(key)

        def g(key):
            a = mylib.fork(key, 1)
            return jax.random.normal(a) + jax.random.normal(a)

        def h(key, n):
            for i in range(n):
                k = mylib.fork(key, 3)
                jax.random.normal(k)
    """)  # fmt: skip
    declare('"mylib.fork" = "reads rng; returns fresh"')
    assert found() == [("a.py", 11, "PS101", "HIGH")]


def test_streams() -> None:
    write("a.py", """
        import jax
        from mylib import Stream

        def f(seed):
            stream = Stream(seed)
            a, b, c = stream(), next(stream), stream.params()
            return [jax.random.normal(k) for k in (a, b, c)] + [jax.random.normal(stream.noise()) for _ in range(3)]

        def g(stream: Stream):
            k = stream()
            return jax.random.normal(k) + jax.random.normal(k)

        def h(stream: Stream, n):
            for _ in range(n):
                jax.random.normal(stream.dropout())
    """)  # fmt: skip
    declare('"mylib.Stream" = "stream"')
    assert found() == [("a.py", 11, "PS101", "HIGH")]


PROJECT = """
    import jax

    class Box:
        def __init__(self, key):
            self.key = key

        def draw(self, scale, key):
            return scale * self.cached(key)

        def __call__(self):
            return self.key

    def noise(shape, rng):
        return _cached(shape, rng)

    def make(rng):
        return jax.random.normal(rng)

    def _cached(shape, rng): ...
"""

CALLER = """
    import jax
    from pkg import make
    from pkg.mod import Box, noise

    def spends(key):
        return noise((), key) + noise(shape=(), rng=key)

    def reads(key):
        return make(key) + make(key)

    def method(key, box: Box):
        return box.draw(1.0, key) + box.draw(2.0, key=key)

    def stream(key):
        box = Box(key)
        return jax.random.normal(box()) + jax.random.normal(box())
"""


def test_project_functions_methods_and_classes_by_their_dotted_names() -> None:
    write("src/pkg/__init__.py", "from pkg.mod import make\n")
    write("src/pkg/mod.py", PROJECT)
    write("src/app.py", CALLER)
    assert found() == [("src/app.py", 9, "PS101", "HIGH"), ("src/app.py", 16, "PS101", "HIGH")]
    declare('"pkg.mod.noise" = "consumes rng"', '"pkg.mod.make" = "reads rng"')
    assert found() == [("src/app.py", 6, "PS101", "HIGH"), ("src/app.py", 16, "PS101", "HIGH")]
    declare('"pkg.make" = "reads rng"', '"pkg.mod.Box.draw" = "consumes key"', '"pkg.mod.Box" = "stream"')
    assert found() == [("src/app.py", 12, "PS101", "HIGH")]
    declare('"pkg.mod.Box.draw" = "consumes key"')
    assert ("src/app.py", 12, "PS101", "HIGH") in found()
    declare('"pkg.mod.Box.draw(scale, key)" = "consumes key"')
    assert ("src/app.py", 12, "PS101", "HIGH") in found()
    declare('"other.mod.make" = "reads rng"', '"mod.make" = "reads rng"')
    assert ("src/app.py", 9, "PS101", "HIGH") in found()


def test_methods_of_a_foreign_class() -> None:
    write("a.py", """
        import mylib

        def f(key):
            box = mylib.Box(3)
            return box.draw(key) + box.draw(key)

        def g(key, box: mylib.Box):
            return box.draw(key) + box.draw(key) + box.look(key)
    """)  # fmt: skip
    declare('"mylib.Box.draw(rng)" = "consumes rng"', '"mylib.Box.look" = "reads rng"')
    assert found() == [("a.py", 5, "PS101", "HIGH"), ("a.py", 8, "PS101", "HIGH")]


def test_a_declaration_wins_over_our_tables() -> None:
    write("a.py", """
        import jax

        def f(key):
            return jax.random.normal(key) + jax.random.normal(key)
    """)  # fmt: skip
    assert found() == [("a.py", 4, "PS101", "HIGH")]
    declare('"jax.random.normal" = "reads key; returns array"')
    assert found() == []


def test_other_clauses() -> None:
    write("a.py", """
        import jax
        import mylib

        def fill(state):
            mylib.fill(state)

        def dropped(state):
            mylib.moved(state)
            return state

        def same(key):
            other = mylib.on_device(key)
            return jax.random.normal(key) + jax.random.normal(other)

        @mylib.compiled
        def traced(x):
            mylib.report(x)
            return x

        def loop(key, xs):
            return mylib.each(lambda x: x + jax.random.normal(key), xs)

        def children(key):
            a, b = mylib.two(key)
            return jax.random.normal(a) + jax.random.normal(b) + jax.random.normal(key)
    """)  # fmt: skip
    declare(
        '"mylib.fill" = "mutates state; state state"',
        '"mylib.moved" = "pure; returns state"',
        '"mylib.on_device" = "returns same x"',
        '"mylib.compiled" = "wraps f as jit"',
        '"mylib.report" = "effect print"',
        '"mylib.each(f, xs)" = "runs f as map"',
        '"mylib.two" = "splits rng; returns keys"',
    )
    assert [(line, code) for _, line, code, _ in found()] == [
        (5, "PS202"),
        (8, "PS204"),
        (13, "PS101"),
        (17, "PS301"),
        (21, "PS102"),
        (25, "PS103"),
    ]


def test_each_file_follows_its_own_settings_whoever_else_is_checked() -> None:
    for folder, line in (("one", '"mylib.noise" = "consumes rng"'), ("two", '"mylib.noise" = "reads rng"')):
        declare(line, folder=folder)
        write(f"{folder}/a.py", FOREIGN)
        write(
            f"{folder}/b.py", "from a import f  # jax\n\n\ndef g(key, x):\n    return f(key, x) + f(key, x)\n"
        )
    both = found("one", "two")
    assert both == found("one") + found("two")
    assert [(path, line) for path, line, _, _ in both] == [("one/a.py", 7), ("one/a.py", 10), ("one/b.py", 5)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"mylib.f" = "consume rng"', "`mylib.f`: unknown clause `consume`, did you mean `consumes`?"),
        ('"mylib.f" = "returns fresher"', "`mylib.f`: unknown kind of result `fresher`; known are"),
        ('"mylib.f" = "returns stat"', "`mylib.f`: unknown kind of result `stat`, did you mean `state`?"),
        ('"mylib.f(rng, n)" = "consumes rgn"',
         "`mylib.f(rng, n)`: `rgn` is not among the parameters (rng, n), did you mean `rng`?"),
        ('"mylib.f(rng=1)" = "consumes rng"', "`mylib.f(rng=1)`: `rng=1` is not the name of a parameter"),
        ('"mylib.f" = "consumes 1"', "`mylib.f`: `1` is not the name of a parameter"),
        ('"mylib.f" = ["consumes rng"]', '`mylib.f` must be a string such as "consumes rng"'),
        ('"mylib.f" = " "', "`mylib.f`: says nothing about the function"),
        ('"mylib." = "stream"', "`mylib.`: not a dotted name such as `package.module.function`"),
        ('"noise" = "consumes rng"', "`noise`: not a dotted name such as `package.module.function`"),
        ('"mylib.f(" = "consumes rng"', "`mylib.f(`: not a dotted name such as `package.module.function`"),
        ('"mylib.class" = "stream"', "`mylib.class`: not a dotted name such as `package.module.function`"),
        ('"mylib.f" = "wraps f as jitted"', "`mylib.f`: unknown transform `jitted`, did you mean `jit`?"),
        ('"mylib.f(x)" = "pure"\n"mylib.f" = "pure"', "`mylib.f`: declared before"),
        ('mylib.f = "reeds rng"', "`mylib.f`: unknown clause `reeds`, did you mean `reads`?"),
    ],
)  # fmt: skip
def test_a_mistake_names_the_place_and_the_right_word(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write("a.py", "import jax\n")
    write(
        "pyproject.toml",
        f"[tool.purestate]\nselect = ['PS1']\n\n[tool.purestate.signatures]\n# ours\n{line}\n",
    )
    number = 6 + line.count("\n")
    with pytest.raises(ConfigError) as caught:
        check_paths([Path()], jobs=0)
    assert str(caught.value).startswith(f"pyproject.toml:{number}: {message}")
    assert cli.main(["check", "."]) == 2
    assert f"pyproject.toml:{number}: {message}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("purestate.toml", '[signatures]\n\n"mylib.f" = "nothing"\n', 3),
        ("purestate.toml", 'signatures = { "mylib.g" = "stream", "mylib.f" = "nothing" }\n', 1),
        ("purestate.toml", 'signatures."mylib.f" = "nothing"\n', 1),
        ("purestate.toml", '[signatures.mylib]\ng = "stream"\nf = "nothing"\n', 3),
        ("pyproject.toml", '[tool.purestate]\nsignatures = { "mylib.f" = "nothing" }\n', 2),
        ("pyproject.toml", '[tool.purestate.signatures]\nmylib.g = "stream"\nmylib.f = "nothing"\n', 3),
        ("pyproject.toml", '["x"]\n"mylib.f" = 1\n[tool.purestate.signatures]\n"mylib.f" = "nothing"\n', 4),
    ],
)
def test_a_mistake_is_found_however_the_table_is_written(file: str, text: str, line: int) -> None:
    write("a.py", "import jax\n")
    Path(file).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        check_paths([Path()], jobs=0)
    assert str(caught.value).startswith(
        f"{file}:{line}: `mylib.f`: unknown clause `nothing`; known are aliases"
    )


def test_the_table_itself_must_be_a_table() -> None:
    write("a.py", "import jax\n")
    write("pyproject.toml", "[tool.purestate]\nsignatures = ['mylib.f']\n")
    with pytest.raises(ConfigError) as caught:
        check_paths([Path()], jobs=0)
    assert str(caught.value) == "pyproject.toml:2: `signatures` must be a table of names and signatures"


def test_the_page_about_signatures_is_right() -> None:
    page = (Path(__file__).parents[2] / "docs" / "signatures.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    for name, text in tomllib.loads(block)["tool"]["purestate"]["signatures"].items():
        assert parse_declaration(name, text).name == name
    told = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    for clause in told:
        parse_declaration("mylib.f", clause)
    assert {clause.split()[0] for clause in told} == set(signature.CLAUSES)
