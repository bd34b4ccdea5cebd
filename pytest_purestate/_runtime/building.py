"""How `make_train_state` puts a state together: the model taken apart, fields checked, arrays made and placed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax.training.train_state import TrainState

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.equinox_model import equinox_parts
from pytest_purestate._runtime.given import Rngs, checked_dtype, checked_rngs, shapes_of
from pytest_purestate._runtime.linen_model import LinenModel, linen_model
from pytest_purestate._runtime.models import Parts, cast, nnx_parts, params_parts, struct
from pytest_purestate._runtime.optimizers import optimizer
from pytest_purestate._runtime.placement import check_sharding, resolve

__all__ = ["Request", "build", "prepare"]


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of `make_train_state`."""

    model: Any
    inputs: tuple[Any, ...]
    tx: Any
    cls: type[Any]
    rngs: Rngs | None
    init_kwargs: Mapping[str, Any] | None
    dtype: Any
    sharding: Any
    abstract: bool
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """How to make a state: its class with all that is no array, and the arrays, or shapes of those that a model makes.

    Attributes:
        create: from params and data by field.
        params: of the state.
        data: for other fields of it.
        source: the linen module whose variables are still to be computed.
        made: the fields that these go to, besides the params.
    """

    create: Callable[[Any, dict[str, Any]], Any]
    params: Any
    data: dict[str, Any]
    source: LinenModel | None
    made: tuple[str, ...]

    @property
    def given(self) -> Any:
        """What the caller has of it already."""
        if self.source is None:
            return self.params, self.data
        return {name: value for name, value in self.data.items() if name not in self.made}

    def shapes(self) -> Any:
        """The state, with shapes in place of arrays."""
        return jax.eval_shape(self.create, self.params, self.data)

    def state(self) -> Any:
        """The state, where JAX puts it."""
        params, data, fresh = self.params, self.data, set()
        if self.source is not None:
            parts = self.source.arrays()
            params, data = parts.params, {**data, **{name: parts.collections[name] for name in self.made}}
            fresh = _ids((params, [data[name] for name in self.made]))
        return _owned(self.create(params, data), fresh)

    def placed(self, places: Any) -> Any:
        """The state, each array where it belongs from its beginning."""

        def put(value: Any, place: Any) -> Any:
            return jax.tree.map(lambda leaf, one: jax.device_put(leaf, one, may_alias=False), value, place)

        given = {
            name: put(value, getattr(places, name))
            for name, value in self.data.items()
            if name not in self.made
        }
        if self.source is None:
            params, data = put(self.params, places.params), given
        else:
            parts = self.source.arrays(
                {"params": places.params, **{name: getattr(places, name) for name in self.made}}
            )
            params, data = parts.params, {**given, **{name: parts.collections[name] for name in self.made}}
        fixed: dict[int, Any] = {}  # leaves that are no arrays, such as the step
        structure = None

        def create(params: Any, data: dict[str, Any]) -> list[Any]:
            nonlocal structure
            leaves, structure = jax.tree.flatten(self.create(params, data))
            fixed.update(  # purestate: ignore[PS301] what tracing found is wanted
                {i: leaf for i, leaf in enumerate(leaves) if not isinstance(leaf, jax.Array | np.ndarray)}
            )
            return [leaf for i, leaf in enumerate(leaves) if i not in fixed]

        jax.eval_shape(create, params, data)
        wanted = [place for i, place in enumerate(jax.tree.leaves(places)) if i not in fixed]
        arrays = iter(jax.jit(create, out_shardings=wanted)(params, data))
        count = len(fixed) + len(wanted)
        leaves = [fixed[i] if i in fixed else next(arrays) for i in range(count)]
        return _owned(jax.tree.unflatten(structure, leaves), _ids(leaves))


