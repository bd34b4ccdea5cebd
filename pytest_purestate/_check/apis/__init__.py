"""What known functions do to keys and state. Library knowledge is data; adding some is adding a line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from pytest_purestate._check.apis import (
    arrays,
    ecosystem,
    environments,
    equinox,
    flax,
    haiku,
    host,
    optax,
    probabilistic,
    random,
    transforms,
)
from pytest_purestate._check.apis.declared import parse_declaration
from pytest_purestate._check.apis.names import canonical
from pytest_purestate._check.apis.signature import (
    COMPILED,
    ELEMENTS,
    OBJECTS,
    UNFLATTENS,
    Signature,
    SignatureError,
    Table,
    parse_line,
    parse_lines,
)

__all__ = [
    "COMPILED",
    "ELEMENTS",
    "KEY_ANNOTATIONS",
    "OBJECTS",
    "UNFLATTENS",
    "Knowledge",
    "Signature",
    "SignatureError",
    "canonical",
    "exact",
    "find",
    "find_method",
    "is_question",
    "lines",
    "parse_declaration",
    "parse_line",
    "table",
]

KEY_ANNOTATIONS = random.KEY_ANNOTATIONS

_MODULES = (
    *(random, transforms, arrays, flax, optax, haiku, equinox, probabilistic, environments, ecosystem),
    host,
)


def lines() -> Iterator[Signature]:
    """Every signature of every table, as it is written there."""
    for module in _MODULES:
        yield from parse_lines(module.TABLE)


@cache
def table() -> Table:
    """Every signature by name."""
    return Table(module.TABLE for module in _MODULES)


_QUESTION = re.compile(
    r"_*(is|has|not|check|assert|validate|ensure|verify|maybe_check|expect)(_|[A-Z])|_*(isinstance|hasattr|len|repr|str|type|id)$"
)


def is_question(name: str) -> bool:
    """Whether a function's name says that it looks at its argument only: ``is_key``, ``assert_valid``, ..."""
    return _QUESTION.match(name) is not None


@cache
def exact(name: str) -> Signature | None:
    """What is known of exactly this function, defaults for a whole module left aside."""
    return table().get(canonical(name))


@cache
def find(name: str) -> Signature | None:
    """What is known of the function with this dotted name; the longest ``prefix.*`` line is the default."""
    known = table()
    name = canonical(name)
    if (found := known.get(name)) is not None:
        return found
    prefix = name
    while "." in prefix:
        prefix = prefix.rpartition(".")[0]
        if (found := known.get(f"{prefix}.*")) is not None:
            return found
    return None


@cache
def find_method(kind: str, name: str) -> Signature | None:
    """What is known of the method ``name`` of values of this kind."""
    known = table()
    for key in (f"@{kind}.{name}", f"@{kind}.*", f"@*.{name}"):
        if (found := known.get(key)) is not None:
            return found
    return None


class Knowledge:
    """The tables with a user's declarations over them: these win over all else that is known."""

    def __init__(self, declared: Iterable[Signature] = ()) -> None:
        self._declared = {canonical(signature.name): signature for signature in declared}
        self._last = {name.rpartition(".")[2] for name in self._declared}
        self._owners = {name.rpartition(".")[0] for name in self._declared}

    def declared(self, name: str) -> Signature | None:
        """What the user says of the function, method or class with this dotted name."""
        return self._declared.get(canonical(name)) if self._declared else None

    def declarations(self) -> Iterable[Signature]:
        """All that the user declares."""
        return self._declared.values()

    def mentions(self, qualname: str) -> bool:
        """Whether the user declares anything that bears the last name of this one."""
        return qualname.rpartition(".")[2] in self._last

    def defined(self, module: str, path: str, qualname: str) -> Signature | None:
        """What the user says of something that the project defines.

        ``module`` is the name that the ``__init__.py`` files spell, ``path`` the whole way to the file with dots:
        a declaration may also name the folders above, which a namespace package has.
        """
        own = f"{module}.{qualname}" if module else qualname
        for name, signature in self._declared.items():
            where = name.removesuffix(f".{qualname}")
            if (name == own or name.endswith(f".{own}")) and f".{path}".endswith(f".{where}"):
                return signature
        return None

    def is_class(self, name: str) -> bool:
        """Whether the user declares methods of the class with this dotted name."""
        return name in self._owners

    def exact(self, name: str) -> Signature | None:
        """What is known of exactly this function, defaults for a whole module left aside."""
        return self.declared(name) or exact(name)

    def find(self, name: str) -> Signature | None:
        """What is known of the function with this dotted name."""
        return self.declared(name) or find(name)

    def given(self, name: str, kind: str) -> Signature | None:
        """What is known of a function when its first argument is of this kind."""
        return exact(f"{canonical(name)}@{kind}") or self.find(name) if kind in OBJECTS else self.find(name)

    def method(self, kind: str, cls: str, name: str) -> Signature | None:
        """What is known of the method ``name`` of values of this kind, or of the class with the dotted name ``cls``."""
        own = self.declared(f"{cls}.{name}") or table().get(f"{canonical(cls)}.{name}") if cls else None
        return own or find_method(kind, name)
