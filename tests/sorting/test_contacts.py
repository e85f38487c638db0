"""Whom she writes to, from her sent mail."""

from __future__ import annotations

import sqlite3

import pytest

from daemon.errors import MailboxUnreachable
from daemon.sorting import contacts as contacts_module
from daemon.sorting.contacts import contacts_of, refresh_contacts
from daemon.store import DATABASE_NAME
from tests.sorting.world import ACCOUNT, Killed, World

ME = "Max <max@example.org>"


def sent(world: World, to: str, *, cc: str = "", bcc: str = "", author: str = ME) -> None:
    """She has sent a mail, and her client has stored it."""
    number = len(world.server.uids("Sent"))
    lines = [
        f"From: {author}",
        f"To: {to}",
        f"Cc: {cc}",
        f"Bcc: {bcc}",
        f"Message-ID: <{number}@x>",
    ]
    content = "".join(f"{line}\r\n" for line in lines if not line.endswith(": "))
    world.server.append("Sent", f"{content}\r\nHallo\r\n".encode())


def read(world: World) -> int:
    """One look at the sent mail."""
    return refresh_contacts(world.store, world.server.connect(), ACCOUNT, world.now)


def knows(world: World, address: str) -> bool:
    """Whether she writes to this address."""
    return contacts_of(world.store, ACCOUNT)(address)


def test_everybody_to_whom_she_writes_is_a_contact(world: World) -> None:
    """To, Cc and Bcc, whatever the capitals; not she herself, nor anybody else."""
    sent(world, "Erika <Erika@Example.org>", cc="a@x.example, b@x.example", bcc="c@x.example")
    sent(world, "max@example.org")
    assert read(world) == 2
    for address in ("erika@example.org", "a@x.example", "b@X.example", "c@x.example"):
        assert knows(world, address)
    assert not knows(world, "max@example.org")
    assert not knows(world, "d@x.example")


def test_only_what_is_new_is_read(world: World) -> None:
    """And what was known stays known when the sent mail is deleted."""
    sent(world, "erika@example.org")
    assert (read(world), read(world)) == (1, 0)
    world.server.delete("Sent", world.server.uids("Sent"))
    sent(world, "anna@example.org")
    assert read(world) == 1
    assert knows(world, "erika@example.org")
    assert knows(world, "anna@example.org")


def test_a_renumbered_folder_is_read_anew(world: World) -> None:
    """Its numbers mean nothing any more."""
    sent(world, "erika@example.org")
    read(world)
    world.renumber("Sent")
    assert read(world) == 1
    assert knows(world, "erika@example.org")


def test_a_broken_connection_costs_one_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before is kept, and the next look goes on there."""
    monkeypatch.setattr(contacts_module, "BATCH", 2)
    for number in range(4):
        sent(world, f"p{number}@example.org")
    mailbox = world.dying("fetch", "before", 2)
    with pytest.raises(Killed):
        refresh_contacts(world.store, mailbox, ACCOUNT, world.now)
    assert [knows(world, f"p{number}@example.org") for number in range(4)] == [
        True, True, False, False,
    ]  # fmt: skip
    world.server.fail("fetch", when="before")
    with pytest.raises(MailboxUnreachable):
        read(world)
    assert read(world) == 2
    assert knows(world, "p3@example.org")


def test_a_server_without_a_folder_for_sent_mail_knows_nobody(world: World) -> None:
    """And that is no error."""
    world.server.remove("Sent")
    assert read(world) == 0
    assert not knows(world, "erika@example.org")


def test_no_address_is_in_the_database(world: World) -> None:
    """Two accounts' hashes of one address would differ too: the key is random."""
    sent(world, "wiedehopf@gimpel.example")
    read(world)
    world.store.close()
    with sqlite3.connect(world.directory / DATABASE_NAME) as raw:
        dump = "\n".join(raw.iterdump())
    assert "wiedehopf" not in dump
    assert "gimpel" not in dump


def test_contacts_can_be_forgotten(world: World) -> None:
    """Then the sent mail would be read from the start."""
    sent(world, "erika@example.org")
    read(world)
    with world.store.write() as work:
        work.contacts.forget(world.account(work))
        work.commit()
    assert not knows(world, "erika@example.org")
    assert read(world) == 1
