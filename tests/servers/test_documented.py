"""docs/servers.md says what the tests see."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from tests.support.corrections import FEWER, RECOGNISED
from tests.support.mail_servers import RunningServers, server_parameters

PAGE = Path(__file__).parents[2] / "docs" / "servers.md"


def _rows(first_heading: str) -> dict[str, list[str]]:
    """The table whose first heading this is: first cell to the others."""
    table = re.search(
        rf"^\| {re.escape(first_heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)",
        PAGE.read_text(),
        re.MULTILINE,
    )
    assert table is not None, f"no table that begins with {first_heading}"
    cells = (line.strip("|").split("|") for line in table[1].splitlines())
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in cells}


@pytest.mark.parametrize(
    "name",
    server_parameters(
        ["dovecot", "pymap", "gmail", "cyrus", "courier"], usual=("dovecot", "pymap", "gmail")
    ),
)
def test_the_page_lists_what_a_server_announces(name: str, servers: RunningServers) -> None:
    """MOVE, UIDPLUS, IDLE, CONDSTORE and the kind of message id."""
    with contextlib.closing(servers.account(name).connect()) as mailbox:
        can = mailbox.capabilities
    titles = {
        "dovecot": "Dovecot",
        "cyrus": "Cyrus",
        "courier": "Courier",
        "gmail": "Gmail (scripted)",
    }
    title = titles.get(name, name)
    announced = (can.move, can.uidplus, can.idle, can.condstore)
    expected = ["yes" if capability else "no" for capability in announced]
    assert _rows("server")[title] == [*expected, can.server_id or "none"]


def test_the_page_shows_the_figures_that_are_tested() -> None:
    """The table of recognised moves is the one that the tests expect."""
    shown = {action: int(cells[0]) for action, cells in _rows("mail program").items()}
    assert shown == RECOGNISED
    assert not FEWER, "the page says that the figures are the same on all servers"
