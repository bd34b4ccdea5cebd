"""The page of a report in a real browser: what is seen, what the keyboard does, and that nothing is loaded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_browser import BROWSER, DRIVER, Browser, browser
from page_samples import RUN, TESTS, many

from pytest_purestate._pages.page import render

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="needs chromium and chromedriver (Debian: chromium, chromium-driver)"
)

CONTRASTS = """
const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const rgba = (text) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = text;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = (rgb) => {
  const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const color = rgba(getComputedStyle(each).backgroundColor);
    if (color[3] === 255) return color;
    if (color[3] !== 0) throw new Error('half transparent: ' + each.className);
  }
  return [255, 255, 255, 255];
};
const found = {};
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const element = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !element.checkVisibility() || element.closest('script')) continue;
  const style = getComputedStyle(element);
  const [one, other] = [light(rgba(style.color).slice(0, 3)), light(behind(element).slice(0, 3))].sort((a, b) => b - a);
  const ratio = (one + 0.05) / (other + 0.05);
  const name = element.tagName + '.' + element.className + ' in ' + element.parentElement.className;
  found[name] = Math.min(found[name] ?? 99, ratio);
}
return found;
"""

FOCUS = """
const at = document.activeElement;
return [at.tagName, at.id || at.getAttribute('role') || at.className, (at.innerText || at.textContent || '').split('\\n')[0]];
"""


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page") / "report.html"
    page.write_text(render(RUN, TESTS), encoding="utf-8")
    return page


@pytest.fixture
def page(window: Browser, file: Path) -> Browser:
    window.scheme("light")
    window.size(1200, 900)
    window.open(file)
    window.log()
    return window


def shown(page: Browser) -> list[str]:
    """The tests that are to be seen, without their files."""
    found: list[str] = page.run(
        "return [...document.querySelectorAll('.test')].filter((test) => test.checkVisibility()).map((test) => test.querySelector('h4').textContent)"
    )
    return found


def choose(page: Browser, control: str, value: str) -> None:
    page.run(
        "const at = document.getElementById(arguments[0]); at.value = arguments[1]; at.dispatchEvent(new Event('input', { bubbles: true }))",
        control,
        value,
    )


def focused(page: Browser) -> list[str]:
    found: list[str] = page.run(FOCUS)
    return found


def test_nothing_is_said_on_the_console_and_nothing_is_loaded(page: Browser, file: Path) -> None:
    page.open(file)
    page.run("document.getElementById('open-all').click()")
    assert page.log() == []
    assert page.run("return performance.getEntriesByType('resource').map((entry) => entry.name)") == []
    assert page.run("return window.injected") is None
    assert page.run("return document.images.length") == 0


def test_the_policy_keeps_what_was_smuggled_in_from_running(page: Browser, tmp_path: Path) -> None:
    """If escaping failed one day, the browser would still refuse."""
    smuggled = "<script>window.injected = 1</script><style>h1 { color: red }</style><img src=x onerror='window.injected = 1'>"
    file = tmp_path / "page.html"
    file.write_text(render(RUN, TESTS).replace("<main>", f"<main>{smuggled}"), encoding="utf-8")
    page.open(file)
    assert page.run("return window.injected") is None
    assert page.run("return getComputedStyle(document.querySelector('h1')).color") != "rgb(255, 0, 0)"
    assert len(page.log()) >= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_is_easy_to_read(page: Browser, scheme: str) -> None:
    page.scheme(scheme)
    page.run("document.getElementById('open-all').click()")
    contrasts: dict[str, float] = page.run(CONTRASTS)
    assert len(contrasts) > 30
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}
    background = page.run("return getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 22, 27)")


def test_the_page_fits_a_small_screen(page: Browser) -> None:
    page.size(360, 800)
    page.run("document.getElementById('open-all').click()")
    assert page.run("return document.documentElement.scrollWidth") <= 360


def test_filters(page: Browser) -> None:
    everything = shown(page)
    assert len(everything) == len(TESTS)
    choose(page, "filter-outcome", "failed")
    assert shown(page) == ["test_noise", "test_edit", "test_ways", "PS101"]
    choose(page, "filter-concern", "keys")
    assert shown(page) == ["test_noise"]
    assert page.run("return document.getElementById('shown').textContent") == "1 of 9 tests"
    assert (
        page.run(
            "return [...document.querySelectorAll('.file')].filter((file) => file.checkVisibility()).length"
        )
        == 1
    )
    choose(page, "filter-outcome", "")
    choose(page, "filter-concern", "*")
    assert shown(page) == ["test_noise", "test_edit", "test_ways", "PS101"]
    choose(page, "filter-concern", "")
    choose(page, "filter-text", "STATE edit")
    assert shown(page) == ["test_edit"]
    choose(page, "filter-text", "nothing like it")
    assert shown(page) == []
    choose(page, "filter-text", "")
    assert shown(page) == everything


def test_the_tab_key_reaches_everything_in_order(page: Browser) -> None:
    page.press("Tab")
    assert focused(page) == ["A", "skip", "Skip to the tests"]
    assert page.run("return document.activeElement.getBoundingClientRect().top") >= 0
    page.press("Enter")
    assert focused(page)[:2] == ["H2", "tests"]
    stops = []
    for _ in range(7):
        page.press("Tab")
        stops.append(focused(page)[:2])
    assert [name for _, name in stops[:5]] == [
        "filter-text",
        "filter-outcome",
        "filter-concern",
        "open-all",
        "close-all",
    ]
    assert stops[5][0] == stops[6][0] == "SUMMARY"
    outline = page.run(
        "const style = getComputedStyle(document.activeElement); return [style.outlineStyle, style.outlineWidth]"
    )
    assert outline == ["solid", "3px"]


def test_the_keyboard_opens_a_test_and_walks_along_its_tree(page: Browser) -> None:
    page.run("document.querySelector('.test > summary').focus()")
    page.press("Enter")
    assert page.run("return document.querySelector('.test').open")
    stops: list[list[str]] = []
    while not stops or stops[-1][1] != "treeitem":
        page.press("Tab")
        stops.append(focused(page))
        assert len(stops) < 10
    assert stops[-1][2].startswith("key")
    where = "return document.activeElement.querySelector('.row').textContent"
    outline = page.run("return getComputedStyle(document.activeElement.querySelector('.row')).outlineStyle")
    assert outline == "solid"
    page.press("Right")
    assert "normal" in page.run(where)
    page.press("Down")
    assert "REUSED" in page.run(where)
    page.press("Down")
    assert "jax.random.key(0)" in page.run(where)
    page.press("Left")
    assert page.run("return document.activeElement.getAttribute('aria-expanded')") == "false"
    page.press("Down")  # there is nothing below but what was closed
    assert "jax.random.key(0)" in page.run(where)
    page.press(" ")
    assert page.run("return document.activeElement.getAttribute('aria-expanded')") == "true"
    page.press("End")
    assert "12 more nodes" in page.run(where)
    page.press("Left")
    assert "jax.random.key(0)" in page.run(where)
    page.press("Home")
    assert page.run(where).startswith("key key")
    assert page.run("return document.querySelectorAll('[role=tree] [tabindex=\"0\"]').length") == 1
    page.press("Tab")  # one stop for a whole tree
    assert focused(page)[1] != "treeitem"


def test_a_screen_reader_gets_a_tree(page: Browser) -> None:
    page.run("document.getElementById('open-all').click()")
    nodes: list[dict[str, Any]] = page.devtools("Accessibility.getFullAXTree")["nodes"]
    page.devtools("Accessibility.disable")
    found = {}
    for node in nodes:
        if node.get("role", {}).get("value") in ("tree", "treeitem"):
            told = {each["name"]: each["value"].get("value") for each in node["properties"]}
            found[node["name"]["value"]] = told
    assert "Key lineage of test_noise" in found
    (reused,) = [name for name in found if "REUSED" in name]
    assert found[reused]["level"] == 2
    (root,) = [name for name in found if name.startswith("key jax.random.key(0)")]
    assert found[root]["level"] == 1
    assert found[root]["expanded"] is True


def test_a_link_opens_its_test(page: Browser, file: Path) -> None:
    is_open = "return document.getElementById(arguments[0]).open"
    name = page.run("return document.querySelectorAll('.test')[2].id")
    page.open(file, f"#{name}")
    page.until(is_open, name)
    assert page.run("return document.activeElement.parentElement.id") == name
    other = page.run("return document.querySelectorAll('.test')[0].id")
    choose(page, "filter-text", "nothing like it")
    page.run("location.hash = arguments[0]", other)
    page.until(is_open, other)
    assert len(shown(page)) == len(TESTS)


def test_without_a_script_all_can_be_read(page: Browser, file: Path) -> None:
    page.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(file)
        assert page.run("return document.querySelector('.filters').checkVisibility()") is False
        page.run("document.querySelector('.test > summary').focus()")
        page.press("Enter")
        assert page.run("return document.querySelector('.test .tree .bad').checkVisibility()")
        assert (
            page.run("return getComputedStyle(document.querySelector('.test .tree ul')).display") == "block"
        )
    finally:
        page.devtools("Emulation.setScriptExecutionDisabled", value=False)


def test_print_shows_everything(page: Browser) -> None:
    page.devtools("Emulation.setEmulatedMedia", media="print", features=[])
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run("return [...document.querySelectorAll('.test')].every((test) => test.open)")
    assert page.run("return document.querySelector('.filters').checkVisibility()") is False
    assert page.run("return document.querySelector('.tree .bad').checkVisibility()")


def test_a_large_run_opens(window: Browser, tmp_path: Path) -> None:
    file = tmp_path / "large.html"
    file.write_text(render(RUN, many(2000)), encoding="utf-8")
    window.open(file)
    for _ in range(120):  # a busy machine takes its time
        if window.run("return document.readyState") == "complete" and len(shown(window)) == 2000:
            break
        time.sleep(0.5)
    assert len(shown(window)) == 2000
    choose(window, "filter-text", "test_1999")
    assert shown(window) == ["test_1999"]
