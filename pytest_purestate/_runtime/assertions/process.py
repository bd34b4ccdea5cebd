"""Calls a function in a fresh Python process and brings back a picture of its result."""

from __future__ import annotations

import functools
import importlib
import operator
import os
import pickle
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from pytest_purestate._runtime.arrays import ArrayContent
from pytest_purestate._runtime.graph import Node, iter_nodes, take_picture
from pytest_purestate._runtime.hidden import name_of

__all__ = ["again", "arrived", "child", "portable", "prepare", "run"]

_SCRIPT = f"from {__name__} import child; child()"
_TAIL = 2000


def prepare(function: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    """Pack a call: the function by its name, the arguments by value, the settings of JAX.

    Raises:
        TypeError: another process cannot find the function by its name, or an argument cannot be pickled.
    """
    named = _encode(function)
    packed = []
    for i, arg in enumerate(args):
        try:
            packed.append(pickle.dumps(arg))
        except Exception as error:
            raise TypeError(f"args[{i}] cannot be sent to a fresh process: {error}") from None
    flags = {name: getattr(jax.config, name) for name in jax.config.values if hasattr(jax.config, name)}
    plain = {name: value for name, value in flags.items() if isinstance(value, str | int | float | None)}
    return pickle.dumps((plain, named, packed))


def _encode(function: Any) -> Any:
    """A function as its module and name; a partial as that with what it binds."""
    if isinstance(function, functools.partial):
        try:
            bound = pickle.dumps((function.args, function.keywords))
        except Exception as error:
            raise TypeError(f"what the partial binds cannot be sent to a fresh process: {error}") from None
        return _encode(function.func), bound
    module = getattr(function, "__module__", None)
    if module is None or module not in sys.modules:
        reason = "it does not say which module it is from"
    elif module == "__main__":
        reason = "it belongs to the script that runs"
    elif (name := _name_in(module, function)) is None:
        reason = f"`{module}` has no name for it"
    else:
        return module, name
    raise TypeError(
        f"across='process' needs a function that a fresh process can import, and `{name_of(function)}` is "
        f"none: {reason}; move the function to the top level of a module"
    )


def _decode(named: Any) -> Any:
    first, second = named
    if isinstance(second, str):
        return operator.attrgetter(second)(importlib.import_module(first))
    args, keywords = pickle.loads(second)
    return functools.partial(_decode(first), *args, **keywords)


def _name_in(module: str, function: Any) -> str | None:
    """Where a module holds the function: under its name, or another one, as in ``step = jax.jit(_step)``."""
    namespace = vars(sys.modules[module])
    qualname = str(getattr(function, "__qualname__", ""))
    try:
        if operator.attrgetter(qualname)(sys.modules[module]) is function:
            return qualname
    except AttributeError:
        pass
    return next((name for name, value in namespace.items() if value is function), None)


def run(call: bytes) -> Node:
    """Run a packed call in a fresh process.

    Raises:
        TypeError: the process cannot import the function or send back its result.
        RuntimeError: the function raised there, or the process died.
    """
    # The path of this process, also what pytest added to it; and a device's memory is shared by two processes
    # now.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    with tempfile.TemporaryDirectory(prefix="purestate-") as folder:
        result = Path(folder, "result")
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, str(result)],
            input=call,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if not result.exists():
            text = done.stdout.decode(errors="replace")[-_TAIL:].strip()
            raise RuntimeError(f"the fresh process died with status {done.returncode}\n{text}")
        return _unpack(result.read_bytes())


def again(run_test: Callable[[], bytes]) -> Node:
    """Run the test of this call in a fresh process, which calls the function there.

    Raises:
        TypeError, RuntimeError: as `run`.
    """
    return _unpack(run_test())


def _unpack(result: bytes) -> Node:
    kind, value = pickle.loads(result)
    if kind == "import":
        raise TypeError(f"the fresh process cannot unpack the call: {value}")
    if kind == "result":
        raise TypeError(f"the fresh process cannot send back the result: {value}")
    if kind == "error":
        raise RuntimeError(f"the function raised in the fresh process\n{value}")
    assert isinstance(value, Node)
    return value


def portable(picture: Node) -> Node:
    """A picture without what only this process knows: the objects themselves and their devices."""
    for _, node in iter_nodes(picture, ""):
        node.value = None
        if isinstance(content := node.content, ArrayContent):
            node.content = ArrayContent(
                content.dtype, content.shape, content.host, content.gone, content.weak_type
            )
    return picture


def child() -> None:
    """What the fresh process does: read a call from standard input, run it, write a picture of the result."""
    Path(sys.argv[1]).write_bytes(_pack(*_call(sys.stdin.buffer.read())))


def arrived(function: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    """The same for a test that came to its call: what to write."""
    return _pack(*_outcome(function, args))


def _pack(kind: str, value: object) -> bytes:
    try:
        return pickle.dumps((kind, value))
    except Exception as error:
        return pickle.dumps(("result", str(error)))


def _call(call: bytes) -> tuple[str, object]:
    flags, named, packed_args = pickle.loads(call)
    for name, value in flags.items():
        if getattr(jax.config, name, value) != value:
            jax.config.update(name, value)  # type: ignore[no-untyped-call]
    try:
        function = _decode(named)
        args = [pickle.loads(arg) for arg in packed_args]
    except Exception as error:
        return "import", f"{type(error).__name__}: {error}"
    return _outcome(function, args)


def _outcome(function: Callable[..., Any], args: Sequence[Any]) -> tuple[str, object]:
    try:
        return "picture", portable(take_picture(function(*args)))
    except BaseException:
        return "error", traceback.format_exc()
