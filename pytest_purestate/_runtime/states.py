"""Train states for tests, from a model and the shapes of its inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar, overload

import jax
import optax
from flax.training.train_state import TrainState

from pytest_purestate._runtime.building import Request, build
from pytest_purestate._runtime.given import Rngs

__all__ = ["factory", "make_train_state"]

S = TypeVar("S")
Transformation: TypeAlias = "optax.GradientTransformation | str | None"


@overload
def make_train_state(
    model: Any,
    *inputs: Any,
    tx: Transformation = None,
    cls: type[S],
    rngs: Rngs | None = None,
    init_kwargs: Mapping[str, Any] | None = None,
    dtype: Any = None,
    sharding: Any = None,
    abstract: bool = False,
    **fields: Any,
) -> S: ...
@overload
def make_train_state(
    model: Any,
    *inputs: Any,
    tx: Transformation = None,
    rngs: Rngs | None = None,
    init_kwargs: Mapping[str, Any] | None = None,
    dtype: Any = None,
    sharding: Any = None,
    abstract: bool = False,
    **fields: Any,
) -> TrainState: ...
def make_train_state(
    model: Any,
    *inputs: Any,
    tx: Transformation = None,
    cls: type[Any] = TrainState,
    rngs: Rngs | None = None,
    init_kwargs: Mapping[str, Any] | None = None,
    dtype: Any = None,
    sharding: Any = None,
    abstract: bool = False,
    **fields: Any,
) -> Any:
    """A train state at step 0 for a model, with an optimizer state that fits.

    >>> import flax.linen as nn, jax, jax.numpy as jnp
    >>> state = make_train_state(nn.Dense(1), jax.ShapeDtypeStruct((8, 3), jnp.float32))
    >>> state.params["kernel"].shape
    (3, 1)

    ``state.apply_fn({"params": state.params}, x)`` calls the model, of whatever library. Other collections
    go in beside the params and come back with ``mutable=[...]``: ``apply_fn({"params": p, "batch_stats": b},
    x, mutable=["batch_stats"])`` is ``(y, {"batch_stats": ...})``. What an equinox module gives is given as it is.

    To initialise from shapes is the idea of linen's ``Module.lazy_init``.

    Cost: one trace and one compilation of the initialisation of a linen module, ahead of time. The program is kept, never a
    value: the next request for a model like it, with inputs of these shapes, runs it with its own key. Models are alike if
    their fields, their code and what that reads of its modules are; one that cannot be compared is compiled each time.

    Args:
        model: a linen module, which is initialised under ``jax.jit``; an nnx module, whose variables are
            copied into dicts and which stays as it is; an equinox module, whose params are its inexact arrays, in dicts
            too, and whose other arrays are the collection ``buffers``; or a pytree of params.
        *inputs: what a linen module is called with: arrays, pytrees of them, or ``jax.ShapeDtypeStruct``.
            Only shapes and dtypes are looked at. A module of nnx or equinox is not called; inputs serve to check that
            it can be.
        tx: the optimizer: a transformation, or the text of one, ``"adam"`` or ``"adamw(3e-4, weight_decay=0.1)"``, where the
            learning rate is 1e-3 unless it is given; by default ``optax.sgd(0.1)``. One text is one object, so states
            of several tests share their compiled step.
        cls: the class of the state: `flax.training.train_state.TrainState` or a subclass with more fields.
            Every collection but ``params`` (``batch_stats``, ...) goes to the field of its name.
        rngs: a key, a dict of keys by stream, or a `KeyStream`, for a linen module; by default
            ``jax.random.key(0)``. The fixture of this name takes a key of the test instead.
        init_kwargs: keywords for the model while it is initialised, such as ``{"train": False}``; as they
            are, so the place for flags.
        dtype: what floating params are cast to, such as ``jnp.bfloat16``; other collections stay as they are.
        sharding: where the arrays lie: a `jax.sharding.Sharding` for all of them (scalars are whole on each device); a
            function that is asked for one with the path, ``"params['kernel']"``, and the shape; or a state of shardings,
            such as ``flax.linen.get_sharding`` gives for an abstract state. A linen module is initialised there, and no
            device holds all of it.
        abstract: give `jax.ShapeDtypeStruct` leaves and compute nothing.
        **fields: values for other fields of ``cls``; they win over what the model has.

    Returns:
        A ``cls``. Every array in it is a copy, so a step can donate the state, and neither the model nor
        another state loses anything.

    Raises:
        TypeError: the model, an input, ``tx``, ``cls``, ``dtype``, ``sharding`` or a key is none of these; or the class
            wants a field that is not given, or is given one that it does not have.
        ValueError: the model has a collection for which ``cls`` has no field, its params depend on values of
            the inputs, or are shapes without ``abstract``; optax has no optimizer of this name; a sharding does not fit an
            array.
    """
    request = Request(model, inputs, tx, cls, rngs, init_kwargs, dtype, sharding, abstract, fields)
    return build(request, lambda: jax.random.key(0))


def factory(default_key: Callable[[], jax.Array]) -> Callable[..., Any]:
    """`make_train_state` with another source for the key that is not given."""

    @functools.wraps(make_train_state)
    def make(
        model: Any,
        *inputs: Any,
        tx: Transformation = None,
        cls: type[Any] = TrainState,
        rngs: Rngs | None = None,
        init_kwargs: Mapping[str, Any] | None = None,
        dtype: Any = None,
        sharding: Any = None,
        abstract: bool = False,
        **fields: Any,
    ) -> Any:
        request = Request(model, inputs, tx, cls, rngs, init_kwargs, dtype, sharding, abstract, fields)
        return build(request, default_key)

    return make
