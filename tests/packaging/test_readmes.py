"""README.md and README.de.md say the same: as far as a program can tell."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
ENGLISH, GERMAN = ((CHECKOUT / name).read_text("utf-8") for name in ("README.md", "README.de.md"))
_EACH_OTHER = {"README.md", "README.de.md"}


def blocks(page: str) -> list[str]:
    """Code blocks, letter for letter: what is typed is the same in both languages."""
    return re.findall(r"^```.*?^```$", page, re.MULTILINE | re.DOTALL)


def outline(page: str) -> list[str]:
    """Kinds of lines in their order: headings by level, items of lists, rows, paragraphs."""
    kinds = []
    for line in re.sub(r"^```.*?^```$", "code", page, flags=re.MULTILINE | re.DOTALL).splitlines():
        if line.strip():
            mark = re.match(r"#+ |- |\d+\. |\| |\|-", line)
            kinds.append(mark[0].strip() if mark is not None else "paragraph")
    return kinds


def commands(page: str) -> list[str]:
    """Everything in code spans."""
    return re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    )


def links(page: str) -> list[str]:
    """Where the links lead."""
    return [target for target in re.findall(r"\]\(([^)]+)\)", page) if target not in _EACH_OTHER]


def figures(page: str) -> list[str]:
    """Numbers."""
    return re.findall(r"\d+(?:[.,]\d+)*", page)


@pytest.mark.parametrize("part", [blocks, outline, commands, links, figures])
def test_both_pages_have_the_same(part: Callable[[str], list[str]]) -> None:
    """In the same order; a change of one page has to be made in the other too."""
    assert part(GERMAN) == part(ENGLISH)
    assert part(ENGLISH)


def test_each_page_leads_to_the_other() -> None:
    """In its first lines."""
    assert "(README.de.md)" in ENGLISH[:100]
    assert "(README.md)" in GERMAN[:100]


def test_every_page_that_is_named_exists() -> None:
    """Links within the repository."""
    assert [link for link in links(GERMAN) if not (CHECKOUT / link).exists()] == []
