"""What known functions do to keys and state. Library knowledge is data; adding some is adding a line."""

from __future__ import annotations

import re
from functools import cache

from pytest_purestate._check.apis import arrays, ecosystem, flax, host, optax, random, transforms
from pytest_purestate._check.apis.signature import Signature, SignatureError, parse_line, parse_table

__all__ = [
    "KEY_ANNOTATIONS",
    "Signature",
    "SignatureError",
    "canonical",
    "exact",
    "find",
    "find_method",
    "is_question",
    "parse_line",
    "table",
]

KEY_ANNOTATIONS = random.KEY_ANNOTATIONS

_MODULES = (random, transforms, arrays, flax, optax, ecosystem, host)

# Other spellings of the same module, longest first.
_ALIASES = (
    ("jax._src.random.", "jax.random."),
    ("jax.experimental.maps.", "jax."),
    ("jax.interpreters.pxla.", "jax."),
    ("flax.linen.module.", "flax.linen."),
    ("flax.nn.", "flax.linen."),
    ("flax.experimental.nnx.", "flax.nnx."),
    ("flax.core.frozen_dict.", "flax.core."),
    ("tensorflow_probability.substrates.jax.tfd.", "tensorflow_probability.substrates.jax.distributions."),
    ("haiku._src.", "haiku."),
    ("jax.numpy.linalg.", "jax.numpy."),
    ("numpyro.contrib.control_flow.", "jax.lax."),
)


@cache
def table() -> dict[str, Signature]:
    """Every signature by name."""
    out: dict[str, Signature] = {}
    for module in _MODULES:
        out.update(parse_table(module.TABLE))
    return out


@cache
def canonical(name: str) -> str:
    """The one spelling under which a library's function is described."""
    for prefix, instead in _ALIASES:
        if name.startswith(prefix):
            return instead + name[len(prefix) :]
    return name


_QUESTION = re.compile(
    r"_*(is|has|not|check|assert|validate|ensure|verify|maybe_check|expect)(_|[A-Z])|_*(isinstance|hasattr|len|repr|str)$"
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
