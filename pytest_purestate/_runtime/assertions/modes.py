"""Ways to call a function again: what may differ between the calls that must give one result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax

from pytest_purestate._runtime import _compat, recording
from pytest_purestate._runtime.assertions import process
from pytest_purestate._runtime.copies import copy_value
from pytest_purestate._runtime.graph import Node, take_picture

__all__ = ["MODES", "Again", "Mode"]


@dataclass(frozen=True, slots=True)
class Again:
    """One more call.

    Attributes:
        label: what is special about it, for ``call 4 (recompiled)``; may be empty.
        run: calls the function and takes a picture of what it returns.
        placement: whether the result must be on the devices of the first one.
    """

    label: str
    run: Callable[[], Node]
    placement: bool = True


Plan = Callable[[Callable[..., Any], tuple[Any, ...], int], Iterator[Again]]


@dataclass(frozen=True, slots=True)
class Mode:
    """One of the names that ``across`` takes.

    Attributes:
        plan: gives the calls to make, for the function, its arguments and their number. It says what cannot
            work when it is called, before any call is made.
        help: what to try where these calls differ from the first one.
    """

    plan: Plan
    help: str


def _calls(function: Callable[..., Any], args: tuple[Any, ...], count: int) -> Iterator[Again]:
    return iter([Again("", lambda: take_picture(function(*copy_value(args))))] * count)


def _recompile(function: Callable[..., Any], args: tuple[Any, ...], count: int) -> Iterator[Again]:
    def run() -> Node:
        with _compat.fresh_compilations():
            return take_picture(function(*copy_value(args)))

    return iter([Again("recompiled", run)] * count)


def _eager(function: Callable[..., Any], args: tuple[Any, ...], count: int) -> Iterator[Again]:
    def run() -> Node:
        with jax.disable_jit():
            return take_picture(function(*copy_value(args)))

    return iter([Again("without jit", run, placement=False)] * count)


def _devices(function: Callable[..., Any], args: tuple[Any, ...], count: int) -> Iterator[Again]:
    devices = jax.local_devices()
    if len(devices) < 2:
        raise ValueError(
            f"across='devices' needs two devices of one kind, and there is one {devices[0].platform} device; "
            "on CPU set XLA_FLAGS=--xla_force_host_platform_device_count=2 before JAX starts"
        )

    def move(array: Any, path: str, device: jax.Device) -> Any:
        if len(array.sharding.device_set) > 1:
            raise ValueError(
                f"`{path}` is spread over several devices, so across='devices' cannot move it to one"
            )
        return jax.device_put(array, device)

    def again(device: jax.Device) -> Again:
        def run() -> Node:
            with jax.default_device(device):
                return take_picture(function(*copy_value(args, array=lambda x, path: move(x, path, device))))

        return Again(f"on {device.platform}:{device.id}", run, placement=False)

    first = jax.config.jax_default_device or devices[0]  # type: ignore[attr-defined]
    others = [device for device in devices if device != first]
    copy_value(args, array=lambda x, path: move(x, path, others[0]))
    return map(again, others)


def _process(function: Callable[..., Any], args: tuple[Any, ...], count: int) -> Iterator[Again]:
    replay = recording.replaying()
    if replay is not None and replay.arrived is not None:
        return iter(())  # this is such a process, on its way to a later call
    try:
        call = process.prepare(function, copy_value(args))
    except TypeError:
        # A closure, or something that cannot be pickled: the test makes them again.
        test = recording.run_again()
        if test is None:
            raise
        label = "in a fresh process, which ran the test again"
        return iter([Again(label, lambda: process.again(test), placement=False)] * count)
    return iter([Again("in a fresh process", lambda: process.run(call), placement=False)] * count)


MODES = {
    "calls": Mode(
        _calls,
        "look for what the function reads besides its arguments: random numbers of the host, the clock, a "
        "global that is changed; on GPU also for atomic additions, as in scatters, which "
        "XLA_FLAGS=--xla_gpu_deterministic_ops=true avoids",
    ),
    "recompile": Mode(
        _recompile,
        "tracing ran the Python code again: a random number of the host, the clock or a global that it reads "
        "is a constant of the compiled function, another one each time; pass it as an argument. On GPU the "
        "compiler may also have chosen another algorithm: XLA_FLAGS=--xla_gpu_autotune_level=0",
    ),
    "eager": Mode(
        _eager,
        "a compiled function fuses and reorders its arithmetic, so floats can differ in the last bits: where "
        "that is all, give the distance that is acceptable as `max_ulp`; otherwise tracing changed the "
        "meaning, as Python side effects and reads of globals do",
    ),
    "devices": Mode(
        _devices,
        "look for what depends on the device: its index, its memory, an algorithm chosen for it",
    ),
    "process": Mode(
        _process,
        "look for what is new in each process: the order of a set of strings and `hash()` (PYTHONHASHSEED), "
        "`id()`, the process id, the clock, files, the environment",
    ),
}
"""What may differ between calls, by the name that ``across`` takes."""
