"""Train steps as people write them, each with the state and the batch that it is called with.

Every step here keeps the contract of a train step; `steps_defects` breaks it, one clause at a time.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from flax.training.train_state import TrainState

from pytest_purestate import make_train_state

__all__ = ["MODELS", "Case", "make"]

Step = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """A step before it is compiled, how that is done, and what it is called with.

    `get` and `put` reach a part of its state (params, opt_state, key, ...), and `place` says where in its result the state
    is (None: it is all of the result, or was changed in place), so that a defect can be planted in any.
    """

    step: Step
    state: Any
    batch: Any
    args: tuple[Any, ...] = ()
    compiled: Callable[[Step], Step] = jax.jit
    options: dict[str, Any] = field(default_factory=dict)
    get: Callable[[Any, str], Any] = getattr
    put: Callable[[Any, str, Any], Any] = lambda state, part, value: state.replace(**{part: value})
    place: int | slice | None = 0
    spread: bool = False

    def arguments(self) -> tuple[Any, ...]:
        """What the step itself is called with."""
        return (*(self.state if self.spread else (self.state,)), self.batch, *self.args)


def batch_of(*shape: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(size=shape).astype(np.float32),
        "y": rng.normal(size=(shape[0], 1)).astype(np.float32),
    }


def counted(state: Any) -> Any:
    """With a counter that is an array, as in a state that was restored; TrainState begins with a Python int."""
    return state.replace(step=jnp.zeros((), jnp.int32))


def mse(prediction: Any, target: Any) -> jax.Array:
    return jnp.mean((prediction - target) ** 2)


# Linear regression, by hand: the state is returned first, the counter begins as a Python int


def linear() -> Case:
    params = {"w": jnp.zeros((3, 1)), "b": jnp.zeros((1,))}

    def step(state: Any, batch: Any) -> Any:
        def loss_of(params: Any) -> jax.Array:
            return mse(batch["x"] @ params["w"] + params["b"], batch["y"])

        loss, grads = jax.value_and_grad(loss_of)(state.params)
        return state.apply_gradients(grads=grads), {"loss": loss}

    return Case(step, make_train_state(params, tx=optax.sgd(0.1, momentum=0.9)), batch_of(8, 3))


# An MLP with dropout: the key is in the state, and the state is returned second


class DropoutState(TrainState):  # type: ignore[no-untyped-call]
    key: Any = None


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> Any:
        x = nn.gelu(nn.Dense(8)(x))
        return nn.Dense(1)(nn.Dropout(0.5, deterministic=False)(x))


def mlp_dropout() -> Case:
    batch = batch_of(8, 3)
    rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    state = make_train_state(
        MLP(), batch["x"], tx=optax.adam(1e-2), cls=DropoutState, rngs=rngs, key=jax.random.key(2)
    )

    def step(state: Any, batch: Any) -> Any:
        key, dropout = jax.random.split(state.key)

        def loss_of(params: Any) -> jax.Array:
            return mse(state.apply_fn({"params": params}, batch["x"], rngs={"dropout": dropout}), batch["y"])

        loss, grads = jax.value_and_grad(loss_of)(state.params)
        return loss, state.apply_gradients(grads=grads, key=key)

    return Case(step, counted(state), batch, place=1)


def folded_key() -> Case:
    """The key stays, and is folded with the counter: Flax's own guide does so."""
    case = mlp_dropout()

    def step(state: Any, batch: Any) -> Any:
        dropout = jax.random.fold_in(state.key, state.step)

        def loss_of(params: Any) -> jax.Array:
            return mse(state.apply_fn({"params": params}, batch["x"], rngs={"dropout": dropout}), batch["y"])

        loss, grads = jax.value_and_grad(loss_of)(state.params)
        return loss, state.apply_gradients(grads=grads)

    return dataclasses.replace(case, step=step)


# A CNN with batch normalisation


class NormState(TrainState):  # type: ignore[no-untyped-call]
    batch_stats: Any = None


