"""The sample mailbox keeps its promises: enough of it, of every kind, and no two alike."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations

import pytest

from daemon.demo.mails import INBOX, SampleMail, Samples, load_samples

_GERMAN = frozenset(("und", "der", "die", "das", "ist", "nicht", "für", "mit", "wir", "ich", "auf"))
_ENGLISH = frozenset(("and", "the", "is", "not", "for", "with", "we", "you", "on", "of", "to"))


@pytest.fixture(scope="module")
def samples() -> Samples:
    """The mailbox that comes with the program."""
    return load_samples()


def _words(mail: SampleMail) -> list[str]:
    body = mail.text if mail.text is not None else re.sub(r"<[^>]*>", " ", mail.html or "")
    return re.findall(r"\w+", f"{mail.subject} {body}".lower())


def _is_german(mail: SampleMail) -> bool:
    words = _words(mail)
    return sum(word in _GERMAN for word in words) > sum(word in _ENGLISH for word in words)


def test_there_are_enough_mails_in_enough_folders(samples: Samples) -> None:
    """At least 240 mails in 8 or more folders, and no folder with only a few."""
    counts = Counter(mail.folder for mail in samples.filed)
    assert len(samples.filed) >= 240
    assert len(counts) >= 8
    assert min(counts.values()) >= 20


def test_every_mail_has_an_id_of_its_own(samples: Samples) -> None:
    """Ids become Message-IDs, which must be unique."""
    ids = Counter(mail.id for mail in samples.all)
    assert [one for one, count in ids.items() if count > 1] == []


def test_no_two_mails_are_alike_but_for_a_name(samples: Samples) -> None:
    """Of any two mails less than half of the distinct words are common to both."""
    words = {mail.id: frozenset(_words(mail)) for mail in samples.all}
    alike = [
        (one, other)
        for one, other in combinations(words, 2)
        if len(words[one] & words[other]) >= 0.5 * len(words[one] | words[other])
    ]
    assert alike == []


def test_both_languages_are_spoken_a_lot(samples: Samples) -> None:
    """A quarter of the filed mails at least is German, and as much English."""
    german = sum(_is_german(mail) for mail in samples.filed)
    assert len(samples.filed) / 4 <= german <= len(samples.filed) * 3 / 4


def test_mails_come_as_plain_text_as_html_and_as_both(samples: Samples) -> None:
    """Many of each kind, as in real mailboxes; a mail without any body is a fault."""
    kinds = Counter((mail.text is not None, mail.html is not None) for mail in samples.filed)
    assert kinds[True, False] >= 100
    assert kinds[False, True] >= 20
    assert kinds[True, True] >= 5
    assert kinds[False, False] == 0


def test_umlauts_are_in_subjects_bodies_names_and_folders(samples: Samples) -> None:
    """What breaks first in mail programs has to be in the demo."""
    special = re.compile("[äöüßÄÖÜ]")
    assert any(special.search(folder) for folder in samples.folders)
    assert sum(bool(special.search(mail.subject)) for mail in samples.filed) >= 20
    assert sum(bool(special.search(mail.sender)) for mail in samples.filed) >= 10
    assert sum(bool(special.search(mail.text or "")) for mail in samples.filed) >= 80


def test_replies_come_after_the_mails_they_answer(samples: Samples) -> None:
    """Threads are there, every reply finds its parent, and no parent is younger."""
    by_id = {mail.id: mail for mail in samples.all}
    replies = [mail for mail in samples.all if mail.reply_to is not None]
    assert len(replies) >= 30
    for mail in replies:
        assert mail.reply_to in by_id
        assert by_id[mail.reply_to].days_ago >= mail.days_ago


def test_senders_vary_within_every_folder(samples: Samples) -> None:
    """A folder that one sender fills would be learned from the address alone."""
    for folder in samples.folders:
        senders = Counter(m.sender for m in samples.filed if m.folder == folder)
        assert len(senders) >= 8, folder


def test_deliveries_belong_into_known_folders_or_the_inbox(samples: Samples) -> None:
    """Each folder gets new mail, and some of the mail belongs nowhere."""
    expected = {mail.folder for mail in samples.deliveries}
    assert expected == {*samples.folders, INBOX}


def test_the_story_has_the_mails_that_it_tells_of(samples: Samples) -> None:
    """Two bills to move and one to see the effect, letters in reserve, two that stay."""
    assert len(samples.story["wallbox"]) >= 3
    assert len(samples.story["school"]) >= 2
    assert len(samples.story["keep"]) >= 2
    assert {m.folder for m in samples.story["keep"]} == {INBOX}
    assert {m.folder for m in samples.story["wallbox"]} <= set(samples.folders)
