"""Train states for tests, from a model and the shapes of its inputs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.arrays import is_array, read_array
from pytest_purestate._runtime.keys import KeyStream
from pytest_purestate._runtime.models import Parts, linen_parts, nnx_parts, params_parts, struct

__all__ = ["factory", "make_train_state"]

S = TypeVar("S")
Rngs = jax.Array | Mapping[str, jax.Array] | KeyStream


@overload
def make_train_state(
    model: Any,
    *inputs: Any,
    tx: optax.GradientTransformation | None = None,
    cls: type[S],
    rngs: Rngs | None = None,
    init_kwargs: Mapping[str, Any] | None = None,
    abstract: bool = False,
    **fields: Any,
) -> S: ...
@overload
def make_train_state(
    model: Any,
    *inputs: Any,
    tx: optax.GradientTransformation | None = None,
    rngs: Rngs | None = None,
    init_kwargs: Mapping[str, Any] | None = None,
    abstract: bool = False,
    **fields: Any,
) -> TrainState: ...
def make_train_state(
    model: Any,
    *inputs: Any,
    tx: optax.GradientTransformation | None = None,
    cls: type[Any] = TrainState,
    rngs: Rngs | None = None,
    init_kwargs: Mapping[str, Any] | None = None,
    abstract: bool = False,
    **fields: Any,
) -> Any:
    """A train state at step 0 for a model, with an optimizer state that fits.

    >>> import flax.linen as nn, jax, jax.numpy as jnp
    >>> state = make_train_state(nn.Dense(1), jax.ShapeDtypeStruct((8, 3), jnp.float32))
    >>> state.params["kernel"].shape
    (3, 1)

    ``state.apply_fn({"params": state.params}, x)`` calls the model, a linen or an nnx one. Other collections
    go in beside the params and come back with ``mutable=[...]``: ``apply_fn({"params": p, "batch_stats": b},
    x, mutable=["batch_stats"])`` is ``(y, {"batch_stats": ...})``.

    To initialise from shapes is the idea of linen's ``Module.lazy_init``.

    Args:
        model: a linen module, which is initialised under ``jax.jit``; an nnx module, whose variables are
            copied into dicts and which stays as it is; or a pytree of params.
        *inputs: what a linen module is called with: arrays, pytrees of them, or ``jax.ShapeDtypeStruct``.
            Only shapes and dtypes are looked at. An nnx module is not called; inputs serve to check that it
            can be.
        tx: the optimizer; by default ``optax.sgd(0.1)``.
        cls: the class of the state: `flax.training.train_state.TrainState` or a subclass with more fields.
            Every collection but ``params`` (``batch_stats``, ...) goes to the field of its name.
        rngs: a key, a dict of keys by stream, or a `KeyStream`, for a linen module; by default
            ``jax.random.key(0)``. The fixture of this name takes a key of the test instead.
        init_kwargs: keywords for the model while it is initialised, such as ``{"train": False}``; as they
            are, so the place for flags.
        abstract: give `jax.ShapeDtypeStruct` leaves and compute nothing.
        **fields: values for other fields of ``cls``; they win over what the model has.

    Returns:
        A ``cls``. Every array in it is a copy, so a step can donate the state, and neither the model nor
        another state loses anything.

    Raises:
        TypeError: the model, an input, ``tx``, ``cls`` or a key is none of these; or the class wants a field
            that is not given, or is given one that it does not have.
        ValueError: the model has a collection for which ``cls`` has no field, its params depend on values of
            the inputs, or are shapes without ``abstract``.
    """
    return _build(model, inputs, tx, cls, rngs, init_kwargs, abstract, fields, lambda: jax.random.key(0))


def factory(default_key: Callable[[], jax.Array]) -> Callable[..., Any]:
    """`make_train_state` with another source for the key that is not given."""

    @functools.wraps(make_train_state)
    def make(
        model: Any,
        *inputs: Any,
        tx: optax.GradientTransformation | None = None,
        cls: type[Any] = TrainState,
        rngs: Rngs | None = None,
        init_kwargs: Mapping[str, Any] | None = None,
        abstract: bool = False,
        **fields: Any,
    ) -> Any:
        return _build(model, inputs, tx, cls, rngs, init_kwargs, abstract, fields, default_key)

    return make


def _build(
    model: Any,
    inputs: tuple[Any, ...],
    tx: optax.GradientTransformation | None,
    cls: type[Any],
    rngs: Rngs | None,
    init_kwargs: Mapping[str, Any] | None,
    abstract: bool,
    fields: Mapping[str, Any],
    default_key: Callable[[], jax.Array],
) -> Any:
    transform = _checked_optimizer(optax.sgd(0.1) if tx is None else tx)
    names = _fields_of(cls)
    _check_fields(cls, names, fields)
    structs = tuple(_struct(value, f"inputs[{i}]") for i, value in enumerate(inputs))
    if not isinstance(init_kwargs, Mapping | None):
        raise TypeError(f"init_kwargs must be a dict of keywords for the model, not {init_kwargs!r}")
    kwargs = dict(init_kwargs or {})

    if _compat.is_linen_module(model):
        parts = linen_parts(model, structs, _rngs(rngs, default_key), kwargs, abstract)
    else:
        is_module = _compat.is_nnx_module(model)
        parts = nnx_parts(model, structs, kwargs) if is_module else params_parts(model)
        if rngs is not None:
            raise TypeError("rngs initialise a linen module; this model has its params already")
        if not is_module and (inputs or kwargs):
            raise TypeError("inputs and init_kwargs are for a module; this model is a pytree of params")

    values = {"apply_fn": parts.apply_fn, **_placed(parts, cls, names, fields), **fields}
    _check_complete(cls, values)

    arrays = {name: value for name, value in values.items() if name != "apply_fn" and _is_data(value)}
    static = {name: value for name, value in values.items() if name not in arrays}

    def create(params: Any, arrays: dict[str, Any]) -> Any:
        return cls.create(params=params, tx=transform, **static, **arrays)

    if abstract:
        return jax.eval_shape(create, parts.params, arrays)
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves((parts.params, arrays))):
        raise ValueError("the model or a field has shapes in place of arrays; pass abstract=True, or arrays")
    return jax.tree.map(_own, create(parts.params, arrays))


def _own(leaf: Any) -> Any:
    """A copy: a donated state must hold no array that the caller, another state, or another place in it has.

    Optimizers put params into their state as they are (``optax.contrib.schedule_free``), and the arrays of an
    nnx module, of a pytree and of the fields are the caller's.
    """
    return leaf.copy() if isinstance(leaf, jax.Array | np.ndarray) else leaf


def _is_data(value: Any) -> bool:
    kinds = jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct
    return all(isinstance(leaf, kinds) for leaf in jax.tree.leaves(value))


def _placed(
    parts: Parts, cls: type[Any], names: tuple[str, ...], fields: Mapping[str, Any]
) -> dict[str, Any]:
    """The collections, each with a field to go to."""
    for name in parts.collections:
        if name not in names:
            raise ValueError(
                f"the model has a collection `{name}`, and {cls.__name__} has no field for it\n"
                f"  help: `class MyTrainState({cls.__name__}): {name}: Any`, then pass cls=MyTrainState"
            )
    return {name: value for name, value in parts.collections.items() if name not in fields}


def _check_fields(cls: type[Any], names: tuple[str, ...], fields: Mapping[str, Any]) -> None:
    for name in fields:
        if name not in names:
            raise TypeError(f"{cls.__name__} has no field `{name}`; it has {', '.join(names)}")
        if name in ("step", "params", "opt_state"):
            raise TypeError(
                f"`{name}` follows from the model and the optimizer\n"
                f"  help: change it afterwards, `state.replace({name}=...)`"
            )


def _check_complete(cls: type[Any], values: Mapping[str, Any]) -> None:
    given = {"step", "params", "tx", "opt_state", *values}
    missing = [
        field.name
        for field in dataclasses.fields(cls)
        if field.init
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
        and field.name not in given
    ]
    if missing:
        arguments = ", ".join(f"{name}=..." for name in missing)
        raise TypeError(
            f"{cls.__name__} has fields that the model does not fill: {', '.join(missing)}\n"
            f"  help: make_train_state(..., cls={cls.__name__}, {arguments})"
        )


def _fields_of(cls: object) -> tuple[str, ...]:
    if not isinstance(cls, type) or not dataclasses.is_dataclass(cls) or not hasattr(cls, "create"):
        raise TypeError(f"cls must be TrainState or a class like it, a dataclass with `create`, not {cls!r}")
    return tuple(field.name for field in dataclasses.fields(cls))


def _checked_optimizer(tx: Any) -> Any:
    if isinstance(tx, type) or not (hasattr(tx, "init") and hasattr(tx, "update")):
        name = getattr(tx, "__name__", None)
        hint = f"; call it, `{name}(...)`" if name is not None else ""
        raise TypeError(f"tx must be an optax transformation, not {tx!r}{hint}")
    return tx


def _rngs(rngs: Rngs | None, default_key: Callable[[], jax.Array]) -> Any:
    if rngs is None:
        return default_key()
    if isinstance(rngs, KeyStream):
        return rngs("params")
    if isinstance(rngs, Mapping):
        if not rngs:
            raise TypeError('rngs is empty; a dict has a key for each stream, `{"params": key}`')
        for name, one in rngs.items():
            if not _is_key(one):
                raise TypeError(f"rngs[{name!r}] must be one key, not {_told(one)}; `jax.random.key(seed)`")
        return dict(rngs)
    if not _is_key(rngs):
        raise TypeError(
            f"rngs must be a key, a dict of keys or a KeyStream, not {_told(rngs)}; `jax.random.key(seed)`"
        )
    return rngs


def _is_key(value: Any) -> bool:
    """Whether this is one key, typed or raw."""
    if not isinstance(value, jax.Array | np.ndarray):
        return False
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return value.shape == ()
    return bool(value.dtype == jnp.uint32) and value.ndim == 1


def _told(value: Any) -> str:
    return f"an array {read_array(value)}" if is_array(value) else repr(value)


def _struct(value: Any, path: str) -> Any:
    """Shapes and dtypes in place of arrays."""

    def one(place: Any, leaf: Any) -> jax.ShapeDtypeStruct:
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        if isinstance(leaf, jax.Array) or (
            isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind not in "OSUMmT"
        ):
            return struct(leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype, allow_extended_dtype=True))
        if isinstance(leaf, int | float | complex) and not isinstance(leaf, bool):
            return struct((), jnp.result_type(leaf))
        where = path + jax.tree_util.keystr(place)
        raise TypeError(
            f"`{where}` is {leaf!r}, and inputs are arrays or ShapeDtypeStruct; flags go into init_kwargs"
        )

    return jax.tree_util.tree_map_with_path(one, value)
