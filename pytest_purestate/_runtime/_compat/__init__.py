"""The one place that touches what JAX and Flax do not promise to keep, each with a public fall-back."""

from __future__ import annotations

import functools
import inspect
import itertools
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime._compat.swap import swap

__all__ = [
    "NNX_INTERNALS",
    "begins_trace",
    "compile_context",
    "fresh_compilations",
    "fresh_traces",
    "function_file",
    "function_name",
    "impl_name",
    "is_equinox_module",
    "is_flax_mapping",
    "is_graphdef",
    "is_key_aval",
    "is_linen_entry",
    "is_linen_module",
    "is_nnx_module",
    "is_nnx_object",
    "is_nnx_variable",
    "is_ref",
    "is_replay",
    "is_shape_only",
    "is_tracer",
    "key_words",
    "nnx_variable_class",
    "scan_counts",
    "side_effects",
    "source_frames",
    "source_in_force",
    "trace_of",
    "tracing",
    "variable_metadata",
    "variable_type",
    "variable_value",
    "watch_host_reads",
    "watch_linen_streams",
    "watch_nnx_streams",
    "watch_samplers",
]

NNX_INTERNALS = ("_object__", "_pytree__")
"""How the names of the attributes start in which nnx keeps its own books (0.10 and 0.12)."""


_untraced: Callable[[], bool] | None
try:
    from jax._src.core import trace_state_clean

    _untraced = trace_state_clean
except ImportError:
    _untraced = None


def tracing() -> bool:
    """Whether a transformation (``jit``, ``grad``, ``vmap``, ...) is tracing the caller right now."""
    return not _untraced() if _untraced is not None else _traced_by_jit()


def _traced_by_jit() -> bool:
    # Public, and half of it: sees jit, scan and the like, where every new array is a tracer; not grad or vmap alone.
    return is_tracer(jnp.zeros(()))


def is_tracer(value: object) -> bool:
    """Whether the value stands for an array inside a transformation."""
    return isinstance(value, jax.core.Tracer)


def is_ref(value: object) -> bool:
    """Whether the value is a mutable array reference (``jax.new_ref``), in the versions that have them."""
    kind = getattr(jax, "Ref", None)
    return isinstance(kind, type) and isinstance(value, kind) and not is_tracer(value)


@contextmanager
def fresh_compilations() -> Iterator[None]:
    """Compile anew inside the block, with nothing from the caches in memory and on disk."""
    jax.clear_caches()  # type: ignore[no-untyped-call]
    enabled = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
    _enable_compilation_cache(False)
    try:
        yield
    finally:
        _enable_compilation_cache(enabled)


_fresh = itertools.count()


@contextmanager
def fresh_traces() -> Iterator[None]:
    """Trace anew inside the block, compiled functions that are called included, and leave the caches to others.

    What was traced is known to JAX by the metadata in force for the compiler; so there are some that nobody used before.
    """
    try:
        from jax.experimental.xla_metadata import set_xla_metadata
    except ImportError:
        jax.clear_caches()  # type: ignore[no-untyped-call]
        yield
        return
    with set_xla_metadata(purestate_trace=str(next(_fresh))):  # type: ignore[no-untyped-call]
        yield


def trace_of(tracer: Any) -> weakref.ref[Any] | None:
    """A reference to the trace that a tracer belongs to, which lives as long as one of its tracers; None if it is out of reach."""
    trace = getattr(tracer, "_trace", None)
    return None if trace is None else weakref.ref(trace)


def _enable_compilation_cache(enabled: bool) -> None:
    jax.config.update("jax_enable_compilation_cache", enabled)  # type: ignore[no-untyped-call]
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        return
    # JAX decides once a process whether it uses the cache; only a reset makes it look at the flag again.
    from jax.experimental.compilation_cache import compilation_cache

    compilation_cache.reset_cache()


def _loaded(module: str, name: str) -> type | None:
    """A class of a library, if the library was loaded: an object of it cannot exist otherwise."""
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type) else None


def is_linen_module(value: object) -> bool:
    """Whether the value is a ``flax.linen.Module``."""
    kind = _loaded("flax.linen", "Module")
    return kind is not None and isinstance(value, kind)


def is_equinox_module(value: object) -> bool:
    """Whether the value is an ``equinox.Module``."""
    kind = _loaded("equinox", "Module")
    return kind is not None and isinstance(value, kind)


