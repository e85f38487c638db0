"""HTML mail to plain text, for reading by a model and not for showing.

The mail is an untrusted input, and an HTML5 parser is not linear in it. Two things were seen
with Lexbor, and both are shut out before it runs:

- a deep nesting costs the square of its depth (100,000 open `<div>`: 25 s), so the document is
  cut at `MAX_TAGS` tags;
- the rule "reconstruct the active formatting elements" (HTML standard, 13.2.4.3) clones every
  open `<b>`, `<font>`, `<a>`… into every later paragraph: 48 kB of text grew to 2 GB. Such tags
  carry no words, so they are renamed to `<span>`, for which the rule does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

MAX_CHARACTERS = 400_000
MAX_TAGS = 15_000

_FORMATTING = re.compile(
    r"<(/?)(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])",
    re.IGNORECASE | re.ASCII,
)
_ANY_TAG = re.compile(r"<[^<>]*>")
_BLANKS = re.compile(r"[ \t\r\n\f\v]+")

_DROPPED = frozenset({
    "applet", "area", "audio", "base", "canvas", "embed", "frame", "frameset", "head",
    "iframe", "link", "map", "math", "meta", "noembed", "noframes", "noscript", "object",
    "script", "select", "style", "svg", "template", "textarea", "title", "video",
})  # fmt: skip
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd",
    "details", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer",
    "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "legend", "li",
    "main", "menu", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody",
    "tfoot", "thead", "tr", "ul",
})  # fmt: skip
_CELLS = frozenset({"td", "th", "option", "button", "label"})

# Declarations, without blanks, by which senders hide preheaders and filler from the reader.
# font-size:0 is not one of them: layout tables carry it, and their cells set it back.
_HIDING = frozenset(
    {"display:none", "visibility:hidden", "mso-hide:all", "opacity:0", "opacity:0.0"}
)
_NO_HEIGHT = frozenset({"max-height:0", "max-height:0px"})

# What mail programs wrap earlier mail in: Gmail, Thunderbird, Yahoo, Proton, Zoho.
_QUOTE_CLASSES = frozenset(
    {
        "gmail_quote",
        "gmail_attr",
        "moz-cite-prefix",
        "yahoo_quoted",
        "protonmail_quote",
        "zmail_extra",
    }
)
# Outlook marks only where earlier mail begins; it goes on to the end of the document.
_HISTORY_STARTS = frozenset({"divRplyFwdMsg", "appendonsend", "mail-editor-reference-message"})


def html_to_text(html: str, *, keep_quotes: bool = False) -> str:
    """The visible text of `html`: a line per block, blanks between cells, links' text only.

    Scripts, styles, hidden elements and, unless `keep_quotes`, quoted earlier mail are left
    out. Reads at most `MAX_CHARACTERS` characters and `MAX_TAGS` tags. Never raises.
    """
    safe = _FORMATTING.sub(r"<\1span", _cut(html))
    try:
        root = LexborHTMLParser(safe).root
    except (SelectolaxError, UnicodeError):
        return unescape(_ANY_TAG.sub(" ", safe))
    if root is None:
        return ""
    return _joined("".join(_pieces(root, keep_quotes)))


def _cut(html: str) -> str:
    """`html` without what Lexbor stumbles over: NUL, lone surrogates, too much of it."""
    html = html[:MAX_CHARACTERS].replace("\x00", "")
    html = html.encode("utf-8", "replace").decode("utf-8")
    parts = html.split("<", MAX_TAGS)
    return "<".join(parts[:MAX_TAGS])


def _pieces(root: LexborNode, keep_quotes: bool) -> Iterator[str]:
    """Texts and separators in document order; iterative, so no nesting is too deep."""
    node: LexborNode | None = root
    while node is not None:
        child = None
        if node.is_text_node:
            yield _BLANKS.sub(" ", node.text_content or "")
        elif node.is_element_node and (node.mem_id == root.mem_id or not _is_hidden(node)):
            if not keep_quotes and _starts_history(node):
                return
            if keep_quotes or not _is_quote(node):
                yield _separator(node)
                child = node.first_child
        node, closing = (child, ()) if child is not None else _following(node, root)
        yield from closing


def _following(node: LexborNode, root: LexborNode) -> tuple[LexborNode | None, list[str]]:
    """The next node after the subtree of `node`, and the separators of what ends before it."""
    closing: list[str] = []
    current: LexborNode | None = node
    while current is not None and current.mem_id != root.mem_id:
        closing.append(_separator(current))
        sibling = current.next
        if sibling is not None:
            return sibling, closing
        current = current.parent
    return None, closing


def _separator(node: LexborNode) -> str:
    tag = node.tag
    if tag in _BLOCKS:
        return "\n"
    return " " if tag in _CELLS else ""


def _is_hidden(node: LexborNode) -> bool:
    if node.tag in _DROPPED:
        return True
    attributes = node.attributes
    if "hidden" in attributes:
        return True
    style = attributes.get("style")
    if not style:
        return False
    compact = "".join(style.lower().replace("!important", "").split())
    declarations = set(compact.split(";"))
    if declarations & _HIDING:
        return True
    return bool(declarations & _NO_HEIGHT) and "overflow:hidden" in declarations


def _is_quote(node: LexborNode) -> bool:
    if node.tag == "blockquote":
        return True
    classes = node.attributes.get("class")
    return bool(classes) and not _QUOTE_CLASSES.isdisjoint((classes or "").split())


def _starts_history(node: LexborNode) -> bool:
    return node.attributes.get("id") in _HISTORY_STARTS


def _joined(text: str) -> str:
    """`text` with single blanks and without empty lines."""
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)
