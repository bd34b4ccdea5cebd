"""Asserts that no two PRNG keys are one and the same."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.key_leaves import FoundKey, KeyArray, iter_keys
from pytest_purestate._runtime.naming import name_trees
from pytest_purestate._runtime.recording import watched

__all__ = ["assert_keys_distinct"]

_HELP = (
    "give each use a key of its own, `key, subkey = jax.random.split(key)` or `jax.random.fold_in(key, i)` "
    "with another `i` for each"
)
_ONE_OF_A_KIND = {"rbg": "rbg", "unsafe_rbg": "rbg"}
"""Implementations that draw the same numbers from the same bits; every other one stands for itself."""
_ANY = object()


def assert_keys_distinct(*trees: object, raw: bool = True) -> None:
    """Assert that no two PRNG keys in the given values have the same bits, so that no two draws repeat each other.

    >>> import jax
    >>> params_key, dropout_key = jax.random.split(jax.random.key(0))
    >>> assert_keys_distinct({"params": params_key, "dropout": dropout_key})

    Keys count by value: one key object at two places, a copy of it, and a key made again from the same seed are
    all the same key. Arrays of keys are taken element by element.

    What is a key: a key array (`jax.random.key`); an array of uint32, of JAX or numpy, whose last axis has 2 or 4
    elements, which is what raw keys look like (`jax.random.PRNGKey`; other arrays that look so count too, unless
    ``raw=False``); a stream of ``nnx.Rngs``, which is its key together with its count, since it gives
    ``fold_in(key, count)``, and which counts once however many layers share it; a `KeyStream`, which is its seed
    and path together. A raw key is the same as a typed one of the same bits, and a key of ``rbg`` the same as one
    of ``unsafe_rbg``, which draw the same numbers; keys of other implementations are different keys. A key and
    a stream with this key are reported, whatever the stream has counted.

    Keys that the code derives later are not seen: ``assert_no_key_reuse`` follows them through a function.

    Cost: reads every key once from the device and hashes it; linear in the number of keys, no compilation.

    Args:
        *trees: dicts of rngs, train states, modules, lists of keys, `KeyStream` objects, anything that holds keys.
        raw: whether arrays of uint32 may be keys.

    Raises:
        PurityError: two keys are the same. The text names both places, with the index in an array, and the bits.
        TypeError: nothing was given, or a key is a tracer.
        ValueError: there is no key in the values, or one was deleted.
    """
    __tracebackhide__ = True
    if not trees:
        raise TypeError("assert_keys_distinct needs the keys, or values that hold them")
    named = name_trees(trees)
    watched("assert_keys_distinct", named)
    arrays = [each for name, tree in named.items() for each in iter_keys(tree, name, raw=raw)]
    total = sum(len(each.rows) for each in arrays)
    if not total:
        what = "key arrays and uint32 arrays whose last axis is 2 or 4" if raw else "key arrays"
        raise ValueError(f"there is no key in what assert_keys_distinct was given; it looks for {what}")
    if problems := tuple(_problems(arrays)):
        count = f"{len(problems)} of {total} keys {'is' if len(problems) == 1 else 'are'}"
        raise PurityError(
            f"{count} the same as another key, and draws from both would repeat each other",
            problems,
            ("the first", "this one"),
            help=_HELP,
        )


def _problems(arrays: list[KeyArray]) -> Iterator[Problem]:
    """Each key that an earlier one equals, in one pass."""
    times = Counter(itertools.chain.from_iterable(each.rows for each in arrays))
    again = {words for words, count in times.items() if count > 1}
    if not again:
        return
    first: dict[tuple[bytes, object, object], FoundKey] = {}
    for key in (each.key(i) for each in arrays for i, words in enumerate(each.rows) if words in again):
        # A raw key has any implementation, and a key on its own any count: each is kept under all that it is found by.
        impl = _ONE_OF_A_KIND.get(key.impl, key.impl)
        if (earlier := _earlier(first, key, impl)) is not None:
            message = f"is the same key as `{earlier.path}`"
            yield Problem("same-key", key.path, message, str(earlier), str(key))
        for kept_impl in (impl, _ANY):
            for kept_count in (key.count, _ANY):
                first.setdefault((key.words, kept_impl, kept_count), key)


def _earlier(
    first: dict[tuple[bytes, object, object], FoundKey], key: FoundKey, impl: str
) -> FoundKey | None:
    impls = (impl, "") if impl else (_ANY,)
    counts = (key.count, None) if key.count is not None else (_ANY,)
    matches = (first.get((key.words, one, count)) for one in impls for count in counts)
    return next((match for match in matches if match is not None), None)
