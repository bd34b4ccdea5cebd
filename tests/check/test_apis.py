"""The tables of library functions are complete, can be read, and say each thing once."""

from __future__ import annotations

import inspect
from collections import Counter
from types import ModuleType

import jax
import pytest

from pytest_purestate._check import apis
from pytest_purestate._check.apis import Signature, canonical, exact, find
from pytest_purestate._check.apis.signature import SignatureError, parse_clauses, parse_line

SIGNATURES = list(apis.lines())
CLAUSES = (
    "aliases arrays back consumes effect forwards inside keeps mutates ordered outlines pure reads returns runs splits state stateless succeeds "
    "wraps"
).split()


def functions_of(module: ModuleType) -> list[str]:
    return [
        name
        for name in dir(module)
        if name[0] != "_" and callable(getattr(module, name)) and name != "Initializer"  # which is a protocol
    ]


def known(name: str) -> Signature:
    signature = exact(name)
    assert signature is not None, f"no line describes `{name}`"
    return signature


@pytest.mark.parametrize("name", functions_of(jax.random))
def test_every_function_of_jax_random_has_a_line(name: str) -> None:
    """The line agrees with the module about the key: where it stands, and whether it is drawn from."""
    signature = known(f"jax.random.{name}")
    parameters = list(inspect.signature(getattr(jax.random, name)).parameters)
    assert set(signature.params) <= set(parameters)
    assert signature.params == tuple(parameters[: len(signature.params)])
    unspent = {"clone", "fold_in", "key_data", "key_impl"}
    if parameters[0] == "key" and name not in unspent:
        assert signature.consumes == ("key",)
    else:
        assert signature.consumes == ()


@pytest.mark.parametrize("name", functions_of(jax.nn.initializers))
def test_every_initializer_has_a_line(name: str) -> None:
    signature = known(f"jax.nn.initializers.{name}")
    function = getattr(jax.nn.initializers, name)
    parameters = list(inspect.signature(function).parameters)
    assert signature.params == tuple(parameters[: len(signature.params)])
    draws = signature.returns == ("initializer",)
    if parameters[0] == "key":
        assert not draws
        assert not function(jax.random.key(0), (3,)).std()
    else:
        values = {"scale": 1.0, "mode": "fan_in", "distribution": "normal", "value": 2.0}
        needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
        shape = (3, 3, 3) if name == "delta_orthogonal" else (3, 3)
        made = function(*[values[p.name] for p in needed])(jax.random.key(0), shape)
        assert draws == bool(made.std() > 0)


def test_a_function_that_jax_adds_is_taken_to_draw() -> None:
    assert exact("jax.random.newly_added") is None
    signature = find("jax.random.newly_added")
    assert signature is not None
    assert signature.consumes == ("key",)


def test_nothing_is_described_twice() -> None:
    twice = [name for name, count in Counter(signature.name for signature in SIGNATURES).items() if count > 1]
    assert twice == []
    assert len(SIGNATURES) > 700


def test_names_are_spelled_the_way_they_are_looked_up() -> None:
    assert [s.name for s in SIGNATURES if canonical(s.name) != s.name] == []


def test_a_parameter_is_listed_once() -> None:
    for signature in SIGNATURES:
        listed = (*signature.params, *signature.keywords)
        assert len(set(listed)) == len(listed), signature.name


@pytest.mark.parametrize(
    ("params", "clauses", "message"),
    [
        ("key", "consume key", "unknown clause `consume`, did you mean `consumes`?"),
        ("key", "spends key", "unknown clause `spends`; known are " + ", ".join(CLAUSES)),
        ("f, key", "wraps f; keeps key unless", "`keeps` takes parameters, and one after `unless`: `keeps key unless`"),
        ("key", "returns arrays", "unknown kind of result `arrays`, did you mean `array`?"),
        ("key", "returns", "`returns` takes a kind of result"),
        ("key", "returns key rng", "`rng` is not among the parameters (key)"),
        ("key", "returns same", "`returns same` takes one parameter: `returns same`"),
        ("key", "returns array key", "`returns array` takes no parameter: `returns array key`"),
        ("key", "consumes kye", "`kye` is not among the parameters (key), did you mean `key`?"),
        ("key, *, rng", "consumes rgn", "`rgn` is not among the parameters (key, *, rng), did you mean `rng`?"),
        ("key", "consumes", "`consumes` takes the name of a parameter"),
        ("key", "consumes key as drow", "unknown kind of use `drow`, did you mean `draw`?"),
        ("key", "consumes key as", "`as` takes one word: `consumes key as`"),
        ("key", "reads key as draw", "`reads` takes no `as`: `reads key as draw`"),
        ("f", "wraps f as jitt", "unknown transform `jitt`, did you mean `jit`?"),
        ("f", "effect prints", "unknown effect `prints`, did you mean `print`?"),
        ("f", "effect", "`effect` takes one word: `effect`"),
        ("f", "pure f", "`pure` stands alone: `pure f`"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_told_with_the_right_one(params: str, clauses: str, message: str) -> None:
    with pytest.raises(SignatureError) as caught:
        parse_clauses([param.strip() for param in params.split(",")], clauses)
    assert str(caught.value) == message


def test_a_line_spells_several_names_and_parameters_by_keyword_only() -> None:
    first, second = parse_line("m.{a,b}(x, *, key, seed): consumes key as init; returns pair state array")
    assert (first.name, second.name) == ("m.a", "m.b")
    assert (first.params, first.keywords) == (("x",), ("key", "seed"))
    assert (first.consumes, first.how, first.returns) == (("key",), "init", ("pair", "state", "array"))
    with pytest.raises(SignatureError, match=r"^not a signature: `m\.a`$"):
        list(parse_line("m.a"))
