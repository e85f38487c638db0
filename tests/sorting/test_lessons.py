"""What a person's move means: every row of the table in `daemon/sorting/lessons.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.sorting.lessons import kind_of
from daemon.store.tables import CorrectionKind, Role
from tests.sorting.world import World
from tests.support.fake_mailbox import FakeServer

LEAVE = None


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        (Role.INBOX, Role.LABEL, CorrectionKind.FILED),
        (Role.NEUTRAL, Role.LABEL, CorrectionKind.FILED),
        (Role.LABEL, Role.LABEL, CorrectionKind.RELABELLED),
        (Role.LABEL, Role.INBOX, CorrectionKind.PUT_BACK),
        (Role.INBOX, Role.NEUTRAL, CorrectionKind.SET_ASIDE),
        (Role.LABEL, Role.NEUTRAL, CorrectionKind.SET_ASIDE),
        (Role.NEUTRAL, Role.NEUTRAL, CorrectionKind.SET_ASIDE),
        (Role.NEUTRAL, Role.INBOX, CorrectionKind.RESTORED),
    ],
)
def test_every_pair_of_roles_has_its_kind(source: Role, target: Role, kind: CorrectionKind) -> None:
    """The table, row by row."""
    assert kind_of(source, target) is kind


def test_filing_from_the_inbox_teaches_the_label(any_world: World) -> None:
    """A person takes a mail out of the inbox into a label folder."""
    any_world.deliver("Hallo 1")
    any_world.notice()
    any_world.move("Hallo 1", "Reisen")
    found = any_world.notice()
    assert found.lessons == 1
    assert any_world.corrections() == [("filed", "INBOX", "Reisen")]
    assert any_world.examples() == [("Reisen", "moved")]


def test_filing_from_a_neutral_folder_teaches_the_label(any_world: World) -> None:
    """A mail taken out of the trash into a label folder is an example as well."""
    any_world.deliver("Hallo 1", folder="Trash")
    any_world.notice()
    any_world.move("Hallo 1", "Reisen")
    any_world.notice()
    assert any_world.corrections() == [("filed", "Trash", "Reisen")]
    assert any_world.examples() == [("Reisen", "moved")]


def test_a_move_between_labels_teaches_the_new_one(any_world: World) -> None:
    """The label that the mail had before is forgotten."""
    any_world.deliver("Hallo 1")
    any_world.notice()
    any_world.move("Hallo 1", "Reisen")
    any_world.notice()
    any_world.move("Hallo 1", "Rechnungen")
    any_world.notice()
    assert any_world.corrections()[1:] == [("relabelled", "Reisen", "Rechnungen")]
    assert any_world.examples() == [("Rechnungen", "moved")]


def test_what_was_put_back_teaches_leave_it_and_is_never_sorted_again(any_world: World) -> None:
    """A mail that inboxd moved and a person put back stays in the inbox for good."""
    any_world.deliver("Rechnungen 1")
    assert any_world.cycle().moved == 1
    any_world.move("Rechnungen 1", "INBOX")
    assert any_world.cycle().seen == 0
    assert any_world.corrections() == [("put_back", "Rechnungen", "INBOX")]
    assert any_world.examples() == [(LEAVE, "put-back")]
    any_world.renumber("INBOX")
    any_world.cycle()
    any_world.cycle()
    assert any_world.where("Rechnungen 1") == ["INBOX"]


def test_a_put_back_of_the_persons_own_filing_is_not_sorted_either(any_world: World) -> None:
    """Mail that a person had filed and takes back is theirs, though nothing was ever decided."""
    any_world.deliver("Hallo 1", folder="Rechnungen")
    any_world.notice()
    any_world.server.move("Rechnungen", [any_world.uid("Hallo 1", "Rechnungen")], "INBOX")
    assert any_world.cycle().seen == 0


def test_setting_aside_teaches_nothing(any_world: World) -> None:
    """To the trash or into the archive: no example, and what was taught stays."""
    any_world.deliver("Hallo 1", "Hallo 2")
    any_world.notice()
    any_world.move("Hallo 1", "Reisen")
    any_world.notice()
    any_world.move("Hallo 1", "Trash")
    any_world.move("Hallo 2", "Archive")
    found = any_world.notice()
    assert found.lessons == 0
    assert sorted(any_world.corrections()[1:]) == [
        ("set_aside", "INBOX", "Archive"),
        ("set_aside", "Reisen", "Trash"),
    ]
    assert any_world.examples() == [("Reisen", "moved")]


def test_what_was_restored_is_not_sorted(any_world: World) -> None:
    """A mail taken out of the trash into the inbox teaches nothing and stays there."""
    any_world.deliver("Rechnungen 1", folder="Trash")
    any_world.notice()
    any_world.move("Rechnungen 1", "INBOX")
    assert any_world.cycle().seen == 0
    assert any_world.corrections() == [("restored", "Trash", "INBOX")]
    assert any_world.examples() == []


def test_an_ambiguous_move_is_recorded_and_not_learned(
    tmp_path: Path,
) -> None:
    """Two byte-identical mails that go to two folders cannot be told apart."""
    world = World(tmp_path, FakeServer(server_ids=None))
    world.deliver("Hallo 1", "Hallo 1")
    world.notice()
    world.server.move("INBOX", [1], "Reisen")
    world.server.move("INBOX", [2], "Rechnungen")
    found = world.notice()
    assert found.lessons == 0
    assert sorted(kind for kind, _, _ in world.corrections()) == ["ambiguous", "ambiguous"]
    assert world.examples() == []
    world.store.close()


def test_an_overruled_move_is_counted_and_a_deletion_is_not(world: World) -> None:
    """Moving elsewhere what inboxd had sorted overrules it; throwing it away does not."""
    world.deliver("Rechnungen 1", "Rechnungen 2")
    world.cycle()
    world.move("Rechnungen 1", "Reisen")
    world.move("Rechnungen 2", "Trash")
    found = world.notice()
    assert [(n.to_folder, n.overrules) for n in found.noticed] == [
        ("Reisen", True),
        ("Trash", False),
    ]
    with world.store.read() as work:
        assert work.corrections.count_overruling(world.account(work)) == 1
