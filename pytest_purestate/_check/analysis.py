"""One file through the pipeline: source -> tree -> IR -> facts -> findings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_purestate._check.apis import Knowledge, Signature
from pytest_purestate._check.flow import project as flow_project
from pytest_purestate._check.flow.interpret import Interpreter
from pytest_purestate._check.globs import Globs
from pytest_purestate._check.lower import SyntaxProblem, lower
from pytest_purestate._check.model import Finding, Rule
from pytest_purestate._check.resolve import find_module
from pytest_purestate._check.source import Source
from pytest_purestate.config import DEFAULT_TEST_FILES

__all__ = ["Project", "SyntaxProblem", "analyse", "facts_of"]

# Lowering and interpreting recurse over the tree, a few Python frames a level; bounds.py keeps the
# depth of what gets here far below this.
_RECURSION = 50_000


class Project(flow_project.Project):
    """Modules met in one run. ``read`` gives a file's Source, or None when it cannot be had.

    ``declared`` are the signatures that the settings of the checked files declare, ``is_test`` says which
    files they take as tests; by default those that pytest does.
    """

    def __init__(
        self,
        read: Callable[[Path], Source | None],
        declared: Sequence[Signature] = (),
        is_test: Callable[[Source], bool] | None = None,
    ) -> None:
        super().__init__(read, lower, find_module, Knowledge(declared), is_test or _named_like_a_test)


def _named_like_a_test(source: Source) -> bool:
    name = source.path.replace("\\", "/").rpartition("/")[2]
    return Globs.of(DEFAULT_TEST_FILES, Path()).match(source.path, name)


def facts_of(
    source: Source, project: Project, interpreter: type[Interpreter] = Interpreter
) -> flow_project.ModuleContext:
    """The module of one file with all its facts. Raises SyntaxProblem when it is not Python."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION))
    context = project.loaded(source.file) if source.file is not None else None
    if context is None or context.lowered.source.data != source.data:
        context = flow_project.ModuleContext(lower(source), project)
        project.add(context)
        interpreter(context).run_module()
    assert context.interpreter is not None
    context.interpreter.run_functions()
    return context


def analyse(source: Source, project: Project, rules: Sequence[Rule]) -> tuple[Finding, ...]:
    """All findings of the rules in one file, by position. Raises SyntaxProblem."""
    try:
        facts = facts_of(source, project).facts
        found = [finding for rule in rules if rule.check is not None for finding in rule.check(facts)]
    finally:
        project.release()
    # The same body may be run by several transforms: one defect, one finding.
    unique = {(finding.primary.span, finding.code, finding.message): finding for finding in reversed(found)}
    return tuple(sorted(unique.values(), key=lambda finding: (finding.primary.span, finding.code)))
