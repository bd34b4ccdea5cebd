import csv
import functools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from steps_defects import plant
from steps_models import MODELS, make

from pytest_purestate import PurityError, TrainStepError, assert_train_step, make_train_state
from pytest_purestate._runtime.steps.clauses import CLAUSES

pytestmark = pytest.mark.slow

NAMES = [clause.name for clause in CLAUSES]
EXPECTATIONS = Path(__file__).parents[2] / "benchmarks" / "assertions" / "expectations.tsv"
BATCH = np.ones((4, 3), np.float32)
# Compiling anew costs more than all the rest; what it is for has tests of its own.
QUICK = ("deterministic",)


@pytest.fixture(autouse=True, scope="module")
def compiled_in_a_hurry() -> Iterator[None]:
    """Nearly all of the time goes to the compiler."""
    jax.config.update("jax_disable_most_optimizations", True)  # type: ignore[no-untyped-call]
    yield
    jax.config.update("jax_disable_most_optimizations", False)  # type: ignore[no-untyped-call]


def failure(step: Callable[..., Any], *args: Any, **options: Any) -> TrainStepError:
    with pytest.raises(TrainStepError) as caught:
        assert_train_step(step, *args, **{"skip": QUICK, **options})
    return caught.value


def sgd(change: Callable[..., Any] = lambda old, new: new) -> Callable[..., Any]:
    """A step of plain SGD on a dict, without a compiler."""

    def step(state: dict[str, Any], batch: Any) -> Any:
        error = batch @ state["params"]["w"] - 1.0
        new = {"params": {"w": state["params"]["w"] - 0.1 * batch.T @ error}, "step": state["step"] + 1}
        return change(state, {**state, **new}), {"loss": (error**2).mean()}

    return step


def state_of(**more: Any) -> dict[str, Any]:
    return {"params": {"w": jnp.zeros((3, 1))}, "step": jnp.zeros((), jnp.int32), **more}


# Real models keep the contract, and each planted defect is named


@pytest.mark.parametrize("model", MODELS)
def test_real_step_keeps_the_contract(model: str) -> None:
    case = plant(model, "none")
    # All of them compiled anew are in `benchmarks.assertions.table`.
    skip = () if model in ("linear", "mlp_dropout", "scanned", "donated") else QUICK
    assert_train_step(case.step, case.state, case.batch, *case.args, **case.options, skip=skip)


def expectations() -> list[Any]:
    """For each defect the first model that has it; `benchmarks.assertions.table` has them all."""
    with EXPECTATIONS.open(encoding="utf-8", newline="") as file:
        rows = [
            row for row in csv.DictReader(file, delimiter="\t") if row["assertion"] == "assert_train_step"
        ]
    chosen: dict[str, Any] = {}
    for row in rows:
        several = "+" in row["defect"] and row["model"] in ("transformer", "nnx")
        if row["defect"] != "none" and not several:
            chosen.setdefault(row["defect"], row)
    return [pytest.param(row, id=f"{row['model']}-{row['defect']}") for row in chosen.values()]


@pytest.mark.parametrize("row", expectations())
def test_planted_defect_is_named_and_nothing_else(row: dict[str, str]) -> None:
    case = plant(row["model"], row["defect"])
    skip = () if {"deterministic", "resumable"} & set(row["clauses"].split()) else QUICK
    error = failure(case.step, case.state, case.batch, *case.args, skip=skip, **case.options)
    assert " ".join(error.clauses) == row["clauses"]
    assert row["says"] in str(error)


def test_defects_of_modules_are_named_by_their_paths() -> None:
    case = plant("nnx", "dropped_opt_state+stale_key")
    error = failure(case.step, case.state, case.batch)
    first, *streams = [problem.path for problem in error.problems]
    assert first == "optimizer.opt_state"
    assert streams
    assert all(path.startswith("model.dropout.rngs.") and path.endswith("key") for path in streams)
    case = plant("equinox", "dead_leaf")
    error = failure(case.step, case.state, case.batch, *case.args)
    assert [problem.path for problem in error.problems] == ["model.layers[0].weight"]


# The report


