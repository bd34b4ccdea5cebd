"""Whether the watch sees edits of a state, says where they are, and is silent about everything else."""

from __future__ import annotations

import dataclasses
import functools
import gc
import weakref
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.core import freeze
from flax.training.train_state import TrainState

from pytest_purestate import Problem
from pytest_purestate._runtime.guard.states import StateWatch


def train_state(**params: Any) -> Any:
    return TrainState.create(  # type: ignore[no-untyped-call]
        apply_fn=lambda params, x: x, params=params, tx=optax.adam(0.1)
    )


def watched(**states: Any) -> StateWatch:
    watch = StateWatch()
    for name, state in states.items():
        watch.register(name, state)
    return watch


def only(watch: StateWatch) -> Problem:
    problems = watch.changes()
    assert len(problems) == 1, problems
    return problems[0]


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass(frozen=True)
class Plain:
    params: Any
    step: int = 0

    @functools.cached_property
    def size(self) -> int:
        return len(self.params)


@flax.struct.dataclass
class Struct:
    params: Any
    step: int = 0


@dataclasses.dataclass(frozen=True)
class Careful:
    x: Any

    def __post_init__(self) -> None:
        if not hasattr(self.x, "shape"):
            raise TypeError("an array is needed")


jax.tree_util.register_dataclass(Careful, data_fields=["x"], meta_fields=[])


def test_a_leaf_of_a_train_state_is_replaced() -> None:
    state = train_state(dense={"kernel": jnp.zeros((2, 2)), "bias": jnp.ones(2)})
    watch = watched(state=state)
    state.params["dense"]["kernel"] = state.params["dense"]["kernel"].at[1, 0].set(3.0)
    problem = only(watch)
    assert problem.path == "state.params['dense']['kernel'][1, 0]"
    assert (problem.kind, problem.before, problem.after) == ("value", "0.0", "3.0")


def test_a_numpy_buffer_is_edited() -> None:
    state = Struct({"w": np.zeros(3, np.float32), "b": np.zeros(1)})
    watch = watched(state=state)
    state.params["w"][2] = 5.0
    problem = only(watch)
    assert (problem.path, problem.before, problem.after) == ("state.params['w'][2]", "0.0", "5.0")


def test_a_field_is_set_past_the_freezing() -> None:
    state = train_state(w=jnp.zeros(2))
    watch = watched(state=state)
    object.__setattr__(state, "step", 7)
    problem = only(watch)
    assert (problem.path, problem.before, problem.after) == ("state.step", "0", "7")


def test_keys_are_added_and_removed() -> None:
    params = {"w": jnp.zeros(2), "b": jnp.zeros(2)}
    watch = watched(params=params)
    params["extra"] = jnp.ones(1)
    del params["b"]
    found = {(problem.kind, problem.path) for problem in watch.changes()}
    assert found == {("added", "params['extra']"), ("removed", "params['b']")}


def test_two_leaves_are_swapped() -> None:
    params = {"a": jnp.zeros(2), "b": jnp.ones(2)}
    watch = watched(params=params)
    params["a"], params["b"] = params["b"], params["a"]
    assert {problem.path for problem in watch.changes()} == {"params['a'][0]", "params['b'][0]"}


def test_a_list_in_a_tuple_is_edited() -> None:
    state = Point([1, 2], (3, [4]))
    watch = watched(state=state)
    state.y[1][0] = 5
    assert only(watch).path == "state.y[1][0]"


def test_a_field_becomes_of_another_type() -> None:
    params: dict[str, Any] = {"w": jnp.zeros(2)}
    watch = watched(params=params)
    params["w"] = {"kernel": jnp.zeros(2)}
    assert only(watch).kind == "type"


def test_a_tracer_is_put_into_a_state() -> None:
    state = Struct({"w": jnp.zeros(2)})
    watch = watched(state=state)

    @jax.jit
    def step(x: Any) -> Any:
        state.params["w"] = x
        return x

    step(jnp.ones(2))
    problem = only(watch)
    assert problem.path == "state.params['w']"
    assert "tracer" in problem.message


def test_an_object_that_jax_does_not_look_into() -> None:
    state = Plain({"w": np.zeros(2), "k": jnp.zeros(2)})
    watch = watched(state=state)
    state.params["w"][0] = 1.0
    problem = only(watch)
    assert (problem.path, problem.before, problem.after) == ("state.params['w'][0]", "0.0", "1.0")


def test_such_an_object_inside_a_pytree() -> None:
    tree = {"inner": [Plain({"w": 1})]}
    watch = watched(tree=tree)
    tree["inner"][0].params["w"] = 2
    assert only(watch).path == "tree['inner'][0].params['w']"


def test_an_edit_of_a_donated_leaf_is_an_edit() -> None:
    params = {"w": jnp.zeros(2)}
    watch = watched(params=params)
    params["w"] = jax.jit(lambda x: x + 1, donate_argnums=0)(params["w"])
    problem = only(watch)
    assert (problem.path, problem.message) == ("params['w']", "was replaced, after it was donated")


def test_a_class_that_looks_at_its_fields() -> None:
    state = {"a": Careful(np.zeros(2)), "b": Careful(np.zeros(2))}
    watch = watched(state=state)
    state["a"].x[0] = 1
    assert only(watch).path.startswith("state")


