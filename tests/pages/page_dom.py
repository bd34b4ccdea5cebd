"""A page as a tree of elements: strict about what browsers forgive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset(("meta", "link", "input", "br", "hr", "img"))


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def all(self, name: str = "", /, **attributes: str) -> list[Element]:
        """The elements below with this name and these attributes; ``class_`` is one of the classes."""
        return [
            each
            for each in self.walk()
            if (not name or each.name == name)
            and all(
                value in each.attributes.get("class", "").split()
                if wanted == "class_"
                else each.attributes.get(wanted.replace("_", "-")) == value
                for wanted, value in attributes.items()
            )
        ]

    def one(self, name: str = "", /, **attributes: str) -> Element:
        (found,) = self.all(name, **attributes)
        return found

    @property
    def text(self) -> str:
        """Its text, with single spaces."""
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return " ".join(" ".join(parts).split())


class _Strict(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert tag not in VOID, f"</{tag}>"
        assert self.open[-1].name == tag, f"</{tag}> ends <{self.open[-1].name}>, line {self.getpos()[0]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.open[-1].children.append(data)


def parse(page: str) -> Element:
    """The page; fails where a tag is not closed, or closed twice."""
    parser = _Strict()
    parser.feed(page)
    parser.close()
    assert [element.name for element in parser.open] == [""], "not closed"
    return parser.root


def follow(start: Element, pick: Callable[[Element], bool]) -> list[Element]:
    return [each for each in start.walk() if pick(each)]