def test_every_broken_clause_is_in_one_text() -> None:
    @jax.jit
    def step(state: Any, batch: Any) -> Any:
        new = sgd()(state, batch)[0]
        return {**new, "step": state["step"]}, 0.0

    state = state_of(key=jax.random.key(0))
    error = failure(step, state, BATCH)
    assert error.clauses == ("step", "key")
    assert isinstance(error, PurityError)
    assert str(error) == (
        "`step` breaks 2 clauses of the contract of a train step: step, key\n"
        "  step: the step counter goes up by one in each call\n"
        "    state['step']: stayed 0 in call 1\n"
        "    help: return `state.apply_gradients(grads=grads)`, which counts, or `step=state.step + 1`, once\n"
        "  key: a key in the state is another one after each step, or is folded with the step counter\n"
        "    state['key']: stayed the same in call 1, so the next step draws the same numbers\n"
        "    help: split it and keep one half: `key, dropout = jax.random.split(state.key)`, then "
        "`state.replace(key=key)`; or fold the counter in, `jax.random.fold_in(state.key, state.step)`"
    )


def test_report_can_be_pickled() -> None:
    error = failure(sgd(lambda old, new: {**new, "step": old["step"]}), state_of(), BATCH)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.clauses == ("step",)
    assert again.problems == error.problems


def test_settings_are_told_where_bits_differ() -> None:
    calls = []

    def change(old: Any, new: Any) -> Any:
        calls.append(1)
        return {**new, "noise": jnp.float32(len(calls))}

    error = failure(sgd(change), state_of(noise=jnp.float32(0)), BATCH, skip=("effects",))
    assert error.clauses == ("deterministic",)
    assert "settings: jax" in str(error)
    assert error.problems[0].labels == ("call 1", "again")


def test_a_step_that_differs_when_compiled_anew() -> None:
    traces = []

    @jax.jit
    def step(state: Any, batch: Any) -> Any:
        traces.append(1)
        return {"w": state["w"] + 0.1 * len(traces)}

    error = failure(step, {"w": jnp.zeros(2)}, BATCH, skip=("effects",))
    assert error.clauses == ("deterministic",)
    assert error.problems[0].labels == ("call 1", "recompiled")


def test_a_state_that_stops_the_next_call_is_told_with_what_it_raised() -> None:
    def step(state: Any, batch: Any) -> Any:
        if "step" not in state:
            raise KeyError("no step any more")
        return {"params": {"w": state["params"]["w"] + 1}}

    error = failure(step, state_of(), BATCH)
    assert error.clauses == ("structure",)
    assert "state['step']: was removed" in str(error)
    assert "call 2, with the state that call 1 returned, raised KeyError: 'no step any more'" in str(error)


def test_error_of_the_step_itself_passes_through() -> None:
    def step(state: Any, batch: Any) -> Any:
        if state["step"] == 1:
            raise RuntimeError("out of data")
        return sgd()(state, batch)

    with pytest.raises(RuntimeError, match="out of data"):
        assert_train_step(step, state_of(), BATCH)


# Forms of steps and of states


def test_result_of_the_first_call_is_returned_and_the_state_stays() -> None:
    state = state_of()
    new, metrics = assert_train_step(sgd(), state, BATCH, skip=QUICK)
    assert int(new["step"]) == 1
    assert float(metrics["loss"]) == 1.0
    assert int(state["step"]) == 0


def test_donating_step_leaves_the_caller_its_state() -> None:
    case = plant("donated", "none")
    new, _ = assert_train_step(case.step, case.state, case.batch, skip=QUICK)
    assert not case.state.params["w"].is_deleted()
    assert not new.params["w"].is_deleted()


def test_nnx_model_stays_as_it_is() -> None:
    case = plant("nnx", "none")
    before = jax.tree.leaves(nnx.state(case.state[0]))
    assert_train_step(case.step, case.state, case.batch, skip=QUICK)
    after = jax.tree.leaves(nnx.state(case.state[0]))
    assert all(one is other for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "arranged",
    [
        lambda state, metrics: state,
        lambda state, metrics: (metrics, state),
        lambda state, metrics: [state, metrics],
        lambda state, metrics: {"metrics": metrics, "state": state},
        lambda state, metrics: ((state, metrics), "note"),
    ],
)
def test_state_is_found_wherever_it_is_in_the_result(arranged: Callable[..., Any]) -> None:
    assert_train_step(lambda state, batch: arranged(*sgd()(state, batch)), state_of(), BATCH, skip=QUICK)


def test_method_partial_and_eager_step() -> None:
    class Trainer:
        def __init__(self) -> None:
            self.rate = 0.1

        def step(self, state: Any, batch: Any, scale: float) -> Any:
            return {"w": state["w"] - self.rate * scale * batch.mean(0)}

    assert_train_step(
        functools.partial(Trainer().step, scale=2.0), {"w": jnp.zeros(3)}, jnp.ones((2, 3)), skip=QUICK
    )
    assert_train_step(Trainer().step, {"w": jnp.zeros(3)}, jnp.ones((2, 3)), 2.0, skip=QUICK)


