"""Replay bundles: what a failing call was given, on disk, and the command that runs its test again with it.

A bundle is a folder ``.purestate/failures/<test>/`` below the root of the tests, with two files: ``bundle.json``, which
people can read, and ``leaves.npz``. Neither holds code or pickled objects. Both are covered by a digest, and whatever is
not as it was written is refused: a bundle decides what is run, and with which options.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_purestate._versions import package_versions

__all__ = [
    "ENVIRONMENT",
    "KEPT_VARIABLES",
    "Bundle",
    "BundleError",
    "Repeat",
    "command",
    "environment",
    "folder_for",
    "kept_flags",
    "newest",
    "read",
    "run",
    "shown",
    "write",
]

ENVIRONMENT = "PURESTATE_REPLAY"
"""The variable that tells pytest's process which bundle to put in place."""
FORMAT = 1
FACTS, LEAVES = "bundle.json", "leaves.npz"
_HOME = Path(".purestate", "failures")
_MOST = 1 << 32  # bytes that are read of one file

KEPT_VARIABLES = (
    "JAX_DEBUG_NANS",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_DEFAULT_PRNG_IMPL",
    "JAX_DISABLE_JIT",
    "JAX_ENABLE_X64",
    "JAX_NUMPY_DTYPE_PROMOTION",
    "JAX_NUMPY_RANK_PROMOTION",
    "JAX_PLATFORMS",
    "JAX_THREEFRY_PARTITIONABLE",
    "XLA_FLAGS",
)
"""The variables of the environment that decide about numbers, and that a replay sets as they were."""
_KEPT_FLAGS = (
    "--xla_force_host_platform_device_count=",
    "--xla_gpu_deterministic_ops=",
    "--xla_gpu_autotune_level=",
    "--xla_cpu_enable_fast_math=",
    "--xla_allow_excess_precision=",
)


class BundleError(Exception):
    """A folder that is no bundle, or not the one that was written."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """How pytest is called to run one test again.

    Attributes:
        node: the id of the test.
        directory: where pytest was started, relative to the root.
        module: whether it was ``python -m pytest``, which puts that directory on the path of imports.
        inifile: the settings file, relative to the root; empty for none.
        options: the plugin's own options, each as one word.
        overrides: settings of the plugin that were given as ``-o name=value``.
    """

    node: str
    directory: str
    module: bool
    inifile: str
    options: tuple[str, ...]
    overrides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was read.

    Attributes:
        folder: where it is.
        root: of the tests.
        repeat: how its test is run.
        facts: all that the file says.
        leaves: the bytes of the arrays.
    """

    folder: Path
    root: Path
    repeat: Repeat
    facts: Mapping[str, Any]
    leaves: bytes


