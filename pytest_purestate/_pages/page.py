"""The page: a run at a glance, its tests by file, and what a browser does with them.

One file that needs no other one: style and script are in it, and a policy in its head forbids the browser to load or to
run anything else. What it says can be read without the script, which filters, opens and walks along trees.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib import resources
from string import Template
from typing import Any

from pytest_purestate._pages import entry
from pytest_purestate._pages.markup import anchor, code, many, seconds, text

__all__ = ["render"]

Test = dict[str, Any]

_NODES = 24_000
"""Nodes of all trees of tests that passed; more would keep a browser busy."""
_FEW, _ALL = 8, 400
_SHOWN = 50
_SLOW = 10


def render(run: dict[str, Any], tests: Sequence[Test]) -> str:
    """The page about a run."""
    names = _anchors(tests)
    read = resources.files("pytest_purestate._pages").joinpath
    style, script, page = (read(f"page.{kind}").read_text("utf-8") for kind in ("css", "js", "html"))
    title = f"{run.get('project', '')} – purestate report".removeprefix(" – ")
    return Template(page).substitute(
        title=text(title),
        heading=f"purestate report <small>{text(run.get('project', ''))}</small>",
        facts=_facts(run),
        overview="".join(_overview(run, tests, names)),
        filters="".join(_filters(tests)),
        tests="".join(_files(tests, names)),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _anchors(tests: Sequence[Test]) -> list[str]:
    """The id of each test; a second one of the same name has a number as well."""
    used: dict[str, int] = {}
    names = []
    for test in tests:
        name = anchor(test["id"], test.get("worker", ""))
        used[name] = used.get(name, 0) + 1
        names.append(name if used[name] == 1 else f"{name}-{used[name]}")
    return names


def _facts(run: dict[str, Any]) -> str:
    versions = ", ".join(f"{text(name)} {text(version)}" for name, version in run.get("versions", {}).items())
    facts = [
        ("command", code(run.get("command", ""))),
        ("began", text(str(run.get("began", "")).replace("T", " "))),
        ("took", seconds(run.get("seconds", 0.0))),
        ("seed", text(run.get("seed", ""))),
        ("with", versions),
    ]
    rows = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts if value)
    return f'<dl class="facts">{rows}</dl>'


# --- at a glance -------------------------------------------------------------------------------


def _overview(run: dict[str, Any], tests: Sequence[Test], names: Sequence[str]) -> Iterator[str]:
    outcomes = {name: sum(test["outcome"] == name for test in tests) for name in entry.OUTCOMES}
    yield _bar(outcomes, len(tests))
    for note in _notes(run, tests):
        yield f'<p class="note">{note}</p>\n'
    yield from _wanting(tests, names)
    yield '<div class="tables">'
    concerns = [
        (name, [test for test in tests if name in entry.concerns_of(test)]) for name in entry.CONCERNS
    ]
    rows = [(entry.CONCERNS[name], len(found)) for name, found in concerns if found]
    yield "<div><h3>Concerns</h3>"
    if rows:
        yield '<table class="numbers"><thead><tr><th scope="col">found</th><th scope="col">tests</th></tr></thead><tbody>'
        yield from (f'<tr><th scope="row">{text(name)}</th><td>{number:,}</td></tr>' for name, number in rows)
        yield "</tbody></table>"
    else:
        yield "<p>Nothing was found.</p>"
    yield "</div>"
    yield from _slowest(tests)
    yield "</div>\n"


def _bar(outcomes: dict[str, int], total: int) -> str:
    """How many tests ended how: a bar, and the same in words."""
    at = 0.0
    parts, words = [], []
    for name, number in outcomes.items():
        if number:
            width = 100 * number / total
            _, word, colour = entry.OUTCOMES[name]
            parts.append(f'<rect class="{colour}" x="{at:.3f}" width="{width:.3f}" y="0" height="3"></rect>')
            words.append(f'<li><span class="outcome {colour}"><b>{number:,}</b> {word}</span></li>')
            at += width
    return (
        f'<ul class="counts"><li><b>{total:,}</b> {"test" if total == 1 else "tests"}</li>{"".join(words)}</ul>\n'
        f'<svg class="bar" viewBox="0 0 100 3" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg>\n'
    )


def _notes(run: dict[str, Any], tests: Sequence[Test]) -> Iterator[str]:
    if run.get("stopped"):
        yield f"The run was stopped early: {text(run['stopped'])}."
    elif run.get("exit") in (2, 3):
        yield "The run was interrupted: what it did not come to is not here."
    if run.get("note"):
        yield text(run["note"])
    if not run.get("lineages"):
        yield f"Lineages of keys were not recorded; {code('pytest --purestate-html FILE')} does it, at some cost of time."


def _slowest(tests: Sequence[Test]) -> Iterator[str]:
    spent: dict[str, list[float]] = {}
    for test in tests:
        for row in test.get("functions", ()):
            if not row.get("library"):
                known = spent.setdefault(row["name"], [0.0, 0, 0, 0])
                for at, value in enumerate((row["seconds"], row["traces"], row["compiles"], 1)):
                    known[at] += value
    rows = sorted(spent.items(), key=lambda each: -each[1][0])[:_SLOW]
    if rows:
        yield (
            '<div><h3>Slowest to compile</h3><table class="numbers"><thead><tr><th scope="col">function</th>'
            '<th scope="col">time</th><th scope="col">traces</th><th scope="col">compilations</th>'
            '<th scope="col">tests</th></tr></thead><tbody>'
        )
        for name, (time, traces, compiles, count) in rows:
            yield (
                f'<tr><th scope="row">{code(name)}</th><td>{seconds(time)}</td><td>{traces:,.0f}</td>'
                f"<td>{compiles:,.0f}</td><td>{count:,.0f}</td></tr>"
            )
        yield "</tbody></table></div>"


def _wanting(tests: Sequence[Test], names: Sequence[str]) -> Iterator[str]:
    """Links to the tests that somebody should look at."""
    found = [
        (test, name)
        for test, name in zip(tests, names, strict=True)
        if entry.OUTCOMES[test["outcome"]][2] in ("bad", "warn") or entry.concerns_of(test)
    ]
    if not found:
        return
    yield '<h3>To look at</h3>\n<ul class="wanting">'
    for test, name in found[:_SHOWN]:
        sign, word, colour = entry.OUTCOMES[test["outcome"]]
        told = ", ".join(entry.CONCERNS[concern] for concern in entry.concerns_of(test))
        yield (
            f'<li><span class="outcome {colour}"><span aria-hidden="true">{sign}</span> {word}</span> '
            f'<a href="#{name}"><bdi>{text(test["id"])}</bdi></a>{f" – {told}" if told else ""}</li>'
        )
    yield "</ul>\n"
    if len(found) > _SHOWN:
        yield f"<p>and {many(len(found) - _SHOWN, 'more test')}, below.</p>\n"


# --- tests -------------------------------------------------------------------------------------


def _filters(tests: Sequence[Test]) -> Iterator[str]:
    """What the script needs; without it there is nothing to filter with."""
    outcomes = [(name, word) for name, (_, word, _) in entry.OUTCOMES.items()]
    yield (
        '<form class="filters" role="search" aria-label="Filter the tests" hidden>'
        '<label>Text <input type="search" id="filter-text" autocomplete="off" spellcheck="false"></label>'
        '<label>Outcome <select id="filter-outcome"><option value="">any</option>'
    )
    for name, word in outcomes:
        if number := sum(test["outcome"] == name for test in tests):
            yield f'<option value="{name}">{word} ({number:,})</option>'
    yield '</select></label><label>Concern <select id="filter-concern"><option value="">any</option>'
    if any(map(entry.concerns_of, tests)):
        yield '<option value="*">some concern</option>'
    for name, words in entry.CONCERNS.items():
        if number := sum(name in entry.concerns_of(test) for test in tests):
            yield f'<option value="{name}">{words} ({number:,})</option>'
    yield (
        '</select></label><button type="button" id="open-all">Open all</button>'
        '<button type="button" id="close-all">Close all</button>'
        f'<p role="status" id="shown">{many(len(tests), "test")}</p></form>\n'
    )


def _files(tests: Sequence[Test], names: Sequence[str]) -> Iterator[str]:
    groups: dict[str, list[tuple[Test, str]]] = {}
    for test, name in zip(tests, names, strict=True):
        groups.setdefault(test["id"].partition("::")[0], []).append((test, name))
    trees = sum(test.get("lineage") is not None for test in tests)
    room = max(_FEW, min(_ALL, _NODES // max(1, trees)))
    for file, group in groups.items():
        bad = sum(entry.OUTCOMES[test["outcome"]][2] == "bad" for test, _ in group)
        failed = f", <b>{bad:,} failed</b>" if bad else ""
        yield (
            f'<section class="file"><h3><bdi>{text(file)}</bdi> <small>{many(len(group), "test")}{failed}'
            "</small></h3>\n"
        )
        for test, name in group:
            wanted = bool(entry.concerns_of(test)) or test["outcome"] != "passed"
            yield from entry.render(test, name, _ALL if wanted else room)
        yield "</section>\n"