class CNN(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, train: bool = True) -> Any:
        x = nn.Conv(4, (3, 3), use_bias=False)(x)
        x = nn.gelu(nn.BatchNorm(use_running_average=not train)(x))
        return nn.Dense(1)(x.mean((1, 2)))


def cnn_batchnorm() -> Case:
    batch = batch_of(4, 6, 6, 1)

    def step(state: Any, batch: Any) -> Any:
        def loss_of(params: Any) -> Any:
            variables = {"params": params, "batch_stats": state.batch_stats}
            prediction, updates = state.apply_fn(variables, batch["x"], mutable=["batch_stats"])
            return mse(prediction, batch["y"]), updates

        (loss, updates), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        return state.apply_gradients(grads=grads, batch_stats=updates["batch_stats"]), {"loss": loss}

    state = make_train_state(
        CNN(), batch["x"], tx=optax.sgd(0.05, momentum=0.9, nesterov=True), cls=NormState
    )
    return Case(step, counted(state), batch)


# A transformer block: adamw with clipping and a schedule, the embedding is frozen


class Block(nn.Module):
    @nn.compact
    def __call__(self, tokens: jax.Array) -> Any:
        x = nn.Embed(11, 8, name="embed")(tokens)
        attention = nn.MultiHeadDotProductAttention(2, use_bias=False, name="attention")
        x = x + attention(nn.LayerNorm(name="norm")(x))
        x = x + nn.Dense(8, name="out")(nn.gelu(nn.Dense(16, name="mlp")(x)))
        return nn.Dense(11, name="head")(x)


def transformer() -> Case:
    batch = {"tokens": np.arange(12, dtype=np.int32).reshape(2, 6) % 11}

    def labels(params: Any) -> Any:
        return {name: "frozen" if name == "embed" else "train" for name in params}

    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 2, 100)
    tx = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.multi_transform({"train": optax.adamw(schedule), "frozen": optax.set_to_zero()}, labels),
    )

    def step(state: Any, batch: Any) -> Any:
        def loss_of(params: Any) -> jax.Array:
            logits = state.apply_fn({"params": params}, batch["tokens"][:, :-1])
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["tokens"][:, 1:])
            return jnp.mean(losses)

        loss, grads = jax.value_and_grad(loss_of)(state.params)
        return state.apply_gradients(grads=grads), loss

    state = make_train_state(Block(), batch["tokens"], tx=tx)
    return Case(step, counted(state), batch, options={"frozen": "params['embed']"})


# Gradient accumulation: the params move in every second call only


def accumulation() -> Case:
    case = linear()
    tx: Any = optax.MultiSteps(optax.adam(1e-2), every_k_schedule=2)
    state = make_train_state(case.state.params, tx=tx)
    return dataclasses.replace(case, state=counted(state), options={"steps": 4})


# An average of the params in the state


class EMAState(TrainState):  # type: ignore[no-untyped-call]
    ema_params: Any = None
    phase: int = flax.struct.field(pytree_node=False, default=0)  # type: ignore[no-untyped-call]


def ema() -> Case:
    params = {"w": jnp.zeros((3, 1)), "b": jnp.zeros((1,))}
    state = make_train_state(params, tx=optax.adam(1e-2), cls=EMAState, ema_params=params)
    inner = linear().step

    def step(state: Any, batch: Any) -> Any:
        state, metrics = inner(state, batch)
        return state.replace(
            ema_params=optax.incremental_update(state.params, state.ema_params, 0.1)
        ), metrics

    return Case(step, counted(state), batch_of(8, 3))


# Mixed precision: float32 masters, bfloat16 copies, a loss scale, and no update where a gradient overflows


@flax.struct.dataclass
class MixedState:
    step: Any
    params: Any
    half: Any
    opt_state: Any
    scale: Any
    good: Any


