"""The rules there are: every public module of `rules` is one, found by walking the package.

Adding a rule is adding a file; this module, the command line, the reports, the rule pages and the
tests pick it up from there.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from pytest_purestate._check import rules as rules_package
from pytest_purestate._check.model import Rule

if TYPE_CHECKING:
    from pytest_purestate.config import Config, Overrides

__all__ = [
    "BrokenRuleError",
    "Selection",
    "UnknownSelectorError",
    "fixable_codes",
    "ignored",
    "module_name",
    "named",
    "nearest",
    "require",
    "rules",
    "rules_by_code",
    "select",
    "stays",
    "validate",
    "weight",
]

_CODE = re.compile(r"PS\d{3}")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class BrokenRuleError(Exception):
    """A module in `rules` that is not a rule, or two rules that claim one code or name."""


class UnknownSelectorError(Exception):
    """A selector that fits no rule."""

    def __init__(self, selector: str, nearest: str) -> None:
        super().__init__(f"unknown rule `{selector}`" + (f", did you mean `{nearest}`?" if nearest else ""))
        self.selector = selector
        self.nearest = nearest


class Selection(Struct, frozen=True):
    """One layer of choice: a configuration file, or the command line over it.

    ``select`` None leaves the choice of the layer below; otherwise it replaces it. A selector is a
    code (``PS101``), a prefix of one (``PS1``), a name (``key-reuse``) or ``ALL``.
    """

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@functools.cache
def rules() -> tuple[Rule, ...]:
    """All rules, sorted by code.

    Raises:
        BrokenRuleError: a public module of `rules` does not define a valid, unique ``RULE``.
    """
    names = sorted(m.name for m in pkgutil.iter_modules(rules_package.__path__) if not m.name.startswith("_"))
    found = [(name, _load(name)) for name in names]
    validate(found)
    return tuple(sorted((rule for _, rule in found), key=lambda rule: rule.code))


@functools.cache
def rules_by_code() -> Mapping[str, Rule]:
    """The same rules, by code."""
    return MappingProxyType({rule.code: rule for rule in rules()})


def named(code_or_name: str) -> Rule:
    """The rule with this code or name.

    Raises:
        UnknownSelectorError: there is none.
    """
    for rule in rules():
        if code_or_name in (rule.code, rule.name):
            return rule
    raise UnknownSelectorError(code_or_name, nearest(code_or_name))


def module_name(rule: Rule) -> str:
    """The module that defines a rule: its name with underscores, so that people find it too."""
    return f"{rules_package.__name__}.{rule.name.replace('-', '_')}"


def validate(found: Iterable[tuple[str, Rule]]) -> None:
    """Check codes, names and module names of ``(module, rule)`` pairs.

    Raises:
        BrokenRuleError: with the module and what is wrong with it.
    """
    codes: dict[str, str] = {}
    for module, rule in found:
        if not _CODE.fullmatch(rule.code):
            raise BrokenRuleError(f"{module}: the code `{rule.code}` is not of the form PS123")
        if not _NAME.fullmatch(rule.name):
            raise BrokenRuleError(f"{module}: the name `{rule.name}` is not in kebab case")
        if module != rule.name.replace("-", "_"):
            raise BrokenRuleError(
                f"{module}: the rule `{rule.name}` belongs in `{rule.name.replace('-', '_')}.py`"
            )
        if other := codes.get(rule.code):
            raise BrokenRuleError(f"{module}: {rule.code} is taken by {other}")
        codes[rule.code] = module


def select(layers: Sequence[Selection], among: Sequence[Rule] | None = None) -> tuple[Rule, ...]:
    """The rules that the layers choose, later layers over earlier ones.

    A family, such as ``PS1``, is its rules but the opt-in ones; those are on with ``ALL``, a longer prefix, the
    code or the name. Within a layer the most specific selector that fits a rule decides; of two equally specific ones
    ``ignore`` wins. Without any ``select``, all rules but the opt-in ones are on. The rules about the
    checker's own work (PS0xx but PS002) are on whatever is selected, because a file that could not be checked must
    not pass in silence; only ``ignore`` with the very code or name turns one off.

    Raises:
        UnknownSelectorError: a selector fits no rule.
    """
    known = rules() if among is None else among
    chosen = _layered(layers, known, {rule.code: not rule.opt_in for rule in known}, _meant)
    for rule in known:
        if stays(rule):
            chosen[rule.code] = not any({rule.code, rule.name} & {*layer.ignore} for layer in layers)
    return tuple(rule for rule in known if chosen[rule.code])


def stays(rule: Rule) -> bool:
    """Whether a rule is on whatever is selected: without it, a file or a comment would go unread in silence."""
    return rule.code.startswith("PS0") and rule.code != "PS002"


def fixable_codes(config: Config, overrides: Overrides) -> frozenset[str]:
    """The codes of the rules whose fixes may be applied: all that ``fixable``, ``extend-fixable`` and
    ``unfixable`` of the settings and of the command line leave.

    Raises:
        UnknownSelectorError: a selector fits no rule.
    """
    parts: tuple[Config | Overrides, ...] = (*config.layers, overrides)
    layers = [Selection(part.fixable, part.extend_fixable, part.unfixable) for part in parts]
    known = rules()
    chosen = _layered(layers, known, {rule.code: True for rule in known}, lambda *_: True)
    return frozenset(code for code, on in chosen.items() if on)


def ignored(selectors: Iterable[str]) -> frozenset[str]:
    """The codes that a list of ``per-file-ignores`` turns off.

    Raises:
        UnknownSelectorError: a selector fits no rule.
    """
    selectors, known = tuple(selectors), rules()
    for selector in selectors:
        _require(selector, known)
    return frozenset(
        rule.code
        for rule in known
        if ({rule.code, rule.name} & {*selectors} if stays(rule) else weight(selectors, rule) >= 0)
    )


def weight(selectors: Iterable[str], rule: Rule) -> int:
    """How specifically one of the selectors names a rule; -1 where none does."""
    return max((_weight(selector, rule) for selector in selectors), default=-1)


def require(selector: str) -> None:
    """Make sure that a selector fits a rule.

    Raises:
        UnknownSelectorError: it fits none; the text has the nearest that does.
    """
    _require(selector, rules())


def _layered(
    layers: Sequence[Selection],
    known: Sequence[Rule],
    chosen: dict[str, bool],
    meant: Callable[[str, Rule], bool],
) -> dict[str, bool]:
    """Which rules are on after the layers, when ``chosen`` are on before them."""
    for layer in layers:
        wanted = [*(layer.select or ()), *layer.extend_select]
        for selector in (*wanted, *layer.ignore):
            _require(selector, known)
        for rule in known:
            on = weight([selector for selector in wanted if meant(selector, rule)], rule)
            off = weight(layer.ignore, rule)
            if off >= 0 and off >= on:
                chosen[rule.code] = False
            elif on >= 0:
                chosen[rule.code] = True
            elif layer.select is not None:
                chosen[rule.code] = False
    return chosen


def _meant(selector: str, rule: Rule) -> bool:
    """Whether selecting this selects the rule, too: nobody who asks for a family means what it leaves off."""
    return not (rule.opt_in and re.fullmatch(r"PS\d?", selector))


def _weight(selector: str, rule: Rule) -> int:
    """How specifically a selector names a rule; -1 where it does not."""
    if selector == "ALL":
        return 0
    if selector == rule.name:
        return len(rule.code)
    return len(selector) if selector and rule.code.startswith(selector) else -1


def _require(selector: str, known: Sequence[Rule]) -> None:
    if any(_weight(selector, rule) >= 0 for rule in known) or selector == "ALL":
        return
    raise UnknownSelectorError(selector, nearest(selector, known))


def nearest(selector: str, known: Sequence[Rule] | None = None) -> str:
    """The code or name that looks most like a selector; empty where none is near."""
    known = rules() if known is None else known
    names = [*(rule.code for rule in known), *(rule.name for rule in known), "ALL"]
    return _like(selector.upper(), names) or _like(selector, names)


def _like(word: str, names: Sequence[str]) -> str:
    """The name most like a word. Of those equally like, one with the same letters, then one that begins alike."""
    near = difflib.get_close_matches(word, names, len(names))
    return max(
        near,
        key=lambda name: (
            difflib.SequenceMatcher(None, name, word).ratio(),
            sorted(name) == sorted(word),
            _alike(name, word),
            -names.index(name),
        ),
        default="",
    )


def _alike(one: str, other: str) -> int:
    """How many characters two words have in common from the start."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))


def _load(name: str) -> Rule:
    module = importlib.import_module(f"{rules_package.__name__}.{name}")
    rule = getattr(module, "RULE", None)
    if not isinstance(rule, Rule):
        raise BrokenRuleError(f"{name}: a public module in `rules` must define RULE")
    return rule