def test_state_that_is_one_array() -> None:
    def step(w: Any, batch: Any) -> Any:
        return jnp.mean((batch @ w) ** 2), w - 0.1 * batch.mean(0)

    _, new = assert_train_step(step, jnp.zeros(3), BATCH, skip=QUICK)
    assert new.shape == (3,)


def test_tuple_that_the_step_takes_whole_is_not_spread() -> None:
    def step(state: Any, batch: Any) -> Any:
        params, count = state
        return (params - 0.1 * batch.mean(0), count + 1), 0.0

    assert_train_step(step, (jnp.zeros(3), jnp.zeros((), jnp.int32)), BATCH, skip=QUICK)


def test_parts_of_a_spread_state_are_called_as_the_step_calls_them() -> None:
    def step(weights: Any, moments: Any, batch: Any) -> Any:
        return weights, moments + 1.0

    error = failure(step, ({"w": jnp.zeros(3)}, jnp.zeros(3)), BATCH)
    assert [problem.path for problem in error.problems] == ["weights['w']"]


def test_nnx_in_functional_form() -> None:
    model = nnx.Linear(3, 1, rngs=nnx.Rngs(0))
    graphdef, params = nnx.split(model)

    @jax.jit
    def step(params: Any, batch: Any) -> Any:
        def loss_of(params: Any) -> Any:
            return jnp.mean((nnx.merge(graphdef, params)(batch) - 1.0) ** 2)

        loss, grads = jax.value_and_grad(loss_of)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), loss

    assert_train_step(step, params, BATCH, skip=QUICK)


def test_nnx_metrics_are_changed_in_place_too() -> None:
    case = make("nnx")

    def step(model: Any, optimizer: Any, metrics: Any, batch: Any) -> None:
        metrics.update(loss=case.step(model, optimizer, batch))

    metrics = nnx.MultiMetric(loss=nnx.metrics.Average("loss"))  # type: ignore[no-untyped-call]
    assert assert_train_step(nnx.jit(step), (*case.state, metrics), case.batch, skip=QUICK) is None


# Single clauses


def test_batch_that_is_deleted_without_being_donated() -> None:
    def step(state: Any, batch: Any) -> Any:
        new = sgd()(state, batch)
        batch.delete()
        return new

    error = failure(step, state_of(), jnp.asarray(BATCH))
    assert error.clauses == ("inputs",)
    assert "BATCH: was deleted" not in str(error)
    assert "batch: was deleted" in str(error)


def test_batch_that_is_donated_may_be_deleted() -> None:
    step = jax.jit(lambda state, batch: {"w": state["w"] + batch}, donate_argnums=(1,))
    assert_train_step(step, {"w": jnp.zeros(3)}, jnp.ones(3), skip=QUICK)


def test_sizes_and_types_that_change() -> None:
    def step(state: Any, batch: Any) -> Any:
        return {"w": state["w"] + 1, "seen": jnp.concatenate([state["seen"], state["seen"]]), "more": 1}

    error = failure(step, {"w": jnp.zeros(2), "seen": jnp.ones(1)}, BATCH)
    assert error.clauses == ("structure",)
    assert [(p.kind, p.path) for p in error.problems] == [
        ("added", "state['more']"),
        ("shape", "state['seen']"),
    ]


def test_static_object_that_is_made_anew() -> None:
    @flax.struct.dataclass
    class State:
        w: Any
        tx: Any = flax.struct.field(pytree_node=False)  # type: ignore[no-untyped-call]

    def step(state: Any, batch: Any) -> Any:
        return State(state.w + 1, optax.sgd(0.1))

    error = failure(step, State(jnp.zeros(2), optax.sgd(0.1)), BATCH)
    assert error.clauses == ("structure",)
    assert "a static field of it is not equal" in str(error)


def test_python_int_that_becomes_a_weak_array_is_the_same_to_jit() -> None:
    assert_train_step(jax.jit(sgd()), {**state_of(), "step": 0}, BATCH, skip=QUICK)


def test_numpy_state_is_what_jit_makes_of_it() -> None:
    state = {"params": {"w": np.zeros((3, 1))}, "step": np.zeros((), np.int32)}
    assert_train_step(jax.jit(sgd()), state, BATCH, skip=QUICK)


