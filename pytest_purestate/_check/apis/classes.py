"""Classes whose instances behave in a known way: frozen or mutable by design, and what family they are of."""

from __future__ import annotations

from pytest_purestate._check.apis.names import canonical

__all__ = ["annotation_kind", "base_family", "decorator_family", "held_items", "is_test_case"]

# dotted base class -> (family, instances are frozen)
_BASES: dict[str, tuple[str, bool]] = {
    "flax.linen.Module": ("linen", True),
    "flax.struct.PyTreeNode": ("struct", True),
    "flax.training.train_state.TrainState": ("struct", True),
    "equinox.Module": ("equinox", True),
    "typing.NamedTuple": ("namedtuple", True),
    "collections.namedtuple": ("namedtuple", False),  # of any program, not only of those that keep state
    "flax.nnx.Module": ("nnx", False),
    "flax.nnx.Pytree": ("nnx", False),
    "flax.nnx.Object": ("nnx", False),
    "flax.nnx.Optimizer": ("nnx", False),
    "flax.nnx.Variable": ("nnx", False),
    "flax.nnx.Param": ("nnx", False),
    "haiku.Module": ("haiku", False),
}

_NO_MODULES = frozenset(("State", "StateIndex", "Shared"))  # of equinox.nn

_DECORATORS: dict[str, tuple[str, bool]] = {
    "flax.struct.dataclass": ("struct", True),
    "chex.dataclass": ("chex", False),
    "chex.mappable_dataclass": ("chex", False),
    "dataclasses.dataclass": ("dataclass", False),
    "jax_dataclasses.pytree_dataclass": ("struct", True),
    "tjax.dataclasses.dataclass": ("struct", True),
    "brax.base.dataclass": ("struct", True),
}

_ANNOTATIONS: dict[str, str] = {
    "jax.Array": "array",
    "jax.numpy.ndarray": "array",
    "chex.Array": "array",
    "chex.ArrayDevice": "array",
    "jaxtyping.Array": "array",
    "jax.typing.ArrayLike": "",
    "numpy.ndarray": "numpy",
    "numpy.typing.NDArray": "numpy",
    "chex.ArrayNumpy": "numpy",
    "chex.ArrayTree": "state",
    "chex.Params": "state",
    "optax.OptState": "state",
    "optax.Params": "state",
    "optax.Updates": "state",
    "jaxtyping.PyTree": "state",
    "haiku.Params": "state",
    "haiku.State": "state",
    "flax.core.FrozenDict": "state",
    "flax.core.scope.FrozenVariableDict": "state",
    "flax.core.scope.VariableDict": "state",
    "flax.typing.FrozenVariableDict": "state",
    "optax.GradientTransformation": "transform",
    "flax.linen.Module": "module",
    "haiku.Transformed": "transformed",
    "haiku.PRNGSequence": "stream",
    "haiku.TransformedWithState": "transformed_with_state",
    "optax.GradientTransformationExtraArgs": "transform",
    "flax.nnx.RngStream": "stream",
    "gymnax.environments.environment.Environment": "env",
    "brax.envs.Env": "env",
    "brax.envs.base.Env": "env",
    "jumanji.Environment": "env",
    "jumanji.env.Environment": "env",
    "flax.nnx.Rngs": "stream",
    "builtins.str": "str",
    "builtins.int": "number",
    "builtins.float": "number",
    "builtins.bool": "number",
    "builtins.dict": "dict",
    "builtins.list": "list",
    "builtins.set": "set",
    "builtins.frozenset": "set",
    "typing.Set": "set",
    "typing.Deque": "queue",
    "collections.deque": "queue",
    **{f"queue.{name}": "queue" for name in ("Queue", "SimpleQueue", "LifoQueue", "PriorityQueue")},
    "typing.FrozenSet": "set",
    "typing.AbstractSet": "set",
    "collections.abc.Set": "set",
    "pathlib.Path": "path",
    "typing.Dict": "dict",
    "typing.List": "list",
    "typing.MutableMapping": "dict",
}

# What the brackets of a container's annotation tell: the type of all elements, of the values, or of each element.
_HELD: dict[str, str] = {
    **dict.fromkeys(
        ("list", "List", "Sequence", "MutableSequence", "Iterable", "Iterator", "Collection", "deque"), "all"
    ),
    **dict.fromkeys(
        ("dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "DefaultDict", "defaultdict"), "values"
    ),
    **dict.fromkeys(("tuple", "Tuple"), "each"),
}
_MODULES = ("builtins", "typing", "collections", "collections.abc", "typing_extensions")


def base_family(name: str) -> tuple[str, bool] | None:
    """The family of classes derived from the library class ``name``, and whether they are frozen."""
    name = canonical(name)
    known = _BASES.get(name)
    if known is None and name.startswith("equinox.nn.") and name.rpartition(".")[2] not in _NO_MODULES:
        return _BASES["equinox.Module"]
    return known


def is_test_case(name: str) -> bool:
    """Whether the library class ``name`` is a base of test cases: unittest's, or one of those made after it."""
    return name.endswith("TestCase")


def decorator_family(name: str) -> tuple[str, bool] | None:
    """The family a class decorator puts a class into."""
    return _DECORATORS.get(canonical(name))


def annotation_kind(name: str) -> str | None:
    """The kind of value that an annotation with this dotted name promises."""
    return _ANNOTATIONS.get(canonical(name))


def held_items(name: str) -> str:
    """What an annotation ``name[...]`` tells of the elements: the type of ``all``, ``values`` or ``each``, or nothing."""
    module, _, last = name.rpartition(".")
    return _HELD.get(last, "") if module in _MODULES else ""
