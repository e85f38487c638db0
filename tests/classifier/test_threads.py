"""Finding the thread of a mail among known mail."""

from __future__ import annotations

from classifier.threads import ThreadLabels


def test_the_nearest_known_ancestor_decides() -> None:
    """References are walked from the nearest."""
    known = ThreadLabels()
    known.add("root", (), "a")
    known.add("answer", ("root",), "b")
    assert known.label_of(("answer", "root")) == "b"
    assert known.label_of(("missing", "root")) == "a"
    assert known.label_of(()) is None
    assert known.label_of(("unknown",)) is None


def test_an_ancestor_that_is_not_there_is_replaced_by_its_other_answers() -> None:
    """Two answers to the user's own mail, which lies in Sent, are one thread."""
    known = ThreadLabels()
    known.add("first answer", ("own mail",), "project")
    assert known.label_of(("own mail",)) == "project"


def test_the_ancestor_itself_counts_more_than_its_other_answers() -> None:
    """A thread that somebody filed apart does not pull its siblings along."""
    known = ThreadLabels()
    known.add("root", (), "a")
    known.add("aside", ("root",), "b")
    assert known.label_of(("root",)) == "a"


def test_of_several_answers_the_latest_counts() -> None:
    """The user changed his mind about the thread."""
    known = ThreadLabels()
    known.add("one", ("own mail",), "a")
    known.add("two", ("own mail",), "b")
    assert known.label_of(("own mail",)) == "b"


def test_mails_without_an_id_are_nobodys_ancestor() -> None:
    """An empty Message-ID must not link strangers."""
    known = ThreadLabels()
    known.add("", (), "a")
    assert known.label_of(("",)) is None
