"""How two calls of a jitted function differ for JAX: what makes it trace the function again, or compile it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_purestate._runtime.signatures import Array, Container, Part, Signature, Static, short
from pytest_purestate._runtime.trees import equal

__all__ = ["Difference", "differences"]

_PLACEMENT = ("device", "sharding")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is another in a second signature.

    Attributes:
        kind: ``shape``, ``dtype``, ``weak-type``, ``sharding``, ``device``, ``static``, ``function``, ``structure`` or
            ``config``.
        path: the place, ``state.step``, or the setting, ``jax.config.jax_enable_x64``.
        what: what is said of the place, ``the weak type changed``.
        before: how it was.
        after: how it is.
    """

    kind: str
    path: str
    what: str
    before: str
    after: str

    @property
    def is_placement(self) -> bool:
        """Whether this makes JAX compile again what it traced already, and not trace it."""
        return self.kind in _PLACEMENT


def differences(before: Signature, after: Signature) -> tuple[Difference, ...]:
    """What changed from one call to another. Of a part that became another one, what was in it is left out."""
    found: list[Difference] = []
    skipped: list[str] = []

    def is_below(path: str) -> bool:
        return any(_is_inside(path, place) for place in skipped)

    for path, one in before.parts.items():
        other = after.parts.get(path)
        if is_below(path):
            continue
        if other is None:
            skipped.append(path)
            found.append(Difference("structure", path, "was removed", str(one), ""))
            continue
        own = tuple(_part_differences(path, one, other, before, after))
        if type(one) is not type(other) or any(each.kind == "structure" for each in own):
            skipped.append(path)
        found += own
    for path, other in after.parts.items():
        if path not in before.parts and not is_below(path):
            skipped.append(path)
            found.append(Difference("structure", path, "was added", "", str(other)))
    if before.keywords != after.keywords:
        changed = sorted(set(before.keywords) ^ set(after.keywords))
        for name in changed:
            if name in before.parts and name in after.parts:
                ways = ["by keyword" if name in each.keywords else "by position" for each in (before, after)]
                found.append(Difference("structure", name, "is passed in another way", *ways))
    for name, setting in before.settings.items():
        now = after.settings.get(name)
        if not equal(setting, now):
            texts = _apart(short(repr(setting)), short(repr(now)))
            found.append(Difference("config", name, "was changed", *texts))
    return tuple(found)


def _part_differences(
    path: str, one: Part, other: Part, before: Signature, after: Signature
) -> Iterator[Difference]:
    if isinstance(one, Array) and isinstance(other, Array):
        yield from _array_differences(path, one, other)
    elif isinstance(one, Static) and isinstance(other, Static):
        if not equal(one.value, other.value):
            callables = callable(one.value) and callable(other.value)
            kind = "function" if callables else "static"
            what = "is another function" if callables else "the static value changed"
            yield Difference(kind, path, what, *_apart(str(one), str(other)))
    elif isinstance(one, Container) and isinstance(other, Container):
        if one.type != other.type:
            yield Difference("structure", path, "the container changed", *_types(one, other))
        elif (
            one.static is not None
            and other.static is not None
            and _labels(path, before)
            == _labels(path, after)  # else that says it: many classes keep their keys there
            and not equal(one.static.value, other.static.value)
        ):
            texts = _apart(str(one.static), str(other.static))
            yield Difference("static", path, "its static data changed", *texts)
    else:
        yield Difference(
            "structure", path, "is of another kind", *(_kind_text(part) for part in (one, other))
        )


def _array_differences(path: str, one: Array, other: Array) -> Iterator[Difference]:
    if one.shape != other.shape:
        yield Difference("shape", path, "the shape changed", str(one), str(other))
    if one.dtype != other.dtype:
        yield Difference("dtype", path, "the dtype changed", str(one), str(other))
    if one.weak_type != other.weak_type:
        texts = (f"{each.dtype} {'weak' if each.weak_type else 'strong'}" for each in (one, other))
        yield Difference("weak-type", path, "the weak type changed", *texts)
    if one.spec != other.spec:
        texts = (f"{each} {each.spec or 'not sharded'}" for each in (one, other))
        yield Difference("structure", path, "the sharding in its type changed", *texts)
    elif one.committed != other.committed:
        yield Difference(
            "device", path, "the device that it is bound to changed", *map(_device, (one, other))
        )
    elif one.committed and not _same_sharding(one, other):
        kind = "device" if len(one.sharding.device_set) == len(other.sharding.device_set) == 1 else "sharding"
        what = "the device that it is bound to changed" if kind == "device" else "the sharding changed"
        yield Difference(kind, path, what, *_apart(_device(one), _device(other)))


def _same_sharding(one: Array, other: Array) -> bool:
    if one.sharding == other.sharding:
        return True
    if len(one.shape) != len(other.shape):
        return bool(one.sharding.device_set == other.sharding.device_set)
    return bool(one.sharding.is_equivalent_to(other.sharding, len(one.shape)))


def _device(array: Array) -> str:
    if not array.committed:
        return "not bound to a device"
    sharding = array.sharding
    kind = getattr(sharding, "memory_kind", None)
    memory = "" if kind in (None, "device", "unpinned_host") else f" in {kind}"
    if len(sharding.device_set) == 1:
        return f"{next(iter(sharding.device_set))}{memory}"
    spec, mesh = getattr(sharding, "spec", None), getattr(sharding, "mesh", None)
    if spec is None or mesh is None:
        return short(str(sharding))
    return f"{spec} on a mesh of {dict(mesh.shape)}{memory}"


def _labels(path: str, signature: Signature) -> list[str]:
    return sorted(each for each in signature.parts if _is_inside(each, path))


def _is_inside(path: str, outer: str) -> bool:
    return path.startswith(outer) and path[len(outer) : len(outer) + 1] in (".", "[")


def _types(one: Container, other: Container) -> tuple[str, str]:
    short = str(one), str(other)
    return short if short[0] != short[1] else (one.type, other.type)


def _kind_text(part: Part) -> str:
    return f"static, {part}" if isinstance(part, Static) else str(part)


def _apart(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one != other else (one, f"{other} (another object)")
