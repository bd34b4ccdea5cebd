"""The pytest plugin: options, the seed, and fixtures that are thin layers over plain classes.

Importing it loads pytest and the standard library only. JAX is loaded by the first test that asks for a
fixture, and the static checker by ``--purestate``: installed but unused, the plugin costs nothing.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    import jax

    from pytest_purestate._guard import Handle, Scope
    from pytest_purestate._runtime.determinism import Determinism
    from pytest_purestate._runtime.keys import KeyStream
    from pytest_purestate._runtime.recording import Call

__all__ = ["deterministic", "key", "keys", "make_train_state", "purestate"]

_SEED = pytest.StashKey[int]()
_STREAM = pytest.StashKey["KeyStream"]()
_BACKEND = pytest.StashKey[str]()
_CACHE = "purestate/seed"
_LIMIT = 2**32
_BUNDLE_LIMIT = pytest.StashKey[float]()
_REPLAY = "PURESTATE_REPLAY"
_RECORDING = "pytest_purestate._runtime.recording"
_SESSIONS: list[pytest.Session] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options and settings."""
    group = parser.getgroup("purestate", "purestate: correctness of JAX code")
    group.addoption(
        "--purestate",
        action="store_true",
        help="check the project's files, one item per file and rule, and watch the tests while they run",
    )
    group.addoption(
        "--purestate-level",
        action="append",
        metavar="CONCERN=LEVEL",
        help="what --purestate finds in tests: keys, state, host, compilation, leaks or all = error, warn or off",
    )
    group.addoption(
        "--purestate-html",
        metavar="FILE",
        help="--purestate, and a page about the run: the lineage of every key, states, compilations, determinism",
    )
    group.addoption(
        "--purestate-freeze",
        action="store_true",
        help="make_train_state gives states that cannot be edited in place: the line that tries raises (their dicts are "
        "FrozenDicts, so the tree structure is another one)",
    )
    group.addoption(
        "--purestate-deterministic",
        action="store_true",
        help="settings for bitwise repeatable results, in force before a backend starts",
    )
    group.addoption(
        "--purestate-seed",
        metavar="N|random|last",
        help="base seed of the fixtures' keys: a number, a new one, or that of the previous run (default: 0)",
    )
    parser.addini(
        "purestate_paths",
        "files and directories that --purestate checks (default: all of the project)",
        type="paths",
    )
    parser.addini(
        "purestate_level", "levels of concerns, one `concern = level` a line", type="linelist", default=[]
    )
    parser.addini(
        "purestate_host_devices", "how many devices the CPU stands for (default: as XLA says)", default=""
    )
    parser.addini(
        "purestate_bundle_limit",
        "how many MiB of what a failing call was given are kept for `purestate replay`; 0: nothing is kept",
        default="64",
    )
    parser.addini(
        "purestate_seed", "base seed of the fixtures' keys: a number, `random` or `last`", default="0"
    )
    parser.addini(
        "purestate_raw_keys", "give raw uint32 keys instead of typed ones", type="bool", default=False
    )
    parser.addini(
        "purestate_prng_impl", "PRNG implementation of the keys, such as rbg (default: JAX's)", default=""
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Set what a backend reads when it starts, before anybody can start one."""
    deterministic = bool(getattr(early_config.known_args_namespace, "purestate_deterministic", False))
    text = str(early_config.getini("purestate_host_devices")).strip()
    if text and not (text.isascii() and text.isdigit() and int(text)):
        raise pytest.UsageError(f"purestate_host_devices must be a number from 1 on, not {text!r}")
    if deterministic or text:
        from pytest_purestate import _backend

        early_config.stash[_BACKEND] = _backend.apply(
            deterministic=deterministic, devices=int(text) if text else None
        )


def pytest_configure(config: pytest.Config) -> None:
    """Settle the seed, and start the static half and the guard where they are asked for."""
    config.addinivalue_line(
        "markers",
        "purestate(keys='off', max_traces=2, ...): levels of the guard's concerns, and limits, for this test",
    )
    config.stash[_SEED] = _seed(config)
    config.stash[_BUNDLE_LIMIT] = _bundle_limit(config)
    if config.option.purestate_html:
        config.option.purestate = True
    if config.option.purestate:
        from pytest_purestate import _guard, _items

        _items.register(config)
        _guard.register(config)
        if _REPLAY not in os.environ:
            from pytest_purestate import _report

            _report.register(config, config.stash[_SEED])
    if _REPLAY in os.environ and not hasattr(config, "workerinput"):
        _replay_bundle(config, Path(os.environ[_REPLAY]))


def _replay_bundle(config: pytest.Config, folder: Path) -> None:
    from pytest_purestate import _bundle, _replay

    try:
        bundle = _bundle.read(folder, config.rootpath)
        config.pluginmanager.register(_replay.Replaying(bundle), "purestate-replay")
    except (_bundle.BundleError, ValueError) as error:
        raise pytest.UsageError(f"{_REPLAY}: {error}") from None


def _bundle_limit(config: pytest.Config) -> float:
    text = str(config.getini("purestate_bundle_limit")).strip()
    try:
        limit = float(text)
    except ValueError:
        limit = -1.0
    if not 0 <= limit < 1 << 20:
        raise pytest.UsageError(f"purestate_bundle_limit must be a number of MiB from 0 on, not {text!r}")
    return limit


def _seed(config: pytest.Config) -> int:
    # An xdist worker takes the number that the controller settled on: a random one is drawn once.
    if (input := getattr(config, "workerinput", None)) is not None:
        return int(input["purestate_seed"])
    option = config.option.purestate_seed
    source = "purestate_seed" if option is None else "--purestate-seed"
    text = str(config.getini("purestate_seed") if option is None else option).strip()
    if text == "random":
        import secrets  # not the `random` module: its state belongs to the tests

        return secrets.randbelow(_LIMIT)
    if text == "last":
        return _last_seed(config, source)
    if text.isascii() and text.isdigit() and int(text) < _LIMIT:
        return int(text)
    raise pytest.UsageError(
        f"{source} must be a number from 0 to {_LIMIT - 1}, `random` or `last`, not {text!r}"
    )


def _last_seed(config: pytest.Config, source: str) -> int:
    cache = getattr(config, "cache", None)
    if cache is None:
        raise pytest.UsageError(f"{source}: `last` needs pytest's cache, which is off (-p no:cacheprovider)")
    seed = cache.get(_CACHE, None)
    if not isinstance(seed, int):
        raise pytest.UsageError(
            f"{source}: there is no previous run to take the `last` seed from; give a number"
        )
    return seed


def pytest_sessionstart(session: pytest.Session) -> None:
    """Keep the seed for ``last``; at the start, so that a run that crashes can be repeated as well."""
    config = session.config
    _SESSIONS.append(session)
    cache = getattr(config, "cache", None)
    if cache is None or hasattr(config, "workerinput"):
        return
    if cache.get(_CACHE, None) != config.stash[_SEED]:
        cache.set(_CACHE, config.stash[_SEED])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Its tests are over."""
    if session in _SESSIONS:
        _SESSIONS.remove(session)


def run_again(call: Call) -> Callable[[], bytes] | None:
    """What runs the test under way in a fresh process up to a call of an assertion; None if it is no test of this run."""
    from pytest_purestate import _replay

    node = call.test.rpartition(" (")[0]
    found = (item for session in reversed(_SESSIONS) for item in session.items if item.nodeid == node)
    item = next(found, None)
    if item is None:
        return None
    seed = item.config.stash[_SEED]
    return _replay.run_again(item, call, _replay.repeat_of(item, _node_id(item), seed))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give each xdist worker the seed."""
    node.workerinput["purestate_seed"] = node.config.stash[_SEED]


def pytest_report_header(config: pytest.Config) -> list[str]:
    """The seed, under ``--purestate`` the version of JAX, and the settings that a backend will read."""
    line = f"purestate: seed {config.stash[_SEED]}"
    if config.option.purestate:
        line = f"{line}, {_jax_version()}"
    backend = config.stash.get(_BACKEND, "")
    return [line, f"purestate: {backend}"] if backend else [line]


def _jax_version() -> str:
    from importlib import metadata

    try:
        version = metadata.version("jax")
    except metadata.PackageNotFoundError:
        return "jax not installed"
    return f"jax {version}" + ("" if "jax" in sys.modules else " (not yet imported)")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell how to repeat a failed test that used keys, or that failed in what is ours."""
    report = yield
    stream = item.stash.get(_STREAM, None)
    if report.when == "teardown" and stream is not None:
        del item.stash[_STREAM]  # a test that a plugin runs again gets the same keys
    if report.failed:
        lines = "" if stream is None else _drawn(item, stream)
        lines += _bundled(item, call)
        if lines:
            report.sections.append(("purestate", lines))
    if report.when == "teardown" and (recording := sys.modules.get(_RECORDING)) is not None:
        recording.forget()
    return report


def _drawn(item: pytest.Item, stream: KeyStream) -> str:
    drawn = len(stream.log)
    count = "1 key was drawn" if drawn == 1 else f"{drawn or 'no'} keys were drawn"
    return f"seed {stream.seed}, {count}\nrepeat: {_command(item)}\n"


def _bundled(item: pytest.Item, call: pytest.CallInfo[None]) -> str:
    """Keep what a failing call of ours was given; the line that says how to run it again."""
    config = item.config
    if _RECORDING not in sys.modules or config.pluginmanager.hasplugin("purestate-replay"):
        return ""
    from pytest_purestate import _replay

    scope = _scope(config)
    source, text = _replay.failure_of(item, call, scope)
    limit = int(config.stash[_BUNDLE_LIMIT] * 2**20)
    if not source or not limit:
        return ""
    repeat = _replay.repeat_of(item, _node_id(item), config.stash[_SEED])
    error = None if call.excinfo is None else call.excinfo.value
    return _replay.keep(item, error, source, text, scope, repeat, limit)


def _command(item: pytest.Item) -> str:
    """The command that runs this one test again with the same keys, from the directory of this run."""
    config = item.config
    file, *rest = _node_id(item).split("::")
    if config.invocation_params.dir != config.rootpath:
        file = os.path.relpath(config.rootpath / file, config.invocation_params.dir)
    words = ["pytest", "::".join([file, *rest]), f"--purestate-seed={config.stash[_SEED]}"]
    # What decides which file is the settings file, or changes the keys, is part of the command.
    if config.option.inifilename:
        words += ["-c", str(config.option.inifilename)]
    if config.option.rootdir:
        words.append(f"--rootdir={config.option.rootdir}")
    for override in config.option.override_ini or ():
        if override.startswith("purestate_"):
            words += ["-o", override]
    return shlex.join(words)


def _node_id(item: pytest.Item) -> str:
    """The node id without the group that xdist's ``--dist loadgroup`` appends: no key may depend on it."""
    groups = [
        str(mark.args[0] if mark.args else mark.kwargs.get("name", "default"))
        for mark in item.iter_markers("xdist_group")
    ]
    # xdist joins all of a test's groups; older versions take the nearest.
    for group in ("_".join(sorted(set(groups))), *groups[:1]):
        if group and item.nodeid.endswith(f"@{group}"):
            return item.nodeid.removesuffix(f"@{group}")
    return item.nodeid


@pytest.fixture
def keys(request: pytest.FixtureRequest) -> KeyStream:
    """Unique PRNG keys for this test, as many as it likes: a `pytest_purestate.KeyStream`.

    ``keys()`` is the next key, ``keys("dropout")`` the next of a named stream. They depend on the base seed
    (``--purestate-seed``), the node id and the name; not on other tests, their order or the number of
    workers.
    """
    return _stream(request)


@pytest.fixture
def key(request: pytest.FixtureRequest) -> jax.Array:
    """One PRNG key for this test, a typed key array of shape ``()``; see ``keys`` for more than one."""
    file, line, _ = request.node.location
    place = str(request.config.rootpath / Path(file)), (line or 0) + 1
    return _stream(request).draw_at("key", place)


@pytest.fixture
def make_train_state(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make a train state for a model: `pytest_purestate.make_train_state`, with keys of this test.

    ``make_train_state(model, x, tx=optax.adam(1e-3))`` initialises a linen module from the shape of ``x``.
    Each call takes another key of the test, unless it is given ``rngs``.
    """
    stream = _stream(request)
    try:
        from pytest_purestate._runtime.states import factory
    except ModuleNotFoundError as error:
        _without_extra(request, error)
    make = factory(lambda: stream("make_train_state"))
    if request.config.option.purestate_freeze:
        from pytest_purestate._runtime.frozen import freezing

        make = freezing(make)
    replay: Any = request.config.pluginmanager.get_plugin("purestate-replay")
    if replay is not None:
        make = replay.putting(make)
    scope = _scope(request.config)
    return make if scope is None else scope.watching(make)


@pytest.fixture
def deterministic(request: pytest.FixtureRequest) -> Generator[Determinism, None, None]:
    """Settings for bitwise repeatable results while this test runs: matrix products in full precision, samples that do not
    depend on sharding. ``deterministic.settings`` says what is in force.

    On a GPU this needs ``--purestate-deterministic`` as well, and the test fails without: a backend reads that setting
    when it starts.
    """
    try:
        from pytest_purestate._runtime.determinism import NotDeterministicError, deterministic_settings
    except ModuleNotFoundError as error:
        _without_extra(request, error)
    try:
        with deterministic_settings() as value:
            yield value
    except NotDeterministicError as error:
        pytest.fail(
            f"usage error: the fixture `deterministic` cannot hold what it promises\n{error}", pytrace=False
        )


@pytest.fixture
def purestate(request: pytest.FixtureRequest) -> Handle:
    """The guard of ``pytest --purestate``: ``with purestate.allow_reuse():``, ``purestate.register("name", state)`` and
    ``purestate.findings``. Without ``--purestate`` it watches nothing.
    """
    from pytest_purestate._guard import Handle

    return Handle(_scope(request.config))


def _scope(config: pytest.Config) -> Scope | None:
    guard = config.pluginmanager.get_plugin("purestate-guard")
    return None if guard is None else guard.scope


def _stream(request: pytest.FixtureRequest) -> KeyStream:
    item: pytest.Item = request.node
    if (known := item.stash.get(_STREAM, None)) is not None:
        return known
    try:
        from pytest_purestate._runtime.keys import KeyStream
    except ModuleNotFoundError as error:
        _without_extra(request, error)
    config = request.config
    impl = str(config.getini("purestate_prng_impl")).strip() or None
    try:
        stream = KeyStream(
            config.stash[_SEED], _node_id(item), typed=not config.getini("purestate_raw_keys"), impl=impl
        )
    except ValueError as error:
        pytest.fail(f"usage error: purestate_prng_impl: {error}", pytrace=False)
    item.stash[_STREAM] = stream
    return stream


def _without_extra(request: pytest.FixtureRequest, error: ModuleNotFoundError) -> NoReturn:
    from pytest_purestate._runtime import MISSING_EXTRA, is_missing_extra

    if not is_missing_extra(error):
        raise error
    pytest.fail(f"usage error: the fixture `{request.fixturename}` {MISSING_EXTRA}", pytrace=False)