def test_counter_counts_the_updates_of_a_scan() -> None:
    tx = optax.adam(0.1)

    def step(state: Any, batch: Any) -> Any:
        def update(carry: Any, row: Any) -> Any:
            params, opt_state = carry
            updates, opt_state = tx.update(jax.grad(lambda w: (row @ w - 1.0) ** 2)(params), opt_state)
            return (optax.apply_updates(params, updates), opt_state), None

        (params, opt_state), _ = jax.lax.scan(update, (state["params"], state["opt_state"]), batch)
        return {"params": params, "opt_state": opt_state, "step": state["step"] + len(batch)}

    params = jnp.zeros(3)
    state = {"params": params, "opt_state": tx.init(params), "step": jnp.zeros((), jnp.int32)}
    assert_train_step(jax.jit(step), state, BATCH, skip=QUICK)
    error = failure(lambda s, b: {**step(s, b), "step": s["step"] + 3}, state, BATCH)
    assert "state['step']: went from 0 to 3 in call 1" in str(error)


def trained(loss_of: Callable[..., Any], tx: Any) -> tuple[Callable[..., Any], Any]:
    def step(state: Any, batch: Any) -> Any:
        return state.apply_gradients(grads=jax.grad(loss_of)(state.params, batch))

    return jax.jit(step), make_train_state({"w": jnp.zeros(3), "dead": jnp.ones(3)}, tx=tx)


def test_leaf_without_a_gradient_is_told_from_one_whose_update_is_dropped() -> None:
    step, state = trained(lambda params, batch: jnp.sum((batch @ params["w"] - 1.0) ** 2), optax.adam(0.1))
    error = failure(step, state, BATCH)
    assert str(error).splitlines()[2] == (
        "    state.params['dead']: did not move in 3 steps, and `state.opt_state[0].mu['dead']` is zero: its "
        "gradient is zero, or never comes to the optimizer"
    )
    step, state = trained(
        lambda params, batch: jnp.sum((batch @ params["w"] - 1.0) ** 2) + params["dead"].sum(),
        optax.chain(optax.adam(0.1), optax.masked(optax.set_to_zero(), {"w": False, "dead": True})),
    )
    error = failure(step, state, BATCH)
    assert "although `state.opt_state[0][0].mu['dead']` did: its updates are zero, or are dropped" in str(
        error
    )


def test_frozen_leaf_is_silent_where_it_is_said_to_be_frozen() -> None:
    step, state = trained(lambda params, batch: jnp.sum((batch @ params["w"] - 1.0) ** 2), optax.adam(0.1))
    for frozen in (
        "params['dead']",
        "state.params['dead']",
        "params['d*']",
        lambda path: "dead" in path and "params" in path,
        ["state.params['dead']"],
    ):
        assert_train_step(step, state, BATCH, frozen=frozen, skip=QUICK)
    error = failure(step, state, BATCH, frozen=("params['w']", "params['dead']"))
    assert error.clauses == ("frozen",)
    assert error.problems[0].path == "state.params['w'][0]"
    assert error.problems[0].message == "is frozen, and 3 of 3 elements changed"


def test_frozen_leaf_that_comes_back() -> None:
    def change(old: Any, new: Any) -> Any:
        return {**new, "table": 1.0 - old["table"]}

    error = failure(sgd(change), state_of(table=jnp.ones(2)), BATCH, frozen="table", steps=2)
    assert "is frozen, and moved, there and back again" in str(error)


def test_one_moment_that_stays() -> None:
    tx = optax.adam(0.1)

    def step(params: Any, opt_state: Any, batch: Any) -> Any:
        updates, new = tx.update(jax.tree.map(lambda p: p - 1.0, params), opt_state)
        return optax.apply_updates(params, updates), (new[0]._replace(nu=opt_state[0].nu), *new[1:])

    params = {"w": jnp.full(3, 2.0, jnp.float32)}
    error = failure(step, (params, tx.init(params)), BATCH)
    assert error.clauses == ("opt_state",)
    assert error.problems[0].path == "opt_state[0].nu['w']"
    assert error.problems[0].message == "did not move in 3 steps, although `params['w']` did"


