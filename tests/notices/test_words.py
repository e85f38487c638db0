"""What notices say, in both languages and to both readers."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from daemon.config.settings import Language
from daemon.notices.words import TEXTS, FolderWeek, Said, Trouble, Week, Words

NOW = datetime(2026, 3, 30, 8, tzinfo=UTC)
WEEK = Week(
    "privat",
    NOW - timedelta(days=7),
    NOW,
    moved=30,
    suggested=5,
    left=7,
    unreadable=1,
    overruled=2,
    manual=3,
    held=4,
    moves=150,
    wrong=4,
    promised=0.97,
    states={"sorting": 3, "suggesting": 2, "learning": 1, "suspended": 0},
    folders=(FolderWeek("Kündigungen", 12, 1, 0.917, 0.97), FolderWeek("Neu", 0, 1, None, 0.97)),
    model="20260301T000000Z",
    troubles=(Trouble("MailboxUnreachable", NOW),),
)

EVERY: dict[str, Callable[[Words], Said]] = {
    "week": lambda words: words.week(WEEK),
    "quiet": lambda words: words.week(Week("privat", WEEK.since, NOW)),
    "sign_in": lambda words: words.sign_in("privat", NOW, by_password=True),
    "login": lambda words: words.sign_in("privat", NOW, by_password=False),
    "overdue": lambda words: words.overdue("privat", None, 7),
    "precision": lambda words: words.precision(
        "privat", "Kündigungen", moves=40, wrong=9, promised=0.97
    ),
    "trusted": lambda words: words.precision_over("privat", "Kündigungen"),
    "signed_in": lambda words: words.over("sign_in", "privat"),
    "works": lambda words: words.over("overdue", "privat"),
    "test": lambda words: words.test("privat"),
}


def fields(text: str) -> Iterator[str]:
    """What is put into a text."""
    return (name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def test_both_languages_say_the_same() -> None:
    """The same texts, with the same figures in each."""
    english, german = TEXTS[Language.EN], TEXTS[Language.DE]
    assert english.keys() == german.keys()
    for key in english:
        assert sorted(fields(english[key])) == sorted(fields(german[key])), key


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", EVERY)
def test_folders_are_named_to_nobody_who_must_not_know(kind: str, language: Language) -> None:
    """A service on the net reads counts and the account's name; the owner reads more."""
    said = EVERY[kind](Words(language, named=False))
    assert "Kündigungen" not in said.title + said.text
    assert "privat" in said.title
    assert said.language == language.value
    assert "\n" not in said.title


@pytest.mark.parametrize("kind", ["week", "precision", "trusted"])
def test_the_owner_reads_which_folder_it_is(kind: str) -> None:
    """In her own mailbox."""
    assert "Kündigungen" in EVERY[kind](Words(Language.DE, named=True)).text


def test_a_week_is_told_in_figures() -> None:
    """Every one of them, once."""
    text = Words(Language.EN, named=True).week(WEEK).text
    for line in (
        "Mails that came: 43",
        "  sorted: 30",
        "  left in the inbox: 12 (with a suggestion: 5)",
        "  not readable, left in the inbox: 1",
        "Moves of inboxd that you corrected: 2",
        "Mails that you filed yourself: 3",
        "Moves that wait for your word (inboxd held list): 4",
        "Right in 97.3 % of the last 150 moves; promised: 97.0 %",
        "Folders that sort: 3, get suggestions: 2, still learn: 1, are suspended: 0",
        "  Kündigungen: sorted 12, corrected 1, right in 91.7 % (promised: 97.0 %)",
        "  Neu: sorted 0, corrected 1, right in – (promised: 97.0 %)",
        "Model: 20260301T000000Z",
    ):
        assert line in text.splitlines()
    assert "Trouble: MailboxUnreachable" in text


def test_a_quiet_week_takes_one_line() -> None:
    """A sign of life, and nothing to read."""
    assert "\n" not in EVERY["quiet"](Words(Language.DE, named=True)).text


def test_a_folder_cannot_add_a_line() -> None:
    """Whatever its name is."""
    said = Words(Language.EN, named=True).precision_over("a", "x\r\nBcc: y")
    assert said.title.splitlines() == [said.title]
