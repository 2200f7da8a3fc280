"""What every page keeps, read from its HTML: `faults` lists what a page does not keep."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

MOST_BYTES = 1_500_000
VOID = {"wbr", "meta", "br", "img", "link", "hr", "input"}
SIGN_PX, PAD_PX = 6.5, 12.0  # of text in drawings; of the figure around it
FETCHING = ("src", "href", "xlink:href", "action", "data", "poster", "srcset")


@dataclass
class Element:
    """An element of a page: its tag, attributes, parents and own text."""

    tag: str
    attributes: dict[str, str]
    within: tuple[str, ...]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        """Return the elements of a tag inside."""
        below = [descendant for child in self.children for descendant in child.all(tag)]
        return [child for child in self.children if child.tag == tag] + below

    def whole_text(self) -> str:
        return self.text + "".join(child.whole_text() for child in self.children)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("page", {}, ())
        self.open = [self.root]
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        element = Element(tag, attributes, tuple(parent.tag for parent in self.open))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.open[-1].tag != tag:
            self.faults.append(f"</{tag}> closes <{self.open[-1].tag}>")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].text += data


def read_page(page: str) -> tuple[Element, list[str]]:
    """Return the page's elements and the faults of their nesting."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.root, reader.faults + [f"<{e.tag}> stays open" for e in reader.open[1:]]


def faults(page: str) -> list[str]:
    """Return what a page does not keep; nothing for a good one."""
    root, complaints = read_page(page)
    if len(page.encode()) > MOST_BYTES:
        complaints.append(f"{len(page.encode())} bytes")
    complaints += _network(root, page) + _ids(root) + _figures(root)
    for drawing in root.all("svg"):
        if drawing.attributes.get("role") != "img" or not drawing.attributes.get("aria-label"):
            complaints.append("a drawing without a label")
        complaints += [f"cut off: {text}" for text in cut_off(drawing)]
    for table in root.all("table"):
        if not table.attributes.get("aria-label"):
            complaints.append("a table without a title")
        if any(h.whole_text() and not h.all("button") for h in table.all("th")):
            complaints.append("a head that a keyboard cannot sort by")
    complaints += [f"the foot does not say {name}" for name in ("made by", "date") if name not in
             {term.whole_text() for term in root.all("dt")}]  # fmt: skip
    return complaints


def _network(root: Element, page: str) -> list[str]:
    complaints = [
        tag for tag in ("link", "iframe", "img", "object", "embed", "base") if root.all(tag)
    ]
    for tag in ("a", "image", "script", "use", "form"):
        for element in root.all(tag):
            for name in FETCHING:
                target = element.attributes.get(name, "#")
                if "//" in target.split("base64")[0] or (tag == "script" and target != "#"):
                    complaints.append(f"<{tag} {name}={target[:40]}>")
    styles = page[page.index("<style>") : page.index("</style>")]
    script = page[page.index("<script>") :]
    complaints += [word for word in ("url(", "@import", "@font-face") if word in styles]
    complaints += [
        word for word in ("fetch(", "XMLHttp", "import(", "http", "Beacon") if word in script
    ]
    return complaints


def _ids(root: Element) -> list[str]:
    ids = Counter(
        element.attributes["id"] for element in _every(root) if "id" in element.attributes
    )
    complaints = [f"id {name} is there {n} times" for name, n in ids.items() if n > 1]
    for section in root.all("section"):
        if section.attributes.get("aria-labelledby") not in ids:
            complaints.append("a section without the id of its heading")
    for link in root.all("a"):
        target = link.attributes.get("href", "")
        if target.startswith("#") and target[1:] not in ids:
            complaints.append(f"a link to {target}, which is not there")
    return complaints


def _every(element: Element) -> list[Element]:
    return [element, *(descendant for child in element.children for descendant in _every(child))]


def _figures(root: Element) -> list[str]:
    complaints = []
    for figure in root.all("figure"):
        titles = [heading.whole_text() for heading in figure.all("h3")]
        if len(titles) != 1 or not titles[0].strip():
            complaints.append("a figure without a title")
        captions = [caption.whole_text() for caption in figure.all("figcaption")]
        if figure.all("svg") and not (captions and captions[0].rstrip().endswith(".")):
            complaints.append(f"figure {titles} has no caption")
    return complaints


def cut_off(drawing: Element) -> list[str]:
    """Return the texts that begin before a drawing or end after it, by the mean width of a sign."""
    width = float(drawing.attributes["width"])
    cut = []
    for text in drawing.all("text"):
        own = text.attributes
        x, long = float(own["x"]), SIGN_PX * len(text.text)
        share = {"middle": 0.5, "end": 1.0}.get(own.get("text-anchor", ""), 0.0)
        if x - share * long < -PAD_PX or x + (1 - share) * long > width + PAD_PX:
            cut.append(text.text)
    return cut