@pytest.mark.parametrize(
    "tx",
    [
        optax.adafactor(0.1),
        optax.lion(0.1),
        optax.contrib.prodigy(1.0),
        optax.inject_hyperparams(optax.sgd)(learning_rate=0.1),
        optax.sgd(0.1),
        optax.apply_if_finite(optax.adam(0.1), 3),
        optax.chain(optax.clip(1.0), optax.add_decayed_weights(0.1), optax.rmsprop(0.1)),
        optax.amsgrad(0.1),
    ],
)
def test_optimizers_of_optax_are_no_false_alarm(tx: Any) -> None:
    step, state = trained(
        lambda params, batch: jnp.sum((batch @ (params["w"] + params["dead"]) - 1.0) ** 2), tx
    )
    assert_train_step(step, state, BATCH, skip=QUICK)


def test_collection_that_is_meant_to_stay() -> None:
    state = state_of(target=jnp.ones(3), best=jnp.float32(np.inf), seen=jnp.zeros(3, int))
    error = failure(sgd(), state, BATCH)
    assert error.clauses == ("collections",)
    assert str(error).splitlines()[2] == "    state['target']: did not move in 3 steps"
    assert_train_step(sgd(), state, BATCH, frozen="['target']", skip=QUICK)


@pytest.mark.parametrize("make_key", [jax.random.key, jax.random.PRNGKey])
def test_keys_that_repeat(make_key: Callable[[int], Any]) -> None:
    keys = [make_key(0), make_key(1)]

    def turned(old: Any, new: Any) -> Any:
        is_first = bool((jax.random.key_data(old["rng"]) == jax.random.key_data(keys[0])).all())
        return {**new, "rng": keys[int(is_first)]}

    assert_train_step(
        sgd(lambda old, new: {**new, "rng": jax.random.split(old["rng"])[0]}),
        state_of(rng=keys[0]),
        BATCH,
        skip=QUICK,
    )
    error = failure(sgd(turned), state_of(rng=keys[0]), BATCH)
    assert "state['rng']: is after call 2 what it was at first" in str(error)
    assert error.clauses == ("key",)


def test_key_that_is_folded_with_the_counter_and_one_that_is_not() -> None:
    def noisy(by_step: bool) -> Callable[..., Any]:
        def change(old: Any, new: Any) -> Any:
            key = jax.random.fold_in(old["key"], old["step"] if by_step else 0)
            return {**new, "params": {"w": new["params"]["w"] + jax.random.normal(key, (3, 1))}}

        return jax.jit(sgd(change))

    state = state_of(key=jax.random.key(0))
    assert_train_step(noisy(True), state, BATCH, skip=QUICK)
    assert failure(noisy(False), state, BATCH).clauses == ("key",)
    assert_train_step(noisy(False), state, BATCH, frozen="['key']", skip=QUICK)


def test_function_that_is_compiled_for_each_call_names_what_changed() -> None:
    @functools.partial(jax.jit, static_argnums=2)
    def inner(state: Any, batch: Any, number: int) -> Any:
        return sgd()(state, batch)

    error = failure(lambda state, batch: inner(state, batch, int(state["step"])), state_of(), BATCH)
    assert error.clauses == ("compiled",)
    assert error.problems[0].path.endswith("inner")
    assert error.problems[0].message.startswith("was compiled again in call 2 and call 3, for ")
    assert [(p.kind, p.before, p.after) for p in error.problems[1:]] == [
        ("static", "0", "1"),
        ("static", "1", "2"),
    ]


def test_eager_step_with_a_scan_is_legal() -> None:
    def step(state: Any, batch: Any) -> Any:
        total, _ = jax.lax.scan(lambda w, row: (w + row, None), state["w"], batch)
        return {"w": total}

    assert_train_step(step, {"w": jnp.zeros(3)}, jnp.ones((2, 3)), skip=QUICK)


def test_what_is_printed_is_still_printed_once_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    def step(state: Any, batch: Any) -> Any:
        print("loss")
        return sgd()(state, batch)

    error = failure(step, state_of(), BATCH, skip=())
    assert error.clauses == ("effects",)
    assert "sys.stdout: the step prints" in str(error)
    assert capsys.readouterr().out == "loss\n" * 3


def test_infinity_is_told_of_the_leaf_where_it_appears_first() -> None:
    def change(old: Any, new: Any) -> Any:
        return {**new, "scale": old["scale"] * 1e30}

    error = failure(sgd(change), state_of(scale=jnp.float32(1), best=jnp.float32(np.inf)), BATCH)
    assert error.clauses == ("finite",)
    assert str(error).splitlines()[2] == "    state['scale']: 1 of 1 element became infinite in call 2"


def test_batch_that_is_not_finite_explains_a_state_that_is_not() -> None:
    assert_train_step(sgd(), state_of(), BATCH * np.inf, skip=(*QUICK, "params"))


