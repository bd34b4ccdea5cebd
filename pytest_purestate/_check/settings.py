"""What a configuration with the command line over it means: rules, signatures, severities, test files.

`Settings.of` looks at everything that may be wrong in them, so that it ends the run before it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct, structs

from pytest_purestate._check import registry
from pytest_purestate._check.apis import Signature, SignatureError, parse_declaration
from pytest_purestate._check.globs import Globs
from pytest_purestate._check.model import Finding, Rule, Severity
from pytest_purestate._check.registry import Selection, UnknownSelectorError
from pytest_purestate._check.source import Source
from pytest_purestate.config import Config, ConfigError, Overrides

__all__ = ["Settings", "chosen_rules", "declared", "severities", "tests_of"]


class Settings(Struct, frozen=True):
    """The settings of files that share a `Config`, ready to use."""

    rules: tuple[Rule, ...]
    fixable: frozenset[str]
    severity: Mapping[str, Severity]
    signatures: tuple[Signature, ...]
    is_test: Callable[[Source], bool]
    per_file: tuple[tuple[Globs, bool, frozenset[str]], ...]

    @classmethod
    def of(cls, config: Config, overrides: Overrides) -> Settings:
        """Work them out.

        Raises:
            ConfigError: a selector fits no rule, or a signature cannot be read; the text names the place and
                the nearest right name.
        """
        return cls(
            rules=chosen_rules(config, overrides),
            fixable=_fixable(config, overrides),
            severity=severities(config),
            signatures=declared(config),
            is_test=tests_of(config),
            per_file=_per_file(config, overrides),
        )

    def rules_in(self, file: Path) -> tuple[Rule, ...]:
        """The rules that hold in one file: without those that ``per-file-ignores`` turns off there."""
        path = str(file.absolute())
        off = frozenset[str]().union(
            *(codes for globs, negated, codes in self.per_file if globs.match(path, file.name) != negated)
        )
        return tuple(rule for rule in self.rules if rule.code not in off) if off else self.rules

    def applied(self, finding: Finding) -> Finding:
        """A finding as the settings want it: its severity, and no fix where the rule is not fixable."""
        fix = finding.fix if finding.code in self.fixable else None
        return structs.replace(finding, fix=fix, severity=self.severity[finding.code])


def chosen_rules(config: Config, overrides: Overrides) -> tuple[Rule, ...]:
    """The rules that hold under a configuration with the command line over it.

    Raises:
        ConfigError: a selector fits no rule; the text names the place and the nearest right name.
    """
    for layer in config.layers:
        _require(layer, "select", "extend_select", "ignore")
    parts: tuple[Config | Overrides, ...] = (*config.layers, overrides)
    layers = [Selection(part.select, part.extend_select, part.ignore) for part in parts]
    try:
        return registry.select(layers)
    except UnknownSelectorError as error:
        raise ConfigError(str(error)) from error


def declared(config: Config) -> tuple[Signature, ...]:
    """The signatures that a configuration declares.

    Raises:
        ConfigError: one cannot be read; the text names the place and, for a wrong word, the nearest right one.
    """
    found: dict[str, Signature] = {}
    for name, text in config.signatures:
        try:
            signature = parse_declaration(name, text)
            if signature.name in found:
                raise SignatureError("declared before")
        except SignatureError as error:
            raise config.error(f"signatures.{name}", f"`{name}`: {error}") from error
        found[signature.name] = signature
    return tuple(found.values())


def severities(config: Config) -> Mapping[str, Severity]:
    """The severity of every rule: what the most specific entry of ``severity`` says, else the rule's own.

    Raises:
        ConfigError: an entry fits no rule.
    """
    for selector, _ in config.severity:
        try:
            registry.require(selector)
        except UnknownSelectorError as error:
            raise config.error(f"severity.{selector}", str(error)) from error
    found = {}
    for rule in registry.rules():
        fitting = [
            (registry.weight((selector,), rule), number, level)
            for number, (selector, level) in enumerate(config.severity)
        ]
        weight, _, level = max(fitting, default=(-1, 0, ""))
        found[rule.code] = Severity(level) if weight >= 0 else rule.severity
    return found


def tests_of(config: Config) -> Callable[[Source], bool]:
    """Tells which sources are test files."""
    return _TestFiles(Globs.of(config.test_files, config.root))


class _TestFiles(Struct, frozen=True):
    """Equal where the patterns are equal, so that files with equal settings share what they import."""

    globs: Globs

    def __call__(self, source: Source) -> bool:
        path = source.file or Path(source.path.replace("\\", "/")).absolute()
        return self.globs.match(str(path), path.name)


def _fixable(config: Config, overrides: Overrides) -> frozenset[str]:
    for layer in config.layers:
        _require(layer, "fixable", "extend_fixable", "unfixable")
    try:
        return registry.fixable_codes(config, overrides)
    except UnknownSelectorError as error:
        raise ConfigError(str(error)) from error


def _per_file(config: Config, overrides: Overrides) -> tuple[tuple[Globs, bool, frozenset[str]], ...]:
    found = []
    own = (*(overrides.per_file_ignores or ()), *overrides.extend_per_file_ignores)
    for key in ("per_file_ignores", "extend_per_file_ignores"):
        for pattern, selectors in getattr(config, key):
            negated = pattern.startswith("!")
            try:
                codes = registry.ignored(selectors)
            except UnknownSelectorError as error:
                if (pattern, selectors) in own:
                    raise ConfigError(str(error)) from error
                raise config.error(f"{key}.{pattern}", str(error)) from error
            found.append((Globs.of((pattern.removeprefix("!"),), config.root), negated, codes))
    return tuple(found)


def _require(layer: Config, *keys: str) -> None:
    """The selectors of one layer must fit rules.

    Raises:
        ConfigError: one does not; the text names its place.
    """
    for key in keys:
        for selector in getattr(layer, key) or ():
            try:
                registry.require(selector)
            except UnknownSelectorError as error:
                raise layer.error(key, str(error)) from error
