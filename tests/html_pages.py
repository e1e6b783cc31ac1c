"""A page as the standard library's parser reads it: elements, what they hold, and whether they are closed."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "input", "br", "hr", "img", "link", "base"}
_OPTIONAL = {"td", "th", "tr"}  # which end where the next one begins


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    texts: list[str] = field(default_factory=list)  # of all that it holds

    @property
    def text(self) -> str:
        return "".join(self.texts)


class Page(HTMLParser):
    """All elements of a page in their order."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.faults: list[str] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        self.faults += [f"{one.tag} is never closed" for one in self._open]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in _OPTIONAL:
            ends = {"tr"} | {"td", "th"} if tag == "tr" else {"td", "th"}
            while self._open and self._open[-1].tag in ends:
                self._open.pop()
        element = Element(tag, dict(attributes))
        if len(element.attributes) < len(attributes):
            self.faults.append(f"{tag} has an attribute twice")
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        while tag not in _OPTIONAL and self._open and self._open[-1].tag in _OPTIONAL:
            self._open.pop()
        if not self._open or self._open[-1].tag != tag:
            self.faults.append(f"{self.getpos()}: </{tag}> closes {self._open[-1].tag if self._open else 'nothing'}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.texts.append(data)

    def all(self, tag: str, kind: str | None = None) -> list[Element]:
        """Elements of a tag; with `kind` those of a CSS class."""
        return [
            one
            for one in self.elements
            if one.tag == tag and (kind is None or kind in (one.attributes.get("class") or "").split())
        ]
