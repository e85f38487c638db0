"""SECURITY.md names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "SECURITY.md").read_text("utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


def test_every_test_that_the_page_names_exists() -> None:
    """A measure whose test was renamed or removed is a promise without proof."""
    assert len(NAMED) > 25
    missing = [f"{path}::{name}" for path, name in NAMED if not exists(path, name)]
    assert missing == []


def test_every_threat_has_a_measure_and_a_test() -> None:
    """No row of the tables without one."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "threat |" not in line]
    assert len(rows) > 15
    assert [row for row in rows if "`tests/" not in row] == []


def exists(path: str, name: str) -> bool:
    """Whether the file is there and has the test."""
    file = CHECKOUT / path
    if not file.is_file():
        return False
    names = {n.name for n in ast.walk(ast.parse(file.read_text("utf-8"))) if hasattr(n, "name")}
    return not name or name in names
