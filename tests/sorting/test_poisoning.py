"""A sender teaches nothing, whatever he writes: only moves by people do."""

from __future__ import annotations

import pytest

from tests.sorting.world import World, mail

FILED = mail("Rechnung 7", message_id="<rechnung-7@firma.example>")


@pytest.fixture
def filed(any_world: World) -> World:
    """A user who has filed one mail; on servers with kept ids, ids of the content, and none."""
    any_world.server.append("INBOX", FILED)
    any_world.notice()
    any_world.move("Rechnung 7", "Rechnungen")
    any_world.notice()
    assert any_world.examples() == [("Rechnungen", "moved")]
    return any_world


FORGED = {
    "the Message-ID of a filed mail": mail("Anderes", message_id="<rechnung-7@firma.example>"),
    "an answer to it": mail("Re: Rechnung 7", in_reply_to="<rechnung-7@firma.example>"),
    "a copy of it": FILED,
    "headers of our own": b"X-Inboxd-Folder: Rechnungen\r\nX-Inboxd-Example: yes\r\n"
    + mail("Anderes"),
    "a mailing list of the user's": b"List-Id: <rechnungen.firma.example>\r\n" + mail("Liste"),
    "the user as the sender": mail("Anderes").replace(b"erika@example.org", b"max@example.org"),
    "flags as text": b"X-Keywords: $Learn\r\nStatus: RO\r\n" + mail("Anderes"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_nothing_that_a_sender_writes_is_a_lesson(filed: World, kind: str) -> None:
    """Ten of them: no example, no correction, and the filed mail stays filed."""
    before = filed.corrections()
    for _ in range(10):
        filed.server.append("INBOX", FORGED[kind])
        found = filed.notice()
        assert (found.lessons, found.noticed) == (0, [])
    filed.cycle()
    assert filed.examples() == [("Rechnungen", "moved")]
    assert filed.corrections() == before
    assert "Rechnungen" in filed.where("Rechnung 7")


def test_a_copy_sent_while_the_user_deletes_the_original_is_no_put_back(filed: World) -> None:
    """Sent again in the quarter of an hour after the original went, it looks like a mail that
    was moved to the inbox; but it was delivered later than the one that went."""
    if filed.server.server_ids == "content":
        pytest.skip("ids of the content differ with each Received header: no sender hits them")
    filed.server.delete("Rechnungen", [filed.uid("Rechnung 7", "Rechnungen")])
    filed.notice()
    filed.tick(minutes=2)
    filed.server.append("INBOX", FILED)
    found = filed.notice()
    assert found.lessons == 0
    assert ("Rechnungen", "moved") in filed.examples()


def test_own_moves_teach_nothing_however_many_a_sender_provokes(world: World) -> None:
    """A hundred mails that inboxd files by itself are no example for the next."""
    world.deliver(*(f"Rechnungen {number}" for number in range(100)))
    assert world.cycle().moved == 100
    world.notice()
    assert world.examples() == []
    with world.store.read() as work:
        folder = next(f for f in work.folders.of(world.account(work)) if f.name == "Rechnungen")
        assert work.placements.newest_unlabelled(folder, 1000) == []
