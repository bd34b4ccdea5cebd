"""One test, as HTML: a line to scan, and all that is known of it below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pytest_purestate._pages import trees
from pytest_purestate._pages.markup import code, many, seconds, text

__all__ = ["CONCERNS", "OUTCOMES", "concerns_of", "render", "states_of"]

Test = dict[str, Any]

OUTCOMES = {
    "failed": ("✖", "failed", "bad"),
    "error": ("✖", "error", "bad"),
    "xpassed": ("!", "passed unexpectedly", "warn"),
    "passed": ("✔", "passed", "good"),
    "xfailed": ("–", "failed as expected", "dim"),
    "skipped": ("–", "skipped", "dim"),
}
"""By outcome: a sign, the words, the colour. The worst comes first."""

CONCERNS = {
    "keys": "key reuse",
    "state": "state edited",
    "host": "process changed",
    "compilation": "traced too often",
    "leaks": "tracer leaked",
    "assertion": "assertion of purity",
    "determinism": "not deterministic",
    "static": "static finding",
}
"""What a test can be in trouble with, and what it is called."""

_STATE = ("state", "host", "assertion", "compilation")


def concerns_of(test: Test) -> dict[str, int]:
    """What was found in a test, and how much."""
    found: dict[str, int] = {}
    for finding in test.get("findings", ()):
        found[finding["concern"]] = found.get(finding["concern"], 0) + 1
    if failed := sum(bool(check["failed"]) for check in test.get("checks", ())):
        found["determinism"] = failed
    elif any(change["source"] == "assertion" for change in test.get("changes", ())):
        found["assertion"] = 1
    if test.get("static"):
        found["static"] = 1
    return {name: found[name] for name in CONCERNS if name in found}


def states_of(test: Test) -> str:
    """The name of a test without its file."""
    _, _, name = test["id"].partition("::")
    return name or str(test["id"])


def render(test: Test, anchor: str, limit: int) -> Iterator[str]:
    """One test; its lineage has at most ``limit`` nodes, mistakes not counted."""
    sign, word, colour = OUTCOMES[test["outcome"]]
    concerns = concerns_of(test)
    name = states_of(test)
    yield (
        f'<details class="test" id="{anchor}" data-outcome="{test["outcome"]}" data-concerns="{" ".join(concerns)}">'
        f'<summary><span class="outcome {colour}"><span aria-hidden="true">{sign}</span> {word}</span>'
        f'<h4><bdi>{text(name)}</bdi></h4><span class="badges">{"".join(_badges(test, concerns))}</span></summary>\n'
        f'<div class="body"><p class="meta">{code(test.get("at", ""))}{_extras(test)} · '
        f'<a href="#{anchor}">link to this test</a></p>\n'
    )
    if test.get("text"):
        heading = "Failure" if colour == "bad" else "Reason"
        yield f'<h5>{heading}</h5>\n<pre tabindex="0">{text(test["text"])}</pre>\n'
    yield from _findings(test)
    yield from _lineage(test, name, limit)
    yield from _changes(test)
    yield from _checks(test)
    yield from _functions(test.get("functions", ()))
    yield "</div></details>\n"


def _extras(test: Test) -> str:
    parts = []
    if test.get("worker"):
        parts.append(f" · worker {text(test['worker'])}")
    if test.get("attempts", 1) > 1:
        parts.append(f" · attempt {test['attempts']}")
    return "".join(parts)


def _badges(test: Test, concerns: dict[str, int]) -> Iterator[str]:
    for concern, number in concerns.items():
        times = f" × {number}" if number > 1 else ""
        yield f'<span class="badge alarm">{CONCERNS[concern]}{times}</span>'
    if test.get("checks") and "determinism" not in concerns:
        yield '<span class="badge good">deterministic</span>'
    if (lineage := test.get("lineage")) is not None:
        yield f'<span class="badge">{many(lineage["keys"], "key")}</span>'
    compiled = sum(row["seconds"] for row in test.get("functions", ()))
    if compiled >= 0.01:
        yield f'<span class="badge">{seconds(compiled)} compiling</span>'
    yield f'<span class="time">{seconds(test.get("seconds", 0.0))}</span>'


def _findings(test: Test) -> Iterator[str]:
    findings = [each for each in test.get("findings", ()) if each["text"] not in test.get("text", "")]
    if findings:
        yield '<h5>The guard found</h5>\n<ul class="plain">'
        for each in findings:
            level = "error" if each["level"] == "error" else "warning"
            yield (
                f'<li><span class="badge {"alarm" if level == "error" else "warn"}">{level}: '
                f"{text(CONCERNS.get(each['concern'], each['concern']))}</span>"
                f'<pre tabindex="0">{text(each["text"])}</pre></li>'
            )
        yield "</ul>\n"


def _lineage(test: Test, name: str, limit: int) -> Iterator[str]:
    lineage = test.get("lineage")
    if lineage is None:
        return
    reused = lineage["bad"]
    mistake = f', <strong class="reused">{reused:,} of them in a reuse</strong>' if reused else ""
    yield (
        f'<h5>Key lineage</h5>\n<p class="meta">{many(lineage["keys"], "key")}, '
        f"{many(lineage['uses'], 'use')}{mistake}</p>\n"
    )
    yield from trees.render(lineage["roots"], f"Key lineage of {name}", limit)
    if lineage["left_out"]:
        yield f'<p class="meta">{many(lineage["left_out"], "key or use", "keys and uses")} more were not recorded.</p>\n'


def _changes(test: Test) -> Iterator[str]:
    changes = [change for change in test.get("changes", ()) if change["source"] in _STATE]
    if not changes:
        return
    names = {tuple(change.get("labels") or ("before", "after")) for change in changes}
    before, after = names.pop() if len(names) == 1 else ("before", "after")
    yield (
        '<h5>Changes by path</h5>\n<div class="wide" tabindex="0" role="region" aria-label="Changes by path"><table>'
        f'<thead><tr><th scope="col">where</th><th scope="col">what</th><th scope="col">{text(before)}</th>'
        f'<th scope="col">{text(after)}</th></tr></thead><tbody>'
    )
    for change in changes:
        cells = [
            code(change[side]) if change.get(side) else '<span class="dim">–</span>'
            for side in ("before", "after")
        ]
        yield (
            f'<tr><th scope="row">{code(change["path"])}</th><td>{text(change.get("message", ""))}</td>'
            f"<td>{cells[0]}</td><td>{cells[1]}</td></tr>"
        )
    yield "</tbody></table></div>\n"
    if test.get("changes_left_out"):
        yield f'<p class="meta">and {many(test["changes_left_out"], "more change")}, not recorded.</p>\n'


def _checks(test: Test) -> Iterator[str]:
    if not test.get("checks"):
        return
    yield '<h5>Determinism</h5>\n<ul class="plain">'
    for check in test["checks"]:
        failed = check["failed"]
        ways = ", ".join(
            f"<b>{text(way)} differ{'' if way.endswith('s') else 's'}</b>" if way == failed else text(way)
            for way in check["ways"]
        )
        sign, word, colour = OUTCOMES["failed" if failed else "passed"]
        differing = f", {many(check['problems'], 'place')} in the output differ" if failed else ""
        yield (
            f'<li><span class="outcome {colour}"><span aria-hidden="true">{sign}</span> {word}</span> '
            f"{code(check['assertion'])} of {code(check['function'])}: {ways}; {many(check['runs'], 'call')} "
            f'each{differing} <span class="at">{text(check["at"])}</span></li>'
        )
    yield "</ul>\n"


def _functions(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    yield (
        '<h5>Compilation</h5>\n<div class="wide" tabindex="0" role="region" aria-label="Compilation"><table class="numbers"><thead><tr>'
        '<th scope="col">function</th><th scope="col">traces</th><th scope="col">compilations</th>'
        '<th scope="col">time</th><th scope="col">last traced for</th></tr></thead><tbody>'
    )
    for row in rows:
        name = code(row["name"])
        if row.get("library"):
            name = f"{many(row['library'], 'operation')} of JAX itself"
        yield (
            f'<tr><th scope="row">{name}</th><td>{row["traces"]:,}</td><td>{row["compiles"]:,}</td>'
            f"<td>{seconds(row['seconds'])}</td><td>{code(row['at']) if row.get('at') else ''}</td></tr>"
        )
    yield "</tbody></table></div>\n"
