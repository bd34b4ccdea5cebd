"""Meshes of devices, and ways to lay arguments out on them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NoReturn

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.copies import copy_value

__all__ = [
    "AXES",
    "WHOLE",
    "Layout",
    "check_meshes",
    "devices_for",
    "entered",
    "layouts",
    "placed",
    "spec_text",
]

AXES = ("data", "model")
WHOLE: PartitionSpec = PartitionSpec()  # type: ignore[no-untyped-call]
Choose = Callable[[Any, Mesh], PartitionSpec]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the arguments lie for one call.

    Attributes:
        mesh: of the devices.
        args: the arguments, put there.
        specs: how each array is split that is split at all, by its path.
    """

    mesh: Mesh
    args: tuple[Any, ...]
    specs: dict[str, PartitionSpec]

    def __str__(self) -> str:
        shape = " x ".join(f"{name}={size}" for name, size in self.mesh.shape.items())
        return f"{shape}, {'split' if self.specs else 'whole'}"


def devices_for(devices: object) -> list[jax.Device]:
    """The devices that an argument ``devices`` means: all, the first few, or these.

    Raises:
        TypeError: it is none of these.
        ValueError: there are fewer than two.
        RuntimeError: there are not as many here; under pytest the test is skipped instead.
    """
    __tracebackhide__ = True
    if (
        isinstance(devices, bool)
        or not isinstance(devices, int | Sequence | None)
        or isinstance(devices, str)
    ):
        raise TypeError(f"devices must be a number or a list of devices, not {devices!r}")
    if isinstance(devices, Sequence):
        if wrong := [one for one in devices if not isinstance(one, jax.Device)]:
            raise TypeError(f"devices must be a number or a list of devices, and has {wrong[0]!r}")
        if len(set(devices)) < 2 or len(set(devices)) != len(devices):
            raise ValueError(f"devices must be two or more, each of them once: {devices}")
        return list(devices)
    if devices is not None and devices < 2:
        raise ValueError(f"devices must be two or more, to have something to compare: {devices}")
    here: list[jax.Device] = jax.local_devices()
    wanted = devices or max(len(here), 2)
    if len(here) < wanted:
        _too_few(len(here), here[0].platform, devices or 8)
    return here[:wanted]


def _too_few(count: int, platform: str, wanted: int) -> NoReturn:
    __tracebackhide__ = True
    there = f"there {'is 1' if count == 1 else f'are {count}'} {platform} device{'s' if count != 1 else ''}"
    text = f"assert_sharding_invariant needs {wanted} devices, and {there}: "
    pytest = sys.modules.get("pytest")
    if pytest is not None and "PYTEST_CURRENT_TEST" in os.environ:
        pytest.skip(f"{text}on CPU set `purestate_host_devices = {wanted}` in the configuration of pytest")
    raise RuntimeError(
        f"{text}on CPU set XLA_FLAGS=--xla_force_host_platform_device_count={wanted} before JAX starts"
    )