def mixed_precision() -> Case:
    params = {"w": jnp.zeros((3, 1)), "b": jnp.zeros((1,))}
    tx = optax.adam(5e-2)

    def halved(tree: Any) -> Any:
        return jax.tree.map(lambda x: x.astype(jnp.bfloat16), tree)

    def step(state: Any, batch: Any) -> Any:
        def scaled(half: Any) -> Any:
            prediction = batch["x"].astype(jnp.bfloat16) @ half["w"] + half["b"]
            return mse(prediction.astype(jnp.float32), batch["y"]) * state.scale

        loss, grads = jax.value_and_grad(scaled)(state.half)
        grads = jax.tree.map(lambda g: g.astype(jnp.float32) / state.scale, grads)
        fine = jnp.stack([jnp.isfinite(g).all() for g in jax.tree.leaves(grads)]).all()
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        params, opt_state = jax.tree.map(
            functools.partial(jnp.where, fine), (params, opt_state), (state.params, state.opt_state)
        )
        good = jnp.where(fine, state.good + 1, jnp.zeros_like(state.good))
        scale = jnp.where(fine, jnp.where(good % 2000 == 0, state.scale * 2, state.scale), state.scale / 2)
        new = dataclasses.replace(
            state,
            step=state.step + 1,
            params=params,
            half=halved(params),
            opt_state=opt_state,
            scale=scale,
            good=good,
        )
        return new, {"loss": loss / state.scale, "skipped": ~fine}

    zero = jnp.zeros((), jnp.int32)
    state = MixedState(zero, params, halved(params), tx.init(params), jnp.float32(2.0**15), zero + 0)
    return Case(step, state, batch_of(8, 3))


# A scan over microbatches; the state is a dict, and all that is returned


def get_item(state: Any, part: str) -> Any:
    return state[part]


def put_item(state: Any, part: str, value: Any) -> Any:
    return {**state, part: value}


def scanned() -> Case:
    params = {"w": jnp.zeros((3, 1)), "b": jnp.zeros((1,))}
    tx = optax.adam(1e-2)

    def step(state: Any, batch: Any) -> Any:
        def loss_of(params: Any, part: Any) -> jax.Array:
            return mse(part["x"] @ params["w"] + params["b"], part["y"])

        def add(total: Any, part: Any) -> Any:
            return jax.tree.map(jnp.add, total, jax.grad(loss_of)(state["params"], part)), None

        parts = jax.tree.map(lambda x: jnp.reshape(x, (4, 2, *x.shape[1:])), batch)
        total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, state["params"]), parts)
        updates, opt_state = tx.update(total, state["opt_state"], state["params"])
        params = optax.apply_updates(state["params"], updates)
        return {"step": state["step"] + 1, "params": params, "opt_state": opt_state}

    state = {"params": params, "opt_state": tx.init(params), "step": jnp.zeros((), jnp.int32)}
    return Case(step, state, batch_of(8, 3), get=get_item, put=put_item, place=None)


# A step that donates its state


def donated() -> Case:
    case = linear()
    state = counted(make_train_state(case.state.params, tx=optax.adam(1e-2)))
    return dataclasses.replace(case, state=state, compiled=functools.partial(jax.jit, donate_argnums=0))


# Plain optax, as in its tutorials: params and optimizer state are two arguments and two results


def get_part(names: tuple[str, ...], state: Any, part: str) -> Any:
    return state[names.index(part)]


def put_part(names: tuple[str, ...], state: Any, part: str, value: Any) -> Any:
    return tuple(value if name == part else old for name, old in zip(names, state, strict=True))


def plain_optax() -> Case:
    params = {"w": jnp.zeros((3, 1)), "b": jnp.zeros((1,))}
    tx = optax.adam(1e-2)

    def step(params: Any, opt_state: Any, batch: Any) -> Any:
        def loss_of(params: Any) -> jax.Array:
            return mse(batch["x"] @ params["w"] + params["b"], batch["y"])

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    names = ("params", "opt_state")
    return Case(
        step,
        (params, tx.init(params)),
        batch_of(8, 3),
        get=functools.partial(get_part, names),
        put=functools.partial(put_part, names),
        place=slice(0, 2),
        spread=True,
    )


