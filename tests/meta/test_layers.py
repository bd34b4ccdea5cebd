"""Imports point one way: who may import whom, checked on the source of every module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_purestate

PACKAGE = Path(pytest_purestate.__file__).parent
NAME = PACKAGE.name

MODEL = ("_check.model", "_check.source", "config")
FLOW = ("_check.ir", "_check.apis", "_check.model")
CORE = ("_check", "config")

# A layer is named by the longest prefix of a module's name. What it may import, beside the standard library:
# modules of the package by prefix, and other distributions.
ALLOWED: dict[str, tuple[str, ...]] = {
    "": ("_check.library", "_runtime"),
    "__main__": ("cli",),
    "config": ("_tomlfile",),
    "_tomlfile": (),
    "cli": ("_arguments", "_bundle", "_pages", *CORE),
    "_arguments": ("config",),
    "_backend": (),
    "_versions": (),
    "_bundle": ("_versions",),
    "_replay": ("_bundle", "_guard", "_runtime", "_versions", "pytest"),
    "plugin": (
        "config",
        "_backend",
        "_items",
        "_guard",
        "_bundle",
        "_replay",
        "_report",
        "_check.engine",
        "_check.model",
        "_runtime",
        "pytest",
    ),
    "_guard": ("_runtime", "pytest"),
    "_report": ("_pages", "_recorded", "_runtime", "_versions", "pytest"),
    "_recorded": (),
    "_pages": ("_pages",),
    "_items": ("config", *CORE, "pytest", "_pytest"),
    "_check": (),
    "_check.model": (),
    "_check.source": ("_check.documents",),
    "_check.documents": ("_check.documents",),
    "_check.documents.markdown": ("_check.documents", "markdown_it"),
    "_check.lexer": (),
    "_check.bounds": ("_check.lexer",),
    "_check.pool": (),
    "_check.ir": ("_check.model",),
    "_check.resolve": ("_check.source", "_check.ir", "_check.model"),
    "_check.trees": ("libcst",),
    "_check.syntax": ("_check.trees", "_check.model", "libcst"),
    "_check.lower": (
        "_check.trees",
        "_check.syntax",
        "_check.resolve",
        "_check.source",
        "_check.ir",
        "_check.model",
        "libcst",
    ),
    "_check.apis": ("_check.apis",),
    "_check.flow": ("_check.flow", *FLOW),
    "_check.rules": (
        *("_check.flow.facts", "_check.flow.values", "_check.flow.classes", "_check.flow.outlives"),
        *("_check.ir", "_check.model"),
        # What the rules share; a rule never imports another.
        *(
            "_check.rules._copies",
            "_check.rules._leaks",
            "_check.rules._lost",
            "_check.rules._printing",
            "_check.rules._reuse",
            "_check.rules._telling",
            "_check.rules._text",
        ),
    ),
    "_check.registry": ("_check.rules", "_check.model"),
    "_check.docs": ("_check.registry", "_check.model"),
    "_check.globs": (),
    "_check.files": (),
    "_check.noqa": ("_check.comments", "_check.lexer", "_check.model", "_check.source"),
    "_check.baseline": ("_check.report", "_check.files", "_tomlfile", *MODEL),
    "_check.adopt": ("_tomlfile", *CORE),
    "_check.show": ("_check.settings", "_check.registry", "_tomlfile", *MODEL),
    "_check.settings": ("_check.registry", "_check.apis", "_check.globs", *MODEL),
    "_check.discovery": ("_check.source", "_check.globs", "config", "pathspec"),
    "_check.comments": ("_check.model", "_check.registry"),
    "_check.suppress": ("_check.comments", "_check.model", "_check.source", "_check.lexer"),
    "_check.fixer": ("_check.model", "_check.source"),
    "_check.report": ("_check.report", "_check.docs", *MODEL, "_check.discovery"),
    "_check.outcome": (*MODEL, "_check.report"),
    "_check.checker": CORE,
    "_check.cache": CORE,
    "_check.progress": ("rich",),
    "_check.lsp": (*CORE, "pygls", "lsprotocol"),
    "_check.fixing": CORE,
    "_check.command": CORE,
    "_check.analysis": (
        "_check.apis",
        "_check.flow",
        "_check.lower",
        "_check.resolve",
        "_check.source",
        "_check.model",
        "_check.globs",
        "config",
    ),
    "_check.engine": ("_tomlfile", *CORE),
    "_check.library": CORE,
    "_check.reasons": ("_check.flow", *FLOW),
    "_check.explain": (
        "_check.analysis",
        "_check.reasons",
        "_check.flow",
        "_check.settings",
        "_check.bounds",
        "_check.discovery",
        "_tomlfile",
        *FLOW,
        *MODEL,
    ),
    "_check.explained": (
        "_check.explain",
        "_check.analysis",
        "_check.bounds",
        "_check.discovery",
        "_check.report",
        *MODEL,
    ),
    "_check.batch": CORE,
    "strategies": ("_runtime", "hypothesis", "jax", "numpy"),
    "_runtime": ("_runtime", "jax", "jaxlib", "flax", "optax", "chex", "orbax", "numpy"),
    "_runtime.failures": (),
    "_runtime.events": ("_runtime.failures",),
}


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def inside(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def layer_of(name: str) -> str:
    return max((layer for layer in ALLOWED if inside(name, layer) or not layer), key=len)


def imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every module that is imported, at any depth, but for what only a type checker sees."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            assert node.module is not None
            if (PACKAGE.parent / Path(*node.module.split("."))).is_dir():
                yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno
        todo.extend(ast.iter_child_nodes(node))


def problems(name: str, source: str) -> list[str]:
    """The imports of a module that its layer may not make."""
    allowed = ALLOWED[layer_of(name)]
    found = []
    for target, line in imports(ast.parse(source)):
        own = target.removeprefix(NAME + ".")
        if own == target and (target.split(".")[0] in sys.stdlib_module_names or target == NAME):
            continue
        if own.split(".")[0] == "msgspec" and inside(
            name, "_check"
        ):  # the classes of the static half are its structs
            continue
        if not any(inside(own, prefix) for prefix in allowed):
            found.append(f"{name}:{line} imports {own}")
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=[module_name(file) or "__init__" for file in FILES])
def test_a_module_imports_only_what_its_layer_may(file: Path) -> None:
    assert problems(module_name(file), file.read_text(encoding="utf-8")) == []


def test_every_layer_has_modules() -> None:
    used = {layer_of(module_name(file)) for file in FILES}
    assert sorted(set(ALLOWED) - used) == []


@pytest.mark.parametrize(
    ("name", "source", "problem"),
    [
        ("_check.rules.key_reuse", "import libcst", "_check.rules.key_reuse:1 imports libcst"),
        (
            "_check.rules.key_reuse",
            "from pytest_purestate._check.rules.parent_key_reuse import RULE",
            "_check.rules.key_reuse:1 imports _check.rules.parent_key_reuse",
        ),
        (
            "_check.flow.calls",
            "def f():\n    from pytest_purestate._check.lower import lower",
            "_check.flow.calls:2 imports _check.lower",
        ),
        ("_check.engine", "import jax", "_check.engine:1 imports jax"),
        ("_check.engine", "import pytest", "_check.engine:1 imports pytest"),
        (
            "_runtime.keys",
            "from pytest_purestate._check import engine",
            "_runtime.keys:1 imports _check.engine",
        ),
        ("_runtime.trees", "import libcst", "_runtime.trees:1 imports libcst"),
        ("config", "import pathspec", "config:1 imports pathspec"),
        ("_runtime.trees", "import msgspec", "_runtime.trees:1 imports msgspec"),
    ],
)
def test_a_wrong_import_would_be_seen(name: str, source: str, problem: str) -> None:
    assert problems(name, source) == [problem]


def test_what_only_a_type_checker_sees_does_not_count() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import libcst\nelse:\n    import jax\n"
    assert problems("_check.model", source) == ["_check.model:5 imports jax"]