def check_meshes(meshes: object, devices: list[jax.Device]) -> list[Mesh]:
    """The meshes to try: those that are given, by shape or as they are, or up to three shapes.

    Raises:
        TypeError: it is no list of shapes and meshes.
        ValueError: a shape has more devices than there are, or only one.
    """
    __tracebackhide__ = True
    if meshes is None:
        count = len(devices)
        shapes = [(count // model, model) for model in (1, 2, 4) if not count % model and count // model > 1]
        return [_mesh(devices, shape) for shape in shapes]
    if isinstance(meshes, str) or not isinstance(meshes, Sequence) or not meshes:
        raise TypeError(f"meshes must be a list of shapes, such as [(4, 2)], or of meshes, not {meshes!r}")
    return [one if isinstance(one, Mesh) else _mesh(devices, one) for one in meshes]


def _mesh(devices: list[jax.Device], shape: Any) -> Mesh:
    __tracebackhide__ = True
    if (
        not isinstance(shape, tuple)
        or len(shape) not in (1, 2)
        or not all(isinstance(n, int) and n > 0 for n in shape)
    ):
        raise TypeError(f"a mesh has the shape (data, model), such as (4, 2), not {shape!r}")
    count = int(np.prod(shape))
    if not 1 < count <= len(devices):
        raise ValueError(f"a mesh of the shape {shape} needs {count} devices, and there are {len(devices)}")
    return Mesh(np.array(devices[:count]).reshape(shape), AXES[: len(shape)])


def layouts(
    meshes: list[Mesh], names: tuple[str, ...], args: tuple[Any, ...], shardings: Any
) -> Iterator[Layout]:
    """The ways to lay out the arguments: as it is asked for, or whole, and then split on each mesh."""
    if shardings is not None:
        yield from (_laid_out(mesh, names, args, shardings) for mesh in meshes)
        return
    whole = placed(args, names, meshes[0], _whole)
    yield Layout(meshes[0], *whole)
    for mesh in meshes:
        args_there, specs = placed(args, names, mesh, _split)
        if specs:
            yield Layout(mesh, args_there, specs)


def placed(
    args: tuple[Any, ...], names: tuple[str, ...], mesh: Mesh, choose: Choose
) -> tuple[tuple[Any, ...], dict[str, PartitionSpec]]:
    """Copies of the arguments on a mesh, and how they are split."""
    specs: dict[str, PartitionSpec] = {}
    return tuple(_put(arg, name, mesh, choose, specs) for arg, name in zip(args, names, strict=True)), specs


def _put(value: Any, path: str, mesh: Mesh, choose: Choose, specs: dict[str, PartitionSpec]) -> Any:
    def put(leaf: Any, path: str) -> Any:
        if not isinstance(leaf, jax.Array) and (
            not isinstance(leaf, np.ndarray) or leaf.dtype.kind in "OSUTmM"
        ):
            return leaf  # a number, a string
        spec = choose(leaf, mesh)
        try:
            sharding = NamedSharding(mesh, spec)
            sharding.shard_shape(leaf.shape)
        except Exception as error:  # an axis twice, or none of this mesh
            raise ValueError(
                f"shardings: {spec_text(spec)} does not fit `{path}`, which is {leaf.dtype}{list(leaf.shape)}: {error}"
            ) from None
        if any(axis is not None for axis in spec):
            specs[path] = spec
        # A copy, because the original is kept for the next call, and device_put may hand on its buffer.
        return jax.device_put(leaf.copy(), sharding)

    return copy_value(value, path, array=put, host=put)


def _laid_out(mesh: Mesh, names: tuple[str, ...], args: tuple[Any, ...], shardings: Any) -> Layout:
    specs: dict[str, PartitionSpec] = {}
    made = []
    for name, arg, prefix in zip(names, args, shardings, strict=True):

        def one(path: Any, spec: Any, part: Any, name: str = name) -> Any:
            fits = spec if spec is not None else WHOLE
            return _put(
                part,
                name + jax.tree_util.keystr(path),
                mesh,
                lambda leaf, _: fits if leaf.ndim else WHOLE,
                specs,
            )

        try:
            made.append(jax.tree_util.tree_map_with_path(one, prefix, arg, is_leaf=_is_spec))
        except ValueError as error:
            if str(error).startswith("shardings: "):
                raise
            raise ValueError(f"shardings: `{name}` has another structure than what is said of it") from error
    return Layout(mesh, tuple(made), specs)


def _is_spec(value: Any) -> bool:
    return value is None or isinstance(value, PartitionSpec)


def _whole(leaf: Any, mesh: Mesh) -> PartitionSpec:
    return WHOLE


def _split(leaf: Any, mesh: Mesh) -> PartitionSpec:
    """The first axis over the first axis of the mesh, the last one over the second, where they can be divided."""
    names = list(mesh.shape)
    axes: list[str | None] = [None] * leaf.ndim
    # The last axis of uint32 may be the words of raw keys, which JAX keeps together.
    free = leaf.ndim - (not _compat.is_key_aval(leaf) and leaf.dtype == np.uint32)
    size = mesh.shape[names[0]]
    if free > 0 and size > 1 and leaf.shape[0] and leaf.shape[0] % size == 0:
        axes[0] = names[0]
    if len(names) > 1 and free > 1 and leaf.ndim == free:
        size = mesh.shape[names[1]]
        if size > 1 and leaf.shape[-1] and leaf.shape[-1] % size == 0:
            axes[-1] = names[1]
    return PartitionSpec(*axes) if any(axes) else WHOLE  # type: ignore[no-untyped-call]


def spec_text(spec: PartitionSpec) -> str:
    """A spec as one writes it, in any version of JAX."""
    return f"P({', '.join(map(repr, spec))})"


def entered(mesh: Mesh) -> AbstractContextManager[Any]:
    """Make a mesh the one in force, for functions that name its axes only, where JAX has ``jax.set_mesh``.

    Older ways to do so change what a compiled function takes: ``nnx.jit`` of Flax 0.10 refuses split arguments then.
    """
    enter: Any = getattr(jax, "set_mesh", None)
    context: AbstractContextManager[Any] = nullcontext() if enter is None else enter(mesh)
    return context
