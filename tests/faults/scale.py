"""How much is run: a representative part in `make test`, everything in `make reliability`."""

from __future__ import annotations

import os
from typing import Any

import pytest

HEAVY = os.environ.get("INBOXD_RELIABILITY") == "1"
"""Set by tools/reliability.py."""

heavy = pytest.mark.skipif(not HEAVY, reason="only in: make reliability")


def scaled(quick: int, full: int) -> int:
    """A number of repetitions."""
    return full if HEAVY else quick


def some(cases: list[Any], quick: list[Any]) -> list[Any]:
    """All cases, or those that stand for them."""
    assert all(case in cases for case in quick)
    return cases if HEAVY else quick
