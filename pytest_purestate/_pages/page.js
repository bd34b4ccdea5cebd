"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const tests = [...document.querySelectorAll(".test")];
  const names = new Map(tests.map((test) => [
    test, (test.closest(".file").querySelector("h3 bdi").textContent + "::" + test.querySelector("h4").textContent).toLowerCase(),
  ]));

  // --- filters
  const text = $("filter-text"), outcome = $("filter-outcome"), concern = $("filter-concern"), form = text.form;
  form.hidden = false;
  const fits = (test, words) =>
    words.every((word) => names.get(test).includes(word)) &&
    (!outcome.value || test.dataset.outcome === outcome.value) &&
    (!concern.value || (concern.value === "*" ? test.dataset.concerns !== "" : test.dataset.concerns.split(" ").includes(concern.value)));
  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const test of tests) {
      test.hidden = !fits(test, words);
      shown += !test.hidden;
    }
    for (const file of document.querySelectorAll(".file")) file.hidden = !file.querySelector(".test:not([hidden])");
    const all = tests.length, word = all === 1 ? "test" : "tests";
    $("shown").textContent = shown === all ? `${all} ${word}` : `${shown} of ${all} ${word}`;
  };
  for (const control of [text, outcome, concern]) control.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  const open = (state) => { for (const test of tests) if (!test.hidden) test.open = state; };
  $("open-all").addEventListener("click", () => open(true));
  $("close-all").addEventListener("click", () => open(false));
  filter(); // a browser that goes back keeps what was typed

  // --- links to one test
  const reveal = () => {
    const test = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!test || !test.classList.contains("test")) return;
    if (test.hidden) {
      text.value = outcome.value = concern.value = "";
      filter();
    }
    test.open = true;
    test.querySelector("summary").focus({ preventScroll: true });
    test.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  addEventListener("load", () => setTimeout(reveal)); // behind the browser's own way to the place, which takes the focus away
  addEventListener("beforeprint", () => open(true));

  // --- trees: one stop of the Tab key each, and arrows inside
  const own = (tree) => [...tree.querySelectorAll('[role="treeitem"]')].filter((item) => !item.parentElement.closest('[aria-expanded="false"]'));
  const go = (tree, item) => {
    if (!item) return;
    for (const other of tree.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
    item.tabIndex = 0;
    item.focus();
  };
  const inner = (item) => item.querySelector(':scope > ul > [role="treeitem"]');
  const outer = (item) => item.parentElement.closest('[role="treeitem"]');
  const toggle = (item, state) => item.hasAttribute("aria-expanded") && item.setAttribute("aria-expanded", String(state));
  for (const tree of document.querySelectorAll('[role="tree"]')) {
    tree.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const item = event.target.closest('[role="treeitem"]'), items = own(tree), at = items.indexOf(item);
      const expanded = item.getAttribute("aria-expanded");
      const act = {
        ArrowDown: () => go(tree, items[at + 1]),
        ArrowUp: () => go(tree, items[at - 1]),
        Home: () => go(tree, items[0]),
        End: () => go(tree, items.at(-1)),
        ArrowRight: () => (expanded === "false" ? toggle(item, true) : go(tree, inner(item))),
        ArrowLeft: () => (expanded === "true" ? toggle(item, false) : go(tree, outer(item))),
        Enter: () => toggle(item, expanded === "false"),
        " ": () => toggle(item, expanded === "false"),
      }[event.key];
      if (act) {
        event.preventDefault();
        act();
      }
    });
    tree.addEventListener("click", (event) => {
      const item = event.target.closest('[role="treeitem"]');
      if (item) go(tree, item);
    });
  }
})();
