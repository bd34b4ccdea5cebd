"""Why a line means what the checker takes it for: values, calls, the function around, and how to say otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_purestate._check import bounds, ir
from pytest_purestate._check.analysis import Project, facts_of
from pytest_purestate._check.apis import Signature
from pytest_purestate._check.apis.notation import clauses
from pytest_purestate._check.discovery import display_path
from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.flow.project import ModuleContext
from pytest_purestate._check.flow.summary import Summary
from pytest_purestate._check.flow.values import Bound, ClassValue, Const, Ext, Func
from pytest_purestate._check.flow.watch import Seen, Understood, Watch
from pytest_purestate._check.model import Label, Span
from pytest_purestate._check.reasons import Reason, does, reasons, what
from pytest_purestate._check.settings import Settings
from pytest_purestate._check.source import Source, UnreadableSourceError
from pytest_purestate._tomlfile import shown
from pytest_purestate.config import Config, Overrides

__all__ = ["Call", "Explanation", "Item", "explain"]


@dataclass(frozen=True, slots=True)
class Call:
    """How a call is understood: ``by`` what, ``does`` what, and the line of settings that says so or would.

    ``declared`` is the place of that line (``pyproject.toml:12``), empty where nobody declared the function.
    """

    name: str
    by: str
    does: str
    declared: str
    override: str


@dataclass(frozen=True, slots=True)
class Item:
    """An expression on the line, or a variable bound there: what it is, and why. ``what`` is empty for unknown."""

    span: Span
    text: str
    what: str
    reasons: tuple[Reason, ...]
    call: Call | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of a line. ``function`` is empty at module level, ``traced`` where nothing traces it."""

    path: str
    line: int
    code: str
    function: str
    traced: str
    trace: Label | None
    items: tuple[Item, ...]


def explain(source: Source, line: int, column: int, config: Config, overrides: Overrides) -> Explanation:
    """Explain a line of a source; ``column`` 0 stands for all of it, else for what covers that column.

    Raises:
        SyntaxProblem: the source is not Python.
        ConfigError: the settings are not valid.
    """
    settings = Settings.of(config, overrides)
    cwd = Path.cwd()

    def read(file: Path) -> Source | None:
        try:
            found = Source.read(file, display_path(file, cwd))
        except UnreadableSourceError:
            return None
        return None if bounds.problem(found.data) else found

    context = facts_of(source, Project(read, settings.signatures, settings.is_test), Watch)
    watch = context.interpreter
    assert isinstance(watch, Watch)
    start = source.offset(line, 1)
    whole = Span(start, start + len(source.line(line).encode()))
    at = source.offset(line, column) if column else None
    watch.note_params()
    spans = {ref: context.lowered.span(ref) for ref in {*watch.seen, *watch.calls}}
    wanted = [ref for ref, span in spans.items() if _is_meant(span, whole, at)]
    wanted.sort(key=lambda ref: (spans[ref].start, -spans[ref].end))
    calls = {ref: _call(watch.calls[ref], watch, config) for ref in wanted if ref in watch.calls}
    items = [_item(context, spans[ref], watch.seen.get(ref), calls.get(ref)) for ref in wanted]
    function = _around(context.facts, start + len(source.line(line)) - len(source.line(line).lstrip()))
    trace = next(
        (trace for facts, trace in context.facts.traced_functions() if facts.function is function), None
    )
    return Explanation(
        path=source.path,
        line=line,
        code=source.line(line).strip(),
        function=function.qualname if function is not None else "",
        traced=trace.api.removeprefix("@") if trace is not None else "",
        trace=_place(trace.context, trace.ref) if trace is not None else None,
        items=tuple(_unique(items)),
    )


def _is_meant(span: Span, line: Span, at: int | None) -> bool:
    if at is not None:
        return span.start <= at < span.end and span.end - span.start > 0
    return line.start <= span.start < line.end


def _place(context: ModuleContext, ref: int) -> Label:
    return Label(context.lowered.span(ref), "", context.lowered.source.path)


def _around(module: ModuleFacts, offset: int) -> ir.Function | None:
    """The innermost function around a place."""
    best: tuple[int, ir.Function] | None = None
    for facts in module.functions:
        if facts.function is not None:
            span = module.span(facts.function.def_ref)
            if span.start <= offset < span.end and (best is None or span.start > best[0]):
                best = span.start, facts.function
    return best[1] if best is not None else None


def _item(context: ModuleContext, span: Span, seen: Seen | None, call: Call | None) -> Item | None:
    """What there is to tell of an expression; None where that is nothing anybody asks."""
    text = context.lowered.source.slice(span)
    if call is not None:
        known = what(context.facts, seen) if seen is not None else ""
        why = reasons(context.facts, seen) if seen is not None and known else ()
        here = Label(span, "", context.lowered.source.path)
        return Item(span, text, known, tuple([reason for reason in why if reason.place != here]), call)
    if seen is None or isinstance(seen.value, Const | Ext | Func | ClassValue | Bound):
        return None
    if not isinstance(seen.node, ir.Name | ir.GetAttr | ir.GetItem | None):
        return None
    return Item(span, text, what(context.facts, seen), reasons(context.facts, seen), None)


def _unique(items: list[Item | None]) -> Iterator[Item]:
    """Each thing once: the same text with the same meaning is told where it stands first."""
    told = set()
    for item in items:
        if item is not None and (item.text, item.what, item.call) not in told:
            told.add((item.text, item.what, item.call))
            yield item


def _call(call: Understood, watch: Watch, config: Config) -> Call:
    by = call.by
    if isinstance(by, Signature) and by in watch.known.declarations():
        key = next(key for key, _ in config.signatures if key.partition("(")[0].strip() == by.name)
        place = config.place(f"signatures.{key}")
        where = f"{shown(place.file)}:{place.line}" if place is not None and place.file else "--config"
        return Call(call.name, "declared", does(by), where, _line(key, dict(config.signatures)[key]))
    if isinstance(by, Signature):
        line = _line(call.name, clauses(by)) if "@" not in by.name else ""
        return Call(call.name, "known", does(by), "", line)
    if isinstance(by, Summary):
        return Call(call.name, "followed", does(by), "", _line(call.name, _opposite(by)))
    return Call(call.name, "unknown", does(by), "", _line(call.name, "reads key") if "." in call.name else "")


def _line(name: str, text: str) -> str:
    return f'"{name}" = "{text}"'


def _opposite(summary: Summary) -> str:
    """A declaration that says something else than what was found out."""
    spent = dict.fromkeys(place.root.name for place, _ in summary.uses if place.root.kind == "param")
    if spent:
        return f"reads {' '.join(spent)}"
    params = [param.name for param, _ in summary.params if param.name != "self"]
    return f"consumes {params[0]}" if params else "returns key"