def is_nnx_variable(value: object) -> bool:
    """Whether the value is a ``flax.nnx.Variable``."""
    kind = _loaded("flax.nnx", "Variable")
    return kind is not None and isinstance(value, kind)


def is_nnx_object(value: object) -> bool:
    """Whether the value is a ``flax.nnx`` module or another object of its graph."""
    kind = _loaded("flax.nnx", "Pytree") or _loaded("flax.nnx", "Object")
    return kind is not None and isinstance(value, kind)


def is_nnx_module(value: object) -> bool:
    """Whether the value is a ``flax.nnx.Module``."""
    kind = _loaded("flax.nnx", "Module")
    return kind is not None and isinstance(value, kind)


def is_graphdef(value: object) -> bool:
    """Whether the value is a ``flax.nnx.GraphDef``, the static part of an object."""
    kind = _loaded("flax.nnx", "GraphDef")
    return kind is not None and isinstance(value, kind)


def nnx_variable_class(value: object) -> type | None:
    """The class of an nnx variable, or of the one that a ``VariableState`` stands for (before 0.12); else None."""
    # By the dict of the module, because asking a newer one for the name warns.
    stand_in = vars(sys.modules.get("flax.nnx", sys)).get("VariableState")
    if is_nnx_variable(value) or (stand_in is not None and isinstance(value, stand_in)):
        return variable_type(value)
    return None


def variable_type(variable: Any) -> type:
    """The class of an nnx variable, or of the one that a ``VariableState`` stands for (before 0.12)."""
    kind = type(variable) if is_nnx_variable(variable) else variable.type
    assert isinstance(kind, type)
    return kind


def variable_value(variable: Any) -> object:
    """What an nnx variable holds, without its hooks."""
    read = getattr(variable, "get_raw_value", None)
    if read is not None:
        return read()
    return variable.raw_value if is_nnx_variable(variable) else variable.value


def variable_metadata(variable: Any) -> dict[str, object]:
    """What an nnx variable says about itself besides its value (sharding names, tags, hooks)."""
    return dict(variable.get_metadata())


def is_flax_mapping(value: object) -> bool:
    """Whether the value is a ``FrozenDict`` of Flax or a ``State`` of nnx: mappings that are not dicts."""
    kinds = [_loaded("flax.core", "FrozenDict"), _loaded("flax.nnx", "State")]
    return any(kind is not None and isinstance(value, kind) for kind in kinds)


def is_key_aval(aval: object) -> bool:
    """Whether an abstract value is an array of typed keys."""
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and bool(jnp.issubdtype(dtype, jax.dtypes.prng_key))


def impl_name(impl: Any) -> str:
    """The name of a PRNG implementation, as primitives carry it."""
    return str(getattr(impl, "name", impl))


def key_words(key: Any, most: int | None = None) -> tuple[list[bytes], str] | None:
    """The bits of each key of an array of typed keys, and their implementation; None where they are out of reach, or are
    of more than ``most`` keys.
    """
    base = getattr(key, "_base_array", None)
    # A key has one word at least: what is small enough as words need not be asked for its shape as keys.
    if most is not None and (base is None or base.size > most) and np.size(key) > most:
        return None
    try:
        words = np.asarray(jax.random.key_data(key) if base is None else base)
    except RuntimeError:  # deleted, or not all here
        return None
    impl = getattr(key, "_impl", None)
    if words.ndim == 1 and impl is not None:
        return [words.tobytes()], impl_name(impl)
    flat = np.ascontiguousarray(words).reshape(-1, words.shape[-1])
    size = flat.shape[1] * flat.itemsize
    data = flat.tobytes()
    rows = [data[at : at + size] for at in range(0, len(data), size)] if size else []
    return rows, impl_name(jax.random.key_impl(key) if impl is None else impl)


_name_stack: Callable[[], Any] | None
_in_force: Any
try:
    from jax._src.source_info_util import _source_info_context as _in_force
    from jax._src.source_info_util import current_name_stack as _name_stack
except ImportError:
    _name_stack = _in_force = None


def source_in_force() -> Any:
    """The place of the equation that is run, where JAX runs a jaxpr by itself; else None."""
    context = getattr(_in_force, "context", None)
    return context if getattr(context, "traceback", None) is not None else None


def source_frames(source: Any) -> Iterator[tuple[str, int, str]]:
    """File, line and function of the frames that an equation was traced in, the innermost first."""
    traceback = getattr(source, "traceback", None)
    for frame in getattr(traceback, "frames", ()):
        yield frame.file_name, frame.line_num, frame.function_name


