"""Pair 2: the same numbers, asked for in two ways."""

import jax
from hidden_state import caught

from pytest_purestate import assert_deterministic, assert_unchanged
from story.impure.number_generator import LinearCongruentialGenerator
from story.pure.number_generator import generate, seeded


@caught("call 1: 16537", "call 2: 5775", "self.state")
def test_object_answers_differently_each_time() -> None:
    assert_deterministic(LinearCongruentialGenerator(seed=42).generate)


def test_function_answers_the_same_each_time() -> None:
    state = seeded(42)
    with assert_unchanged(state=state):
        assert_deterministic(generate, state)


def test_both_give_the_same_numbers(key: jax.Array) -> None:
    seed = int(jax.random.bits(key))
    generator = LinearCongruentialGenerator(seed)
    by_object = [generator.generate() for _ in range(100)]
    by_function = []
    state = seeded(seed)
    for _ in range(100):
        output, state = generate(state)
        by_function.append(int(output))
    assert by_function == by_object
    assert len(set(by_object)) > 90


def test_function_replays_from_any_state() -> None:
    _, middle = generate(seeded(42))
    first, _ = generate(middle)
    generate(seeded(7))
    again, _ = generate(middle)
    assert first == again
