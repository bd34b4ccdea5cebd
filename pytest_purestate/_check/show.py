"""The settings that hold for a file, as a settings file that means the same, with where each comes from."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pytest_purestate._check import registry
from pytest_purestate._check.settings import Settings
from pytest_purestate._tomlfile import shown
from pytest_purestate.config import Config, Overrides, option_names

__all__ = ["render_settings"]

_CHOICES = {
    "select": ("select", "extend-select", "ignore"),
    "fixable": ("fixable", "extend-fixable", "unfixable"),
}
_IN_CHOICES = {key for keys in _CHOICES.values() for key in keys}
_TABLES = ("per-file-ignores", "extend-per-file-ignores", "severity", "signatures")
_WIDTH = 100


def render_settings(path: str, config: Config, overrides: Overrides) -> Iterator[str]:
    """The settings of one file as TOML, a line or table at a time.

    ``select`` and ``fixable`` are worked out to lists of codes; above them stands what they come from.

    Raises:
        ConfigError: the settings are not valid.
    """
    settings = Settings.of(config, overrides)
    yield f"# settings for {path}\n"
    files = [shown(layer.file) for layer in reversed(config.layers) if layer.file is not None]
    yield f"# {' extends '.join(dict.fromkeys(files)) if files else 'no settings file'}\n"
    on = [rule.code for rule in settings.rules]
    yield from _chosen("select", on, config, overrides)
    off = [rule.code for rule in registry.rules() if registry.stays(rule) and rule.code not in on]
    yield f"ignore = {_value(off)}\n"
    yield from _chosen("fixable", sorted(settings.fixable), config, overrides)
    for key, name in option_names().items():
        if key in _IN_CHOICES or key in _TABLES or key == "extend":
            continue
        value = getattr(config, name)
        source = _source(name, config, overrides)
        if value is None:
            yield f"# {key} is not set\n"
        else:
            yield f"{key} = {_value(value)}  # {source}\n"
    for key in _TABLES:
        name = option_names()[key]
        entries = getattr(config, name)
        if entries:
            yield f"\n[{key}]\n"
        for entry, value in entries:
            place = config.place(f"{name}.{entry}")
            yield f"{_value(entry)} = {_value(value)}  # {place or 'command line'}\n"


def _chosen(key: str, codes: list[str], config: Config, overrides: Overrides) -> Iterator[str]:
    yield "\n"
    said = False
    for part in (*config.layers, overrides):
        for each in _CHOICES[key]:
            name = each.replace("-", "_")
            value = getattr(part, name)
            if value:
                place = part.places.get(name, "") if isinstance(part, Config) else "command line"
                said = True
                yield f"# {place}: {each} = {_value(value)}\n"
    if not said:
        yield "# default\n"
    yield f"{key} = {_value(codes)}\n"


def _source(name: str, config: Config, overrides: Overrides) -> str:
    """Where a value comes from, the places that added to it included."""
    places = [str(layer.places[name]) for layer in config.layers if name in layer.places]
    if not name.startswith("extend_"):
        places = places[-1:]
    given = getattr(overrides, name, None)
    if given not in (None, ()):
        places = [*places, "command line"] if name.startswith("extend_") else ["command line"]
    return ", ".join(places) or "default"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    items = [_value(item) for item in value]
    line = f"[{', '.join(items)}]"
    if len(line) <= _WIDTH:
        return line
    return (
        textwrap.fill(
            ", ".join(items) + ",",
            _WIDTH,
            initial_indent="[\n  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        + "\n]"
    )
