"""Where syntax trees come from: libcst's parser, with the classes of libcst or with light ones.

Importing libcst takes a third of a second, most of it to build some 250 dataclasses that can print, validate and visit
themselves. Of most files nothing is asked but what is in which field. libcst's parser is an extension of its own, which
looks up the classes of the nodes in the module ``libcst`` when it makes them; where a process is ours, and its files
are few, it finds `_Light` there while it parses, and the whole of libcst is loaded only when a position is asked for,
or when a text is no Python. In other processes, and where the extension is not where it is expected, trees are
libcst's own.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import libcst

__all__ = ["SyntaxProblem", "classes", "full", "parse_expression", "parse_module", "prefer_light"]


class SyntaxProblem(Exception):  # noqa: N818 - it is reported, not raised at users
    """The text is not Python. ``line`` and ``column`` are 1-based, columns count code points."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class _Light(SimpleNamespace):
    """A node: its fields."""


# The parser leaves out the fields that are None. These are the ones that lowering asks for.
_OPTIONAL = (
    "annotation asname asynchronous cause comma default exc expression finalbody format_spec guard inner_for_in keyword "
    "lower module msg name orelse pattern rest returns star star_arg star_kwarg step type upper value"
)
for _field in _OPTIONAL.split():
    setattr(_Light, _field, None)


class _Classes(ModuleType):
    """A class for each name that is asked for, always the same one."""

    def __getattr__(self, name: str) -> type[_Light]:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (_Light,), {})
        setattr(self, name, made)
        return made


FEW = 8
"""With this many files, all of which have findings, the second parse costs as much as importing libcst."""

_wanted = False
_light: tuple[ModuleType, _Classes] | None = None  # the parser, and the classes that it is given


def prefer_light(files: int) -> None:
    """Let the trees of this process be light, where it is to parse no more than a few files: with more, libcst pays.

    To be called before `classes` is, in a process without other threads. While a text is parsed another thread that
    imports libcst would get the light classes; so this is nothing for the process of somebody else. Without effect
    where libcst is loaded already.
    """
    global _wanted
    _wanted = files <= FEW


def _extension() -> ModuleType | None:
    """libcst's parser, loaded without libcst."""
    import importlib.util
    from importlib.machinery import PathFinder

    name = "libcst.native"
    package = importlib.util.find_spec("libcst")
    if package is None or package.submodule_search_locations is None:
        return None
    spec = PathFinder.find_spec(name, package.submodule_search_locations)
    if spec is None or spec.loader is None:
        return None
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError:
        return None
    if not hasattr(module, "parse_module") or not hasattr(module, "parse_expression"):
        return None
    sys.modules[name] = module  # an extension can be loaded once; libcst itself will find it here
    return module


def _works() -> bool:
    """Whether the parser makes nodes as it is expected to."""
    try:
        tree = _parsed("parse_module", "f(x)\n")
        return tree.body[0].body[0].value.args[0].value.value == "x" and tree.footer is not None
    except (AttributeError, IndexError, TypeError, _NoLightTreeError):
        return False


class _NoLightTreeError(Exception):
    """The parser did not make one; libcst says why."""


def _parsed(entry: str, text: str) -> Any:
    assert _light is not None
    parser, light = _light
    loaded = sys.modules.get("libcst")
    sys.modules["libcst"] = light
    try:
        return getattr(parser, entry)(text)
    except Exception as error:
        raise _NoLightTreeError from error
    finally:
        if loaded is None:
            del sys.modules["libcst"]
        else:
            sys.modules["libcst"] = loaded


def classes() -> Any:
    """Where the classes of the nodes are: the module libcst, or what stands for it in this process."""
    global _light
    if _light is None and _wanted and "libcst" not in sys.modules and threading.active_count() == 1:
        parser = _extension()
        if parser is not None:
            _light = parser, _Classes("libcst")
            if not _works():
                _light = None
    if _light is not None:
        return _light[1]
    import libcst

    return libcst


def parse_module(text: str) -> libcst.Module:
    """The tree of a text. Raises SyntaxProblem when it is not Python."""
    if _light is not None and _python_error(text) is None:
        try:
            tree: libcst.Module = _parsed("parse_module", text)
        except _NoLightTreeError:
            pass
        else:
            return tree
    import libcst

    try:
        tree = libcst.parse_module(text)
    except libcst.ParserSyntaxError as error:
        raise _told(text, SyntaxProblem(_reason(error), error.editor_line, error.editor_column)) from None
    except (libcst.CSTValidationError, UnicodeError, ValueError) as error:
        raise _told(text, SyntaxProblem(str(error), 1, 1)) from None
    return tree if _light is None else _lightened(tree)


def _reason(error: libcst.ParserSyntaxError) -> str:
    first = error.message.strip().splitlines()[0] if error.message.strip() else "invalid syntax"
    return first.removeprefix("parser error: ").rstrip(".")


def _told(text: str, problem: SyntaxProblem) -> SyntaxProblem:
    """What is wrong and where, as Python tells it, which knows both better; what it reads itself is ``problem``."""
    known = _python_error(text)
    if isinstance(known, SyntaxError):
        return SyntaxProblem(known.msg, known.lineno or 1, max(known.offset or 1, 1))
    return problem


def parse_expression(text: str) -> libcst.BaseExpression:
    """The tree of an expression. Raises the errors of libcst when it is none."""
    if _light is not None:
        try:
            tree: libcst.BaseExpression = _parsed("parse_expression", text)
        except _NoLightTreeError:
            pass
        else:
            return tree
    import libcst

    tree = libcst.parse_expression(text)
    return tree if _light is None else _lightened(tree)


def _python_error(text: str) -> Exception | None:
    """Why Python does not read a text. Where it does, a tree needs no validation; asking takes a tenth of the parser's time."""
    import ast
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return error
    return None


def _lightened(node: Any) -> Any:
    """A light copy of what libcst made, as its parser would have made it."""
    import libcst

    assert _light is not None
    if isinstance(node, libcst.CSTNode):
        fields = {name: _lightened(value) for name, value in _fields(node)}
        return getattr(_light[1], type(node).__name__)(**fields)
    if isinstance(node, (list, tuple)):
        return [_lightened(item) for item in node]
    return node


def _fields(node: libcst.CSTNode) -> Iterator[tuple[str, Any]]:
    import libcst

    for name in node.__dataclass_fields__:
        value = getattr(node, name)
        if value is not None and not isinstance(value, libcst.MaybeSentinel):
            yield name, value


def full(
    text: str, tree: libcst.Module, nodes: list[Any]
) -> tuple[libcst.Module, list[libcst.CSTNode | None]]:
    """libcst's own tree of a text, and its nodes in the place of ``nodes``; None for those that are not in ``tree``."""
    if not isinstance(tree, _Light):
        return tree, nodes
    import libcst

    whole = libcst.parse_module(text)
    twins: dict[int, libcst.CSTNode] = {}
    stack: list[tuple[Any, Any]] = [(tree, whole)]
    while stack:
        node, twin = stack.pop()
        if isinstance(node, _Light):
            twins[id(node)] = twin
            stack += [(value, getattr(twin, name)) for name, value in vars(node).items()]
        elif isinstance(node, (list, tuple)):
            stack += zip(node, twin, strict=True)
    return whole, [twins.get(id(node)) for node in nodes]
