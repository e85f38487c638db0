"""The live list keeps its columns, whatever the subjects and the width."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from rich.console import Console

from daemon.demo.mails import INBOX, SampleMail
from daemon.demo.screen import Screen, fit, percent, share
from daemon.use_cases.history import HistoryEntry


def _entry(folder: str, action: str) -> HistoryEntry:
    return HistoryEntry(
        account="demo",
        message=1,
        decided_at=datetime(2026, 3, 1, tzinfo=UTC),
        action=action,
        folder=folder,
        probability=0.981,
        threshold=0.9,
        model="m",
        reason="",
        rule=None,
        ranked=(),
    )


def _line(subject: str, belongs: str, folder: str, action: str, width: int = 100) -> str:
    output = io.StringIO()
    screen = Screen(Console(file=output, width=width))
    mail = SampleMail("x-1", belongs, "a@b.example", subject, "text", None)
    screen.decision(mail, _entry(folder, action), 0.256)
    return output.getvalue().rstrip("\n")


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize(
    "subject", ["Kurz", "Ein sehr langer Betreff, der " * 5, "日本語の件名 " * 9]
)
def test_columns_stay_in_their_places(subject: str, width: int) -> None:
    """Wide characters count twice, long subjects end in an ellipsis, nothing wraps."""
    line = _line(subject, "Rechnungen", "Rechnungen", "moved", width)
    plain = _line("Kurz", "Rechnungen", "Rechnungen", "moved", width)
    assert "\n" not in line
    assert cell_len(line) <= width
    assert cell_len(line.split("→")[0]) == cell_len(plain.split("→")[0])
    assert line.endswith("98.1 %  ✓")


@pytest.mark.parametrize(
    ("belongs", "folder", "action", "shown"),
    [
        ("Rechnungen", "Rechnungen", "moved", "→ Rechnungen ✓"),
        ("Privat", "Rechnungen", "moved", "→ Rechnungen ✗ Privat"),
        (INBOX, "Rechnungen", "moved", "→ Rechnungen ✗ INBOX"),
        (INBOX, "Rechnungen", "left", "? Rechnungen ✓"),
        ("Rechnungen", "Rechnungen", "left", "? Rechnungen unsure"),
    ],
)
def test_a_line_says_what_happened_and_whether_that_was_right(
    belongs: str, folder: str, action: str, shown: str
) -> None:
    """Left in the inbox is wrong nowhere: at worst it is unsure."""
    words = _line("Betreff", belongs, folder, action).replace("98.1 %", "").split()
    assert " ".join(words[3:]) == shown


def test_text_is_fitted_by_columns() -> None:
    """Exactly as wide as asked for."""
    assert fit("abc", 5) == "abc  "
    assert fit("abcdefg", 5) == "abcd…"
    assert cell_len(fit("日本語日本語", 5)) == 5


def test_shares_and_percentages_read_well() -> None:
    """Nothing is divided by zero."""
    assert share(37, 38) == "37 of 38 (97.4 %)"
    assert share(0, 0) == "0 of 0"
    assert percent(None) == "–"