# nnx: the model and the optimizer are changed in place, and the loss is returned


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(3, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.last = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.last(self.dropout(nnx.gelu(self.norm(self.first(x)))))


def nnx_model() -> Case:
    model = Net(nnx.Rngs(params=0, dropout=1))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
    # Flax took the model out of the optimizer in 0.11.
    holds_model = getattr(optimizer, "model", None) is model

    def step(model: Any, optimizer: Any, batch: Any) -> Any:
        def loss_of(model: Any) -> jax.Array:
            return mse(model(batch["x"]), batch["y"])

        loss, grads = nnx.value_and_grad(loss_of)(model)
        if holds_model:
            optimizer.update(grads)
        else:
            optimizer.update(model, grads)
        return loss

    return Case(
        step,
        (model, optimizer),
        batch_of(8, 3),
        compiled=nnx.jit,
        get=get_variables,
        put=put_variables,
        place=None,
        spread=True,
    )


def _in_part(part: str) -> tuple[int, Any]:
    filters: dict[str, tuple[int, Any]] = {
        "params": (0, nnx.Param),
        "batch_stats": (0, nnx.BatchStat),
        "key": (0, nnx.RngCount),
        "opt_state": (1, lambda path, _: path[0] == "opt_state"),
        "step": (1, lambda path, _: path[0] == "step"),
    }
    return filters[part]


def get_variables(state: Any, part: str) -> Any:
    index, chosen = _in_part(part)
    # Other variables than those of the module, which the step goes on to change.
    return jax.tree.map(lambda leaf: leaf, nnx.state(state[index], chosen))


def put_variables(state: Any, part: str, value: Any) -> Any:
    nnx.update(state[_in_part(part)[0]], value)
    return state


# equinox: the key is an argument of its own


class Regressor(eqx.Module):
    layers: list[Any]
    dropout: eqx.nn.Dropout

    def __init__(self, key: Any) -> None:
        first, last = jax.random.split(key)
        self.layers = [eqx.nn.Linear(3, 8, key=first), eqx.nn.Linear(8, 1, key=last)]
        self.dropout = eqx.nn.Dropout(0.5)

    def __call__(self, x: Any, key: Any) -> Any:
        return self.layers[1](self.dropout(jax.nn.gelu(self.layers[0](x)), key=key))


def equinox_model() -> Case:
    model = Regressor(jax.random.key(0))
    tx = optax.adam(1e-2)

    def step(model: Any, opt_state: Any, batch: Any, key: Any) -> Any:
        def loss_of(model: Any) -> jax.Array:
            keys = jax.random.split(key, len(batch["x"]))
            return mse(jax.vmap(model)(batch["x"], keys), batch["y"])

        loss, grads = eqx.filter_value_and_grad(loss_of)(model)
        updates, opt_state = tx.update(grads, opt_state, model)
        return loss, eqx.apply_updates(model, updates), opt_state

    names = ("params", "opt_state")
    return Case(
        step,
        (model, tx.init(eqx.filter(model, eqx.is_inexact_array))),
        batch_of(8, 3),
        (jax.random.key(1),),
        compiled=eqx.filter_jit,
        get=functools.partial(get_part, names),
        put=functools.partial(put_part, names),
        place=slice(1, 3),
        spread=True,
    )


MODELS: dict[str, Callable[[], Case]] = {
    "linear": linear,
    "mlp_dropout": mlp_dropout,
    "folded_key": folded_key,
    "cnn_batchnorm": cnn_batchnorm,
    "transformer": transformer,
    "accumulation": accumulation,
    "ema": ema,
    "mixed_precision": mixed_precision,
    "scanned": scanned,
    "donated": donated,
    "plain_optax": plain_optax,
    "nnx": nnx_model,
    "equinox": equinox_model,
}


def make(name: str) -> Case:
    """A new case: no array of it is in another one."""
    return MODELS[name]()
