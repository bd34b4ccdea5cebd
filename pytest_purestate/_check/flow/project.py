"""Modules and the way between them.

A file's findings depend on that file and on what it imports, never on who imports it: imports are
found on disk whether or not the imported file is being checked, and only when something of them
is called.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_purestate._check.apis import Knowledge, Signature
from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.flow.values import ClassValue, Ext, Root, Sym, Type, Value
from pytest_purestate._check.model import Span

if TYPE_CHECKING:
    from pytest_purestate._check.flow.interpret import Interpreter
    from pytest_purestate._check.lower import Lowered
    from pytest_purestate._check.source import Source

__all__ = ["ModuleContext", "Project"]

_CALLEE = re.compile(r"[\w.]+(?=\()")


class ModuleContext:
    """One module under analysis: its IR, its interpreter and what has been found out about it."""

    def __init__(self, lowered: Lowered, project: Project) -> None:
        self.lowered = lowered
        self.project = project
        self.file = lowered.source.file
        self.facts = ModuleFacts(self)
        self.facts.is_test = project.is_test(lowered.source)
        self.interpreter: Interpreter | None = None
        self._globals: dict[str, Sym] = {}
        self._resolved: dict[str, Value | None] = {}
        self.looked: dict[str, Path | None] = {}  # the modules that its imports may mean, and their files

    def global_place(self, name: str, type_: Type) -> Sym:
        """The place that the module variable ``name`` is, for the functions that read it."""
        place = self._globals.get(name)
        if place is None:
            place = self._globals[name] = Sym(Root("free", type_, name, owner=self))
        return place

    def declared(self, qualname: str) -> Signature | None:
        """What the user declares of a function or class that this module defines."""
        if not self.project.known.mentions(qualname):
            return None
        path = (self.file or Path(self.lowered.source.path)).with_suffix("").parts
        dotted = ".".join(path[:-1] if path[-1:] == ("__init__",) else path)
        return self.project.known.defined(self.lowered.module.name, dotted, qualname)

    def dotted(self, qualname: str) -> str:
        """The name under which something that this module defines is imported."""
        name = self.lowered.module.name or Path(self.lowered.source.path).stem
        return f"{name}.{qualname}"

    def callee_span(self, call: int) -> Span:
        """Where the name of what a call calls stands: a call may go on for many lines."""
        span = self.lowered.span(call)
        name = _CALLEE.match(self.lowered.source.slice(span))
        return span if name is None else Span(span.start, span.start + len(name[0].encode()))

    def resolve(self, name: str) -> Value | None:
        """The project's value behind an imported dotted name, or None when it is foreign."""
        if name not in self._resolved:
            self._resolved[name] = None  # an import cycle ends here
            self._resolved[name] = self.project.lookup(self.file, name, self.looked)
        return self._resolved[name]


class Project:
    """All modules met in one run. ``read`` gives a file's source, or None when it cannot be had.

    ``known`` is what is known of functions whose source is not looked at; it holds for every module here.
    ``is_test`` tells test files, whose own functions may replay a key.
    """

    def __init__(
        self,
        read: Callable[[Path], Source | None],
        lower: Callable[[Source], Lowered],
        find: Callable[[Path, str], Path | None],
        known: Knowledge,
        is_test: Callable[[Source], bool],
    ) -> None:
        self.known = known
        self.is_test = is_test
        self._read = read
        self._lower = lower
        self._find = find
        self._contexts: dict[Path, ModuleContext | None] = {}
        self.size = 0  # bytes of source text behind all that is kept
        self._foreign = {"builtins", "jax", "numpy", *sys.stdlib_module_names}

    def add(self, context: ModuleContext) -> None:
        if context.file is not None:
            self._contexts[context.file] = context
            self.size += len(context.lowered.source.data)

    def release(self) -> None:
        """Let go of what only the positions of findings need."""
        for context in self._contexts.values():
            if context is not None:
                context.lowered.release()

    def loaded(self, file: Path) -> ModuleContext | None:
        return self._contexts.get(file)

    def load(self, file: Path) -> ModuleContext | None:
        """The context of an imported file, its module body interpreted."""
        if file in self._contexts:
            return self._contexts[file]
        self._contexts[file] = None
        source = self._read(file)
        if source is None:
            return None
        try:
            lowered = self._lower(source)
        except Exception:  # its own check reports what is wrong with it
            return None
        from pytest_purestate._check.flow.interpret import Interpreter

        lowered.release()  # a finding seldom points into an imported file
        context = ModuleContext(lowered, self)
        self.add(context)
        Interpreter(context).run_module()
        return context

    def is_foreign(self, name: str) -> bool:
        """Whether a dotted name is surely none of the project's."""
        return name.split(".", 1)[0] in self._foreign

    def dependencies(self, file: Path) -> tuple[set[Path], set[tuple[Path, str]]]:
        """The files whose contents matter to one, and the modules that were not found, by who imports them."""
        files: set[Path] = set()
        missing: set[tuple[Path, str]] = set()
        todo = [file]
        while todo:
            top = todo.pop()
            context = self._contexts.get(top)
            for name, found in context.looked.items() if context is not None else ():
                if found is None:
                    missing.add((top, name))
                elif found not in files:
                    files.add(found)
                    todo.append(found)
        return files - {file}, missing

    def lookup(
        self, importer: Path | None, name: str, looked: dict[str, Path | None] | None = None
    ) -> Value | None:
        """What the absolute (or ``.``-relative) dotted ``name`` means to ``importer``; ``looked`` notes the way."""
        if importer is None or self.is_foreign(name):
            return None
        lead = "." if name.startswith(".") else ""
        parts = name.lstrip(".").split(".")
        for cut in range(len(parts) - 1, 0, -1):
            module = lead + ".".join(parts[:cut])
            file = self._find(importer, module)
            if looked is not None:
                looked[module] = file
            if file is not None:
                context = self.load(file)
                return None if context is None else self._member(context, parts[cut:])
        return None

    def _member(self, context: ModuleContext, parts: list[str]) -> Value | None:
        assert context.interpreter is not None
        value = context.interpreter.export(parts[0])
        for part in parts[1:]:
            if isinstance(value, ClassValue):
                value = value.info.find(part)
            elif isinstance(value, Ext):  # a module that this one imports
                value = context.resolve(f"{value.name}.{part}") or Ext(f"{value.name}.{part}")
            else:
                return None
        if isinstance(value, Ext):  # re-exported from elsewhere
            return context.resolve(value.name) or value
        return value