def test_state_outside_of_the_leaves_is_not_resumable() -> None:
    @flax.struct.dataclass
    class State:
        w: Any
        history: Any = flax.struct.field(pytree_node=False)  # type: ignore[no-untyped-call]

    def step(state: Any, batch: Any) -> Any:
        return State(state.w + len(state.history) + 1.0, (*state.history, 1))

    error = failure(step, State(jnp.zeros(2), ()), BATCH, skip=("structure",))
    assert error.clauses == ("resumable",)
    assert [p.path for p in error.problems] == ["output.w[0]", "output.history[1]"]
    assert error.problems[0].message.endswith("in the next step")


# Options, and bad use


@pytest.mark.parametrize("name", NAMES)
def test_every_clause_can_be_skipped(name: str) -> None:
    case = plant("linear", "dropped_opt_state+dead_leaf+no_increment+prints+edits_batch")
    error = failure(case.step, case.state, case.batch, skip=(name, *QUICK), steps=2)
    assert name not in error.clauses
    assert len(error.clauses) == 5 - (name in ("inputs", "step", "params", "opt_state", "effects"))


def test_names_and_promises_of_clauses_are_told_apart() -> None:
    assert len({clause.name for clause in CLAUSES}) == len({clause.promise for clause in CLAUSES}) == 13
    for i, clause in enumerate(CLAUSES):
        assert set(clause.unless) <= set(NAMES[:i]), "a clause comes after those that make it meaningless"
        assert f"``{clause.name}``: " in str(assert_train_step.__doc__)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"steps": 1}, ValueError, "steps must be 2 or more, so that a step is given what it returned: 1"),
        ({"steps": 2.0}, TypeError, "steps must be an integer, not 2.0"),
        (
            {"skip": "key"},
            TypeError,
            "skip must be a tuple of names, such as ('key', 'resumable'), not 'key'",
        ),
        ({"skip": ("keys",)}, ValueError, "skip has no 'keys'; it takes 'inputs', 'structure', 'step', "),
        (
            {"frozen": "params['v']"},
            ValueError,
            "frozen: no leaf of the state is meant by \"params['v']\"; there are ",
        ),
        ({"frozen": "params['w"}, ValueError, "frozen: no leaf of the state is meant by"),
        (
            {"frozen": 3},
            TypeError,
            "frozen takes paths, such as \"params['encoder']\", or a function of them, not 3",
        ),
    ],
)
def test_bad_option_is_refused_before_anything_runs(options: Any, error: type[Exception], text: str) -> None:
    def step(state: Any, batch: Any) -> Any:
        raise AssertionError("it must not be called")

    with pytest.raises(error) as caught:
        assert_train_step(step, state_of(), BATCH, **options)
    assert str(caught.value).startswith(text)


def test_bad_arguments_are_refused_before_anything_runs() -> None:
    def step(state: Any, batch: Any) -> Any:
        raise AssertionError("it must not be called")

    check: Any = assert_train_step
    with pytest.raises(TypeError, match="needs a function and its arguments, not the value 3"):
        check(3, state_of(), BATCH)
    with pytest.raises(ValueError, match=r"`empty` has no array in it, so it is no state"):
        empty: Any = {}
        check(step, empty, BATCH)
    with pytest.raises(
        TypeError, match=r"step\(state: Any, batch: Any\) -> Any` cannot be called with 3 arguments"
    ):
        check(step, state_of(), BATCH, BATCH)
    state = state_of()
    state["params"]["w"].delete()
    with pytest.raises(ValueError, match=r"`state\['params'\]\['w'\]` was deleted"):
        check(step, state, BATCH)
    with pytest.raises(TypeError, match="call it outside of jit"):
        jax.jit(lambda w: check(step, {"w": w}, BATCH))(jnp.ones(2))
    with pytest.raises(TypeError, match="is a list_iterator, which can be read only once"):
        check(step, state_of(), iter([BATCH]))


def test_linen_params_alone_are_a_state() -> None:
    model = nn.Dense(1)
    params = model.init(jax.random.key(0), BATCH)

    @jax.jit
    def step(params: Any, batch: Any) -> Any:
        loss, grads = jax.value_and_grad(lambda p: jnp.mean((jnp.asarray(model.apply(p, batch)) - 1.0) ** 2))(
            params
        )
        return loss, jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)

    assert_train_step(step, params, BATCH, skip=QUICK)