def test_what_a_state_shares_with_its_successor_is_told_once() -> None:
    state = Struct({"w": jnp.zeros(2)})
    successor = state.replace(step=1)  # type: ignore[attr-defined]
    watch = watched(state=state)
    watch.register("state", successor)
    state.params["w"] = jnp.zeros(2).at[1].set(1.0)
    assert only(watch).path == "state.params['w'][1]"


def test_every_state_is_told_of() -> None:
    one, two = Struct({"w": np.zeros(1)}), Struct({"w": np.zeros(1)})
    watch = watched(one=one, two=two)
    one.params["w"][0] = 1
    two.params["w"][0] = 2
    assert {problem.path for problem in watch.changes()} == {"one.params['w'][0]", "two.params['w'][0]"}


def test_a_state_that_cannot_be_flattened_any_more() -> None:
    params: dict[Any, Any] = {"w": 1}
    watch = watched(params=params)
    params[2] = 3
    assert "cannot flatten" in only(watch).message


# Silence.


def test_updates_are_no_edits() -> None:
    state = train_state(w=jnp.ones(2))
    watch = watched(state=state)
    new = state.apply_gradients(grads={"w": jnp.ones(2)})
    watch.register("new", new)
    newer = new.replace(step=3, params={**new.params, "b": jnp.ones(1)})
    watch.register("newer", newer)
    assert watch.changes() == ()
    assert len(watch) == 3


def test_donation_is_no_edit() -> None:
    state = Struct({"w": jnp.zeros(2)})
    watch = watched(state=state)
    step = jax.jit(lambda s: s.replace(params={"w": s.params["w"] + 1}), donate_argnums=0)
    step(state)
    assert state.params["w"].is_deleted()
    assert watch.changes() == ()


def test_donation_of_an_object_that_jax_does_not_look_into() -> None:
    state = Plain({"w": jnp.zeros(2)})
    watch = watched(state=state)
    state.params["w"].delete()
    assert watch.changes() == ()


def test_what_is_put_back_or_equal_is_no_edit() -> None:
    params = {"w": jnp.zeros(2), "n": np.array([np.nan])}
    watch = watched(params=params)
    kept = params.pop("w")
    params["w"] = kept
    params["n"] = np.array([np.nan])
    params["w"] = jnp.zeros(2)
    assert watch.changes() == ()


def test_a_cached_property_is_no_edit() -> None:
    state = Plain({"w": 1})
    watch = watched(state=state)
    assert state.size == 1
    assert watch.changes() == ()
    later = watched(state=Plain({"w": 1}), later=state)
    del state.__dict__["size"]
    assert later.changes() == ()
    object.__setattr__(state, "step", 1)
    assert only(watch).path == "state.step"


def test_nnx_modules_are_made_to_be_edited() -> None:
    model = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    tree: dict[str, Any] = {"model": model, "step": np.zeros(1)}
    watch = watched(model=model, tree=tree)
    nnx.update(model, nnx.state(nnx.Linear(2, 2, rngs=nnx.Rngs(1))))
    model.bias = nnx.Param(jnp.ones(2))
    assert watch.changes() == ()
    tree["step"][0] = 1
    assert only(watch).path == "tree['step'][0]"


def test_arrays_and_scalars_are_no_states() -> None:
    assert len(watched(a=jnp.zeros(1), b=1, c="x", d=None)) == 0


def test_values_inside_a_trace_are_passed_over() -> None:
    watch = StateWatch()

    @jax.jit
    def step(x: Any) -> Any:
        watch.register("state", Struct({"w": x}))
        return x

    with jax.checking_leaks():
        step(jnp.ones(2))
    assert len(watch) == 0


def test_what_jax_cannot_flatten_is_passed_over() -> None:
    assert len(watched(params={1: 1, "a": 2})) == 0


def test_frozen_dict() -> None:
    state = freeze({"w": np.zeros(1)})
    watch = watched(state=state)
    assert watch.changes() == ()
    state["w"][0] = 1
    assert only(watch).path == "state['w'][0]"


# Lifetime.


def test_twice_is_once() -> None:
    state, params = Struct({"w": 1}), {"w": 1}
    watch = watched(a=state, b=params)
    state.params["w"] = 2
    watch.register("c", state)
    watch.register("d", params)
    assert len(watch) == 2
    assert only(watch).path == "a.params['w']"


@pytest.mark.parametrize("make", [lambda: Struct({"w": jnp.zeros(1)}), lambda: Plain({"w": 1})])
def test_a_state_is_not_kept_alive(make: Any) -> None:
    state = make()
    watch = watched(state=state)
    assert len(watch) == 1
    reference = weakref.ref(state)
    watch.changes()
    del state
    gc.collect()
    assert reference() is None
    assert len(watch) == 0
    assert watch.changes() == ()


def test_only_so_many_dicts_are_held_and_none_is_forgotten() -> None:
    watch = StateWatch()
    first = {"w": 1}
    watch.register("first", first)
    first["w"] = 2
    for i in range(100):
        watch.register(f"params{i}", {"w": i})
    assert len(watch) == 64
    assert only(watch).path == "first['w']"


def test_clear() -> None:
    params = {"w": 1}
    watch = watched(params=params)
    params["w"] = 2
    watch.clear()
    assert watch.changes() == ()
    watch.register("params", params)
    assert watch.changes() == ()