def folder_for(root: Path, node: str) -> Path:
    """The folder of a test, by a name that any file system takes."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", node).strip("._")[-80:]
    return root / _HOME / f"{name}-{hashlib.sha256(node.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def newest(root: Path) -> Path | None:
    """The bundle that was written last."""
    found = [path.parent for path in (root / _HOME).glob(f"*/{FACTS}")]
    return max(found, key=lambda folder: (folder / FACTS).stat().st_mtime_ns, default=None)


def write(
    root: Path, repeat: Repeat, facts: Mapping[str, Any], leaves: bytes, folder: Path | None = None
) -> Path:
    """Write a bundle, in the place of an older one of this test.

    Raises:
        OSError: it cannot be written, or its place is a link to somewhere else.
    """
    folder = folder or folder_for(root, repeat.node)
    for place in (folder, folder.parent, folder.parent.parent):
        if place.is_symlink():
            raise OSError(f"{place} is a symbolic link")
    new = folder.with_name(f"{folder.name}.{os.getpid()}")
    new.mkdir(parents=True)
    try:
        home = folder.parent.parent
        if home.name == _HOME.parts[0] and not (home / ".gitignore").exists():
            (home / ".gitignore").write_text("*\n", encoding="utf-8")
        (new / LEAVES).write_bytes(leaves)
        known = {
            "format": FORMAT,
            **facts,
            "repeat": {name: getattr(repeat, name) for name in Repeat.__slots__},
            "sha256": hashlib.sha256(leaves).hexdigest(),
        }
        known["digest"] = _digest(known)
        (new / FACTS).write_text(json.dumps(known, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return folder


def read(folder: Path, root: Path | None = None) -> Bundle:
    """Read a bundle, and refuse one that was not written like this.

    Args:
        folder: the bundle.
        root: of the tests; by default the folder that holds ``.purestate``.

    Raises:
        BundleError: it is no bundle, or was changed, or asks for what no bundle asks for.
    """
    folder = folder.absolute()
    if root is None:
        if folder.parts[-3:-1] != _HOME.parts:
            raise BundleError(f"{folder} is not a folder below {_HOME}")
        root = folder.parents[2]
    data = {name: _content(folder, name) for name in (FACTS, LEAVES)}
    if extra := sorted({path.name for path in folder.iterdir()} - set(data)):
        raise BundleError(f"{folder} holds something else too: {extra[0]}")
    try:
        facts = json.loads(data[FACTS])
        assert isinstance(facts, dict)
    except (ValueError, AssertionError):
        raise BundleError(f"{folder / FACTS} is not what was written: no JSON object") from None
    if facts.get("format") != FORMAT:
        raise BundleError(
            f"{folder / FACTS} has the format {facts.get('format')!r}, and this version reads {FORMAT}"
        )
    if facts.pop("digest", None) != _digest(facts) or facts.get("sha256") != _sha(data[LEAVES]):
        raise BundleError(f"{folder} was changed after it was written: its digest does not fit")
    return Bundle(folder, root, _repeat(facts, root), facts, data[LEAVES])


def _content(folder: Path, name: str) -> bytes:
    file = folder / name
    if folder.is_symlink() or file.is_symlink() or not file.is_file():
        raise BundleError(f"{folder} is no bundle: it has no file {name}")
    if file.stat().st_size > _MOST:
        raise BundleError(f"{file} is too large")
    return file.read_bytes()


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest(facts: Mapping[str, Any]) -> str:
    return _sha(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode())


_OPTIONS = re.compile(
    r"--purestate(-freeze|-deterministic|-seed=\d{1,10}|-level=[a-z]+=[a-z]+)?|--randomly-seed=\d{1,10}"
)


def _repeat(facts: Mapping[str, Any], root: Path) -> Repeat:
    """How the test is run, as far as a bundle may say so."""
    try:
        given = facts["repeat"]
        repeat = Repeat(
            str(given["node"]),
            str(given["directory"]),
            bool(given["module"]),
            str(given["inifile"]),
            tuple(map(str, given["options"])),
            tuple(map(str, given["overrides"])),
        )
    except (KeyError, TypeError):
        raise BundleError("the bundle does not say how its test is run") from None
    for what, name in (
        ("test", repeat.node.partition("::")[0]),
        ("directory", repeat.directory),
        ("settings", repeat.inifile),
    ):
        if not (root / name).resolve().is_relative_to(root.resolve()):
            raise BundleError(f"the bundle names a {what} outside of {root}: {name}")
    if not (root / repeat.node.partition("::")[0]).exists():
        raise BundleError(f"the test is not there any more: {repeat.node}")
    if wrong := [word for word in repeat.options if not _OPTIONS.fullmatch(word)]:
        raise BundleError(f"the bundle asks for the option {wrong[0]}")
    if wrong := [word for word in repeat.overrides if not re.match(r"purestate_[a-z_]+=", word)]:
        raise BundleError(f"the bundle asks for the setting {wrong[0]}")
    return repeat


def command(repeat: Repeat, root: Path, *, more: tuple[str, ...] = ()) -> tuple[list[str], Path]:
    """The words of the command that runs the test, and the directory to run it in."""
    directory = (root / repeat.directory).resolve()
    file, *rest = repeat.node.split("::")
    words = [sys.executable, *(() if repeat.module else ("-P",)), "-m", "pytest"]
    words += [
        "::".join([os.path.relpath(root.resolve() / file, directory), *rest]),
        f"--rootdir={root.resolve()}",
    ]
    if repeat.inifile:
        words += ["-c", str((root / repeat.inifile).resolve())]
    for override in repeat.overrides:
        words += ["-o", override]
    return [*words, *repeat.options, *more], directory


def kept_flags(flags: str) -> tuple[str, tuple[str, ...]]:
    """Those of ``XLA_FLAGS`` that a replay sets, and the others."""
    words = flags.split()
    kept = [word for word in words if word.startswith(_KEPT_FLAGS)]
    return " ".join(kept), tuple(word for word in words if word not in kept)


def environment(bundle: Bundle) -> tuple[dict[str, str], list[str]]:
    """The environment of a replay, and what is otherwise than it was."""
    now = dict(os.environ)
    notes = []
    then = bundle.facts.get("environment")
    for name, value in (then if isinstance(then, dict) else {}).items():
        if name not in KEPT_VARIABLES or not isinstance(value, str):
            continue
        kept, others = kept_flags(value) if name == "XLA_FLAGS" else (value, ())
        if others:
            notes.append(f"{name} had {' '.join(others)}, which is not set again")
        if now.setdefault(name, kept) != kept:
            notes.append(f"{name} is {now[name]}, and was {value}")
    now[ENVIRONMENT] = str(bundle.folder)
    with contextlib.suppress(KeyError):
        del now["PYTEST_CURRENT_TEST"]
    return now, notes


def run(bundle: Bundle) -> int:
    """Run the test of a bundle; 0 where it passes, 1 where it fails, 2 where pytest could not run it."""
    words, directory = command(bundle.repeat, bundle.root)
    variables, notes = environment(bundle)
    for note in [*notes, *_other_versions(bundle)]:
        print(f"purestate replay: {note}", flush=True)
    status = subprocess.run(
        words, cwd=directory, env=variables, stdin=subprocess.DEVNULL, check=False
    ).returncode
    return status if status in (0, 1) else 2


def _other_versions(bundle: Bundle) -> Iterator[str]:
    versions = bundle.facts.get("versions")
    now = package_versions()
    for name, then in (versions if isinstance(versions, dict) else {}).items():
        if now.get(name) != then:
            yield f"{name} was {then}, and is {now.get(name, 'not installed')}"


def shown(bundle: Bundle) -> Iterator[str]:
    """What a bundle holds, as text."""
    facts = bundle.facts
    call = facts["call"]
    where = f"{call['assertion']}({call['function']})" if call["assertion"] else "the guard"
    yield f"test: {bundle.repeat.node}\nfailed in: {where}\n"
    yield "".join(f"  {line}\n" for line in str(facts["failure"]).splitlines())
    yield f"settings: {facts['settings']}\n"
    yield "versions: " + ", ".join(f"{name} {version}" for name, version in facts["versions"].items()) + "\n"
    yield "command: " + shlex.join(command(bundle.repeat, bundle.root)[0][1:]) + "\n"
    yield "leaves:\n"
    for leaf in facts["leaves"]:
        if "array" in leaf:
            what = f"{leaf['kind']} {leaf['dtype']}{leaf['shape']}{', weak' if leaf['weak_type'] else ''}"
        else:
            what = f"{leaf['kind']} {leaf['value']}"
        yield f"  {leaf['path']}: {what}\n"
    yield "".join(f"  {path}: too large, not kept\n" for path in facts["left_out"])