_LOCAL_EFFECTS = frozenset(
    ("ReadEffect", "WriteEffect", "AccumEffect", "NamedAxisEffect", "InternalMutableArrayEffect")
)


def side_effects(eqn: Any) -> bool:
    """Whether an equation does something outside of the program: not what it does to references and named axes."""
    return any(type(effect).__name__ not in _LOCAL_EFFECTS for effect in eqn.effects)


_TRACERS = ("trace_to_jaxpr", "trace_to_jaxpr_dynamic", "trace_to_jaxpr_dynamic2", "_create_pjit_jaxpr")


def begins_trace(frame: tuple[str, int, str]) -> bool:
    """Whether a frame (file, line, function) is where JAX begins to trace a function: what called that is further out."""
    return frame[2].rpartition(".")[2] in _TRACERS and "jax" in frame[0]


_BINDING = frozenset(
    ("current", "default_process_primitive", "process_primitive", "bind_with_trace", "_true_bind", "bind")
)


def is_replay(source: Any, words: tuple[str, ...]) -> bool:
    """Whether an equation (or with None: what runs now) belongs to a pass that runs others once more."""
    if source is None:
        stack = str(_name_stack()) if _name_stack is not None else ""
    else:
        stack = str(getattr(source, "name_stack", ""))
    if any(word in stack for word in words):
        return True
    if source is not None and jax.__version_info__ < (0, 7):
        # There, the backward function of a custom_vjp, traced where that is called.
        names = (name.rpartition(".")[2] for _, _, name in source_frames(source))
        if next((name for name in names if name not in _BINDING), "") == "process_custom_vjp_call":
            return True
    frames = _frames() if source is None else source_frames(source)
    return any(name.startswith("backward_pass") and file.endswith("ad.py") for file, _, name in frames)


def is_shape_only() -> bool:
    """Whether what runs now is traced for its shapes alone, by ``jax.eval_shape``."""
    return any(name == "eval_shape" and "jax" in file for file, _, name in _frames())


def _frames() -> Iterator[tuple[str, int, str]]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        frame = frame.f_back