def build(request: Request, default_key: Callable[[], jax.Array]) -> Any:
    """The state that is asked for.

    Args:
        request: what for.
        default_key: gives a key for a linen module where none is given.
    """
    plan = _planned(request, default_key)
    places = shapes = None
    if request.abstract or request.sharding is not None:
        shapes = plan.shapes()
        places = None if request.sharding is None else resolve(request.sharding, shapes)
    if request.abstract:
        return shapes if places is None else jax.tree.map(_with_place, shapes, places)
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(plan.given)):
        raise ValueError("the model or a field has shapes in place of arrays; pass abstract=True, or arrays")
    return plan.state() if places is None else plan.placed(places)


def prepare(
    model: Any,
    inputs: tuple[Any, ...],
    rngs: Rngs | None = None,
    init_kwargs: Mapping[str, Any] | None = None,
    dtype: Any = None,
) -> None:
    """Compile the initialisation of a linen module, for states that will be asked for."""
    request = Request(model, inputs, None, TrainState, rngs, init_kwargs, dtype, None, False, {})
    _, source = _taken_apart(request, checked_dtype(dtype), lambda: jax.random.key(0))
    assert source is not None
    source.arrays()


def _planned(request: Request, default_key: Callable[[], jax.Array]) -> _Plan:
    cls, fields = request.cls, request.fields
    transform = optimizer(request.tx)
    names = _fields_of(cls)
    _check_fields(cls, names, fields)
    check_sharding(request.sharding, cls)
    dtype = checked_dtype(request.dtype)
    parts, source = _taken_apart(request, dtype, default_key)
    collections = _placed(parts, cls, names, fields)
    values = {"apply_fn": parts.apply_fn, **collections, **fields}
    _check_complete(cls, values)
    data = {name: value for name, value in values.items() if name != "apply_fn" and _is_data(value)}
    static = {name: value for name, value in values.items() if name not in data}

    def create(params: Any, data: dict[str, Any]) -> Any:
        return cls.create(params=params, tx=transform, **static, **data)

    return _Plan(create, parts.params, data, source, tuple(collections) if source is not None else ())


def _taken_apart(
    request: Request, dtype: Any, default_key: Callable[[], jax.Array]
) -> tuple[Parts, LinenModel | None]:
    model = request.model
    structs = tuple(shapes_of(value, f"inputs[{i}]") for i, value in enumerate(request.inputs))
    if not isinstance(request.init_kwargs, Mapping | None):
        raise TypeError(f"init_kwargs must be a dict of keywords for the model, not {request.init_kwargs!r}")
    kwargs = dict(request.init_kwargs or {})
    if _compat.is_linen_module(model):
        source = linen_model(model, structs, kwargs, checked_rngs(request.rngs, default_key), dtype)
        return source.shapes(), source
    if request.rngs is not None:
        raise TypeError("rngs initialise a linen module; this model has its params already")
    if _compat.is_nnx_module(model):
        parts = nnx_parts(model, structs, kwargs)
    elif _compat.is_equinox_module(model):
        parts = equinox_parts(model, structs, kwargs)
    else:
        parts = params_parts(model)
        if structs or kwargs:
            raise TypeError("inputs and init_kwargs are for a module; this model is a pytree of params")
    return dataclasses.replace(parts, params=cast(parts.params, dtype)), None


def _with_place(leaf: Any, place: Any) -> Any:
    return struct(leaf.shape, leaf.dtype, sharding=place, weak_type=bool(getattr(leaf, "weak_type", False)))


def _ids(tree: Any) -> set[int]:
    return {id(leaf) for leaf in jax.tree.leaves(tree)}


def _owned(state: Any, fresh: set[int]) -> Any:
    """A state that holds no array that the caller, another state, or another place in it has, so that it can be donated.

    Optimizers put params into their state as they are (``optax.contrib.schedule_free``), and the arrays of a
    module, of a pytree and of the fields are the caller's. What a program of ours just made is used once as it is.
    """

    def own(leaf: Any) -> Any:
        if id(leaf) in fresh and not _compat.is_key_aval(leaf):
            fresh.discard(id(leaf))
            return leaf
        return leaf.copy() if isinstance(leaf, jax.Array | np.ndarray) else leaf

    return jax.tree.map(own, state)


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
