"""Gmail from the first mail to the undo, with the settings under which `\\Deleted` deletes for
good, filters that label, and a connection that is cut while labels are being changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.mails import FOLDERS, archive
from tests.e2e.story import NEXT_RENTAL, RENTALS, SORTED, STRANGERS
from tests.e2e.world import World, world_on
from tests.support.conservation import Books
from tests.support.encoder_cache import real_encoder_cache
from tests.support.gmail_server import ALL_MAIL, STARRED, GmailAccount, GmailServer
from tests.support.mail_servers import KINDS, ServerAccount

USER = "anja"
FILTERED = SORTED["Rechnungen"][1]
"""A bill to which a filter of hers gives the label Familie, and which it leaves in the inbox."""

LABELLED, ARCHIVED = STRANGERS
"""What stays in the inbox until she labels the one and archives the other."""

NEW = [mail for mails in SORTED.values() for mail in mails if mail != FILTERED]


@dataclass
class Told:
    """What happened, in order; `reports` are those of the passes."""

    world: World
    mail: GmailAccount
    books: Books
    commands: list[str]
    cut: int
    places: list[dict[str, set[str]]]
    reports: list[Any]
    undone: Any


class _Telling:
    """Collects where all mail lies after each pass."""

    def __init__(self, world: World, mail: GmailAccount) -> None:
        self.world, self.mail = world, mail
        self.places: list[dict[str, set[str]]] = []
        self.reports: list[Any] = []

    def run(self) -> None:
        """One pass."""
        [report] = self.world.home.json("run", "--once")
        self.reports.append(report)
        self.look()

    def look(self) -> None:
        """Where everything shows now, the views included; content as text."""
        messages = {id(m): m for m in self.mail.folders[ALL_MAIL].messages.values()}
        self.places.append({m.content.decode(): set(m.places) for m in messages.values()})


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The story, told once; tests only read it."""
    with GmailServer({USER: "secret"}, auto_expunge=True, after_expunge="delete") as server:
        account = ServerAccount(KINDS["gmail"], server, USER)
        world = world_on(account, tmp_path_factory.mktemp("gmail"), real_encoder_cache())
        yield _tell(world, server)
        world.close()


def _tell(world: World, server: GmailServer) -> Told:
    mail = server.accounts[USER]
    world.file_archive()
    world.home.json("learn")
    telling = _Telling(world, mail)
    books = Books(world)
    books.open()

    books.deliver([*NEW, FILTERED, *STRANGERS, *RENTALS])
    mail.add_label(mail.find(FILTERED), "Familie")
    books.copied(FILTERED)
    mail.put(mail.find(NEW[0]), STARRED)
    books.flagged(NEW[0], "\\Flagged")
    server.cut("UID MOVE", "halfway")
    world.home.run("run", "--once")
    telling.look()
    cut = server.pending_faults()
    telling.run()

    for rental in RENTALS:
        mail.add_label(mail.find(rental), "Travel")
        mail.take_out(mail.find(rental), "Rechnungen")
        books.placed(rental, "Travel")
    mail.add_label(mail.find(LABELLED), "Travel")
    books.copied(LABELLED)
    mail.archive(mail.find(ARCHIVED))
    books.deleted(ARCHIVED)
    books.deliver([NEXT_RENTAL])
    telling.run()

    undone = world.home.json("undo", "--last", "1")
    telling.look()
    telling.run()
    return Told(
        world, mail, books, list(server.commands), cut, telling.places, telling.reports, undone
    )


def _where(places: dict[str, set[str]], content: bytes) -> set[str]:
    return places[content.decode()] - {ALL_MAIL, STARRED}


def test_a_move_cut_half_way_leaves_the_mail_in_both_places(told: Told) -> None:
    """The premise: Gmail had added a label and not yet taken off the inbox's."""
    assert told.cut == 0
    both = [where for where in told.places[0].values() if len(where & {"INBOX", *FOLDERS}) == 2]
    assert len(both) > 1


def test_the_next_pass_finishes_it_and_sorts_the_rest(told: Told) -> None:
    """Each mail shows under one label, and not in the inbox any more."""
    for folder, mails in SORTED.items():
        for mail in mails:
            if mail != FILTERED:
                assert _where(told.places[1], mail) == {folder}


def test_no_mail_is_ever_flagged_deleted(told: Told) -> None:
    """With this account's settings that would be the end of it."""
    changes = [c for c in told.commands if c.startswith("UID STORE")]
    assert changes
    assert [change for change in changes if "-X-GM-LABELS" not in change] == []
    assert not [command for command in told.commands if "EXPUNGE" in command]


def test_all_mail_holds_every_mail_all_the_time(told: Told) -> None:
    """Nothing was deleted or doubled at any time."""
    everything = {m.decode() for m in (*NEW, FILTERED, *STRANGERS, *RENTALS)}
    everything |= {content.decode() for _, _, content in archive()}
    assert [set(places) for places in told.places[:2]] == [everything] * 2
    everything.add(NEXT_RENTAL.decode())
    assert [set(places) for places in told.places[2:]] == [everything] * 3
    assert len(told.mail.folders[ALL_MAIL].messages) == len(everything)


def test_mail_that_a_filter_labelled_stays_where_it_is(told: Told) -> None:
    """In the inbox and under the filter's label, in every pass."""
    assert [_where(places, FILTERED) for places in told.places] == [{"INBOX", "Familie"}] * 5


def test_another_label_in_the_web_is_a_correction(told: Told) -> None:
    """And the next mail of that kind goes there; nothing else was learnt."""
    noticed = told.reports[1]["observation"]["noticed"]
    assert [(n["kind"], n["to_folder"]) for n in noticed] == [("relabelled", "Travel")] * 2
    assert _where(told.places[2], NEXT_RENTAL) == {"Travel"}


def test_archiving_and_labelling_in_the_inbox_teach_nothing(told: Told) -> None:
    """What she archived is in All Mail alone, what she labelled in the inbox too, and stays."""
    assert _where(told.places[4], ARCHIVED) == set()
    assert _where(told.places[4], LABELLED) == {"INBOX", "Travel"}


def test_undo_gives_the_mail_its_place_in_the_inbox_back(told: Told) -> None:
    """The label of the folder goes, the inbox's comes, and there it stays."""
    [outcome] = told.undone
    assert (outcome["undone"], outcome["folder"]) == (True, "Travel")
    for places in told.places[3:]:
        assert _where(places, NEXT_RENTAL) == {"INBOX"}


def test_a_star_goes_along(told: Told) -> None:
    """Flags are the mail's, whatever its labels."""
    assert STARRED in told.places[4][NEW[0].decode()]


def test_the_books_balance(told: Told) -> None:
    """Every folder holds what it should, by a full inventory of an independent client."""
    told.books.close()