def scan_counts(params: dict[str, Any], count: int) -> tuple[int, int]:
    """How many of the ``count`` arguments of a scan are constants, and how many are carried."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    consts, carried, _ = params["ft_in"].update(range(count)).unpack()  # 0.12
    return len(list(consts)), len(list(carried))


def function_file(jaxpr: Any) -> str:
    """The file of the function that a jaxpr was traced from; empty where nothing says so."""
    told = getattr(getattr(jaxpr, "debug_info", None), "func_src_info", None) or ""
    return str(told).rpartition(" at ")[2].rpartition(":")[0]


def function_name(jaxpr: Any) -> str:
    """The name of the function that a jaxpr was traced from; empty where nothing says so."""
    told = getattr(getattr(jaxpr, "debug_info", None), "func_src_info", None) or ""
    return str(told).partition(" at ")[0]


_trace_context: Callable[[], Any] | None
try:
    from jax._src.config import trace_context as _trace_context
except ImportError:
    _trace_context = None


def compile_context() -> tuple[object, ...] | None:
    """What else than a function and its arguments decides what JAX compiles here: settings, meshes, devices, and what linen
    modules ask for around them. None where that cannot be compared: methods of linen modules are being intercepted.
    """
    linen = sys.modules.get("flax.linen")
    if getattr(sys.modules.get("flax.linen.module"), "_global_interceptor_stack", None):
        return None
    rules = getattr(linen, "get_logical_axis_rules", tuple)
    flax_settings = getattr(getattr(sys.modules.get("flax"), "config", None), "_values", {})
    names = sorted(getattr(jax.config, "values", ()))
    settings = () if _trace_context is None else _trace_context()
    return (
        settings,
        # Those of the thread, which a context manager sets, and of all threads.
        *(
            str(getattr(jax.config, name, None))
            for name in ("jax_default_prng_impl", "jax_enable_x64", "jax_default_device")
        ),
        *(str(jax.config.values[name]) for name in names),
        tuple(flax_settings.items()),
        tuple(map(tuple, rules())),
        tuple(jax.devices()),  # other objects, once backends were cleared
    )


Decide = Callable[[Any, str], Callable[[], None] | None]


def watch_host_reads(decide: Decide) -> Callable[[], None] | None:
    """Ask ``decide(array, how)`` when the elements of a device array are about to be read by Python or numpy.

    What it answers, if not None, is called once they were read, and JAX's guard lets that read through. ``how`` is the
    function of numpy that reads, if that is known. Gives what undoes it, or None where JAX has no such place.

    On CPU numpy reads the buffer of an array past all of Python. From Python 3.12 a class can answer for that; before, only
    the functions of numpy that convert, called by their names in ``numpy``, are seen.
    """
    kind = type(jnp.zeros(()))
    value = vars(kind).get("_value")
    if not isinstance(value, property) or value.fget is None:
        return None
    read_value: Callable[[Any], Any] = value.fget

    def allowed(array: Any, how: str, read: Callable[[], Any]) -> Any:
        if (done := decide(array, how)) is None:
            return read()
        with jax.transfer_guard_device_to_host("allow"):
            found = read()
        done()
        return found

    readers: list[tuple[Any, str, Any]] = [
        (kind, "_value", property(lambda self: allowed(self, "", lambda: read_value(self))))
    ]
    if (buffer := vars(kind).get("__buffer__")) is not None:
        readers.append(
            (kind, "__buffer__", lambda self, flags: allowed(self, "", lambda: buffer(self, flags)))
        )
    else:
        for name in ("array", "asarray", "asanyarray", "ascontiguousarray"):
            readers.append((np, name, _reading(getattr(np, name), name, kind, allowed)))
    return swap(*readers)


def _reading(
    convert: Callable[..., Any], name: str, kind: type, allowed: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(convert)
    def converting(*args: Any, **options: Any) -> Any:
        value = args[0] if args else None
        if isinstance(value, list | tuple):
            value = next((item for item in value if isinstance(item, kind)), None)
        if not isinstance(value, kind):
            return convert(*args, **options)
        return allowed(value, f"np.{name}(...)", lambda: convert(*args, **options))

    return converting


def watch_linen_streams(drawn: Callable[[Any, str, object], None]) -> Callable[[], None] | None:
    """Call ``drawn(key, stream, root)`` when a linen scope draws from the key that its root was given for a stream.

    Gives what undoes it, or None where flax is not loaded, or has no such place.
    """
    scope = getattr(sys.modules.get("flax.core.scope"), "Scope", None)
    original = getattr(scope, "make_rng", None)
    if scope is None or original is None:
        return None

    def make_rng(self: Any, name: str = "params") -> Any:
        made = original(self, name)
        stream = name if name in self.rngs else "params"
        root = getattr(self, "root", self)
        given, own = (getattr(each.rngs.get(stream), "rng", None) for each in (root, self))
        if given is not None and own is given:
            drawn(given, stream, root)
        return made

    return swap((scope, "make_rng", make_rng))


def is_linen_entry(code: CodeType) -> bool:
    """Whether a function is one of the methods of linen modules that take keys."""
    return code.co_name in ("init", "init_with_output", "apply") and "linen" in code.co_filename


def watch_nnx_streams(drawn: Callable[[Any], None]) -> Callable[[], None] | None:
    """Call ``drawn(key)`` when a stream of ``nnx.Rngs`` is drawn from. Gives what undoes it, or None as above."""
    stream = getattr(sys.modules.get("flax.nnx"), "RngStream", None)
    original = stream.__dict__.get("__call__") if isinstance(stream, type) else None
    if stream is None or original is None:
        return None

    def call(self: Any) -> Any:
        made = original(self)
        drawn(variable_value(self.key))
        return made

    return swap((stream, "__call__", call))


def watch_samplers(used: Callable[[Any, str], None]) -> Callable[[], None]:
    """Call ``used(key, name)`` when a function of ``jax.random`` is called with a key, where there is nothing better.

    What bound a function before does not see this, nor does compiled code. Gives what undoes it.
    """
    samplers: dict[str, Any] = {}

    def wrapped(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(key: Any, *args: Any, **options: Any) -> Any:
            used(key, name)
            return function(key, *args, **options)

        return call

    for name, function in vars(jax.random).items():
        if (
            callable(function)
            and not name.startswith("_")
            and name not in ("fold_in", "clone", "key_data", "key_impl")
        ):
            try:
                first = next(iter(inspect.signature(function).parameters), "")
            except (TypeError, ValueError):
                continue
            if first == "key":
                samplers[name] = function
    return swap(*((jax.random, name, wrapped(name, function)) for name, function in samplers.items()))
