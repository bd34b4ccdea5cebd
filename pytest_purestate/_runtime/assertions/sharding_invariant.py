"""Asserts that a function computes the same on one device and on many."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.arrays import array_problems, read_array
from pytest_purestate._runtime.closeness import Tolerance
from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.graph import Node, iter_nodes, take_picture
from pytest_purestate._runtime.hidden import HiddenState, name_of
from pytest_purestate._runtime.inputs import check_function, check_output, take_inputs
from pytest_purestate._runtime.meshes import (
    WHOLE,
    Layout,
    check_meshes,
    devices_for,
    entered,
    layouts,
    placed,
    spec_text,
)
from pytest_purestate._runtime.representation import compare_content
from pytest_purestate._runtime.settings import settings_in_force

__all__ = ["assert_sharding_invariant"]

R = TypeVar("R")
_ALONE = "one device"


def assert_sharding_invariant(
    fn: Callable[..., R],
    *args: Any,
    devices: int | Sequence[jax.Device] | None = None,
    meshes: Sequence[tuple[int, ...] | Mesh] | None = None,
    shardings: Any = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> R:
    """Assert that a function gives the same result however its arguments are spread over devices.

    >>> import jax, jax.numpy as jnp
    >>> if jax.local_device_count() > 1:
    ...     means = assert_sharding_invariant(lambda x: x.mean(0), jnp.ones((8, 4)))

    The function runs on one device, and then on meshes of all of them with the axes ``data`` and ``model``: with
    its arguments whole on each device, with the first axis of every array split over ``data``, and with the last axis of
    arrays with two or more split over ``model``, wherever they can be divided. What an array means does not depend on
    where its parts lie, so the results must agree: integers, flags and keys bit by bit, floats within a tolerance, because
    sums over shards are added in another order. The copies that several devices hold of one part must be equal too; reading
    an array shows only one of them.

    What breaks this: the place of a device used as a number (``lax.axis_index``, a key folded with it), the size of the
    mesh, statistics of the shard instead of the batch, shuffles within shards, collectives that were forgotten. Draws of
    ``jax.random`` do not: they are the same numbers on any mesh, with ``jax_threefry_partitionable`` on or off. What
    a function asks the process (``jax.device_count()``) has the same answer in every call here, so that is not seen.

    Devices: a CPU stands for several if it is told to before JAX starts, by ``purestate_host_devices = 8`` in the
    configuration of pytest, or by ``XLA_FLAGS=--xla_force_host_platform_device_count=8``. Where there is one device only, the
    test is skipped and the setting named; outside of pytest that is a RuntimeError.

    Cost: a compilation and a call for one device, and for each layout; five layouts at most by default.

    Args:
        fn: the function, or a method, a partial (to bind keywords), a jitted function. Where it has a parameter ``mesh``
            that is not bound, it is given the mesh, which on one device has one device along each axis. The mesh is also the
            one in force, where JAX has ``jax.set_mesh``.
        *args: its arguments; at least one array in them. Each call gets copies, so it may donate them.
        devices: how many, or which; by default all local ones.
        meshes: shapes ``(data, model)``, or meshes with axes of other names; by default ``(n, 1)``, ``(n / 2, 2)`` and
            ``(n / 4, 4)``.
        shardings: a tuple with one `jax.sharding.PartitionSpec` for each argument, or a tree of them that is a prefix of the
            argument: ``(PartitionSpec(), PartitionSpec("data"))`` for params and a batch. Scalars stay whole; None is whole.
        rtol: relative tolerance for floats. By default by the dtype: 2.4e-5 for float32.
        atol: absolute tolerance for floats. By default ``rtol`` of the largest number of the array.

    Returns:
        What the function returned on one device.

    Raises:
        PurityError: a result differs. The text names the place in the output, the mesh and how the arguments were split,
            and shows both values.
        TypeError: ``fn`` is not callable, an argument is a tracer or an iterator, ``devices``, ``meshes`` or
            ``shardings`` is none of these, or the call is made inside a transformation.
        ValueError: there is no array in the arguments, one was deleted, a sharding does not fit, a mesh is too
            large, or a tolerance negative.
        RuntimeError: there are not enough devices, outside of pytest.
    """
    __tracebackhide__ = True
    check_function("assert_sharding_invariant", fn)
    tolerance = _check_tolerance(rtol, atol)
    there = devices_for(devices)
    grids = check_meshes(meshes, there)
    inputs = take_inputs("assert_sharding_invariant", fn, args)
    _check_shardings(shardings, len(args))
    wanted = _wants_mesh(fn, inputs.args)
    _check_arrays(inputs.args)
    if shardings is not None:
        for _ in layouts(grids, inputs.names, inputs.args, shardings):
            pass  # says what does not fit before anything runs
    hidden = HiddenState(fn)

    def alone(mesh: Mesh) -> R:
        __tracebackhide__ = True
        small = Mesh(mesh.devices.reshape(-1)[:1].reshape((1,) * mesh.devices.ndim), mesh.axis_names)
        own, _ = placed(inputs.args, inputs.names, small, lambda leaf, _: WHOLE)
        return _call(fn, own, small, wanted)

    output = alone(grids[0])
    first = take_picture(output)
    check_output(first)
    failed = []
    for plan in layouts(grids, inputs.names, inputs.args, shardings):
        result = take_picture(_call(fn, plan.args, plan.mesh, wanted))
        found = [*_copies_differ(result), *_differences(first, result, tolerance, str(plan))]
        if found:
            failed.append(_Failed(plan, found))
    if failed:
        again = _differences(first, take_picture(alone(grids[0])), tolerance, "again")
        raise _unrepeatable(fn, again, hidden.changes()) if again else _failure(fn, failed)
    return output


@dataclass(frozen=True, slots=True, eq=False)
class _Failed:
    layout: Layout
    problems: list[Problem]


def _call(fn: Callable[..., R], args: tuple[Any, ...], mesh: Mesh, wanted: bool) -> R:
    __tracebackhide__ = True
    with entered(mesh):
        return fn(*args, mesh=mesh) if wanted else fn(*args)


def _check_tolerance(rtol: object, atol: object) -> Tolerance:
    __tracebackhide__ = True
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise TypeError(f"{name} must be a number, not {value!r}")
        if value is not None and not value >= 0:
            raise ValueError(f"{name} must not be negative: {value}")
    return Tolerance(rtol, atol)  # type: ignore[arg-type]


def _check_shardings(shardings: object, count: int) -> None:
    __tracebackhide__ = True
    if shardings is None:
        return
    # A PartitionSpec is a tuple in some versions.
    if not isinstance(shardings, tuple | list) or isinstance(shardings, PartitionSpec):
        raise TypeError(
            f"shardings must be a tuple with a PartitionSpec for each argument, not {shardings!r}"
        )
    if len(shardings) != count:
        raise ValueError(f"shardings must have an entry for each argument: {len(shardings)} for {count}")


def _check_arrays(args: tuple[Any, ...]) -> None:
    __tracebackhide__ = True
    nodes = (node for arg in args for _, node in iter_nodes(take_picture(arg), ""))
    if not any(isinstance(node.value, jax.Array | np.ndarray) for node in nodes):
        raise ValueError(
            "assert_sharding_invariant needs an array in the arguments: there is nothing to spread"
        )


def _wants_mesh(fn: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    try:
        parameter = inspect.signature(fn).parameters.get("mesh")
        if parameter is None or parameter.default is not parameter.empty:
            return False
        inspect.signature(fn).bind(*args, mesh=None)
    except (TypeError, ValueError):
        return False
    return True


def _differences(one: Node, other: Node, tolerance: Tolerance, label: str) -> list[Problem]:
    tolerance.settle(one, other)
    found = compare_content(one, other, "output").problems
    return [dataclasses.replace(problem, labels=(_ALONE, label)) for problem in found]


def _copies_differ(result: Node) -> Iterator[Problem]:
    """Parts of an array of which the copies on several devices are not equal."""
    for path, node in iter_nodes(result, "output"):
        value = node.value
        if not isinstance(value, jax.Array) or _compat.is_tracer(value) or value.is_deleted():
            continue
        firsts: dict[str, Any] = {}
        for shard in value.addressable_shards:
            first: Any = firsts.setdefault(str(shard.index), shard)
            if first is shard:
                continue
            pair = read_array(first.data), read_array(shard.data)
            labels = (f"on device {first.device.id}", f"on device {shard.device.id}")
            problems = array_problems(path, *pair, placement=False)
            if problem := next(problems, None):
                message = f"devices hold copies that are not equal: {problem.message}"
                yield dataclasses.replace(problem, message=message, labels=labels)
                break


def _unrepeatable(fn: Callable[..., Any], again: list[Problem], hidden: tuple[Problem, ...]) -> PurityError:
    return PurityError(
        f"`{name_of(fn)}` does not repeat itself on one device, so nothing can be said about many",
        (*again, *hidden),
        (_ALONE, "again"),
        (f"settings: {settings_in_force()}",),
        "make it deterministic first; assert_deterministic tells more",
    )


def _failure(fn: Callable[..., Any], failed: list[_Failed]) -> PurityError:
    seen: set[str] = set()
    problems = []
    for one in failed:
        problems += [problem for problem in one.problems if problem.path not in seen]
        seen |= {problem.path for problem in one.problems}
    layout = failed[0].layout
    split = [f"{path}: {spec_text(spec)}" for path, spec in layout.specs.items()]
    lines = [
        f"mesh: {layout}" + (f"; {'; '.join(split[:6])}{' ...' if len(split) > 6 else ''}" if split else ""),
        *(f"also on the mesh: {one.layout}" for one in failed[1:]),
        f"settings: {settings_in_force()}",
    ]
    help = (
        "look for what depends on the mesh: `lax.axis_index` and a key folded with it, its size, statistics or "
        "shuffles of a shard instead of the batch (`lax.pmean` over the axis makes them the same); where only rounding is left, "
        "give the distance that is acceptable as `rtol` and `atol`"
    )
    return PurityError(
        f"`{name_of(fn)}` depends on how its arguments are spread over {layout.mesh.size} devices",
        problems,
        (_ALONE, str(layout)),
        tuple(lines),
        help,
    )
