"""Noticing what people did, on a server in memory."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import CommandRefused, FolderMissing, MailboxUnreachable
from daemon.sorting import storing
from daemon.sorting.explaining import LINK_WINDOW
from daemon.sorting.folders import FolderPatterns
from daemon.sorting.observe import observe
from daemon.store.tables import ArrivedBy, Role
from tests.sorting.world import ACCOUNT, START, Killed, World, mail
from tests.support.fake_mailbox import FakeServer


def test_the_first_pass_takes_the_inventory_and_learns_nothing(tmp_path: Path) -> None:
    """What lies there already is known, and no conclusion is drawn."""
    world = World(tmp_path)
    world.deliver("Hallo 1", folder="Reisen")
    world.deliver("Hallo 1")
    found = world.notice()
    assert (found.noticed, found.delivered) == ([], 0)
    assert [p.arrived_by for p in world.placements("Reisen")] == [ArrivedBy.BASELINE]
    world.believes()


def test_an_interrupted_inventory_is_finished_by_the_next_pass(tmp_path: Path) -> None:
    """What was stored before the process died is not read again, and nothing is doubled."""
    world = World(tmp_path)
    for name in ("Bewerbungen", "Rechnungen", "Reisen"):
        world.deliver("Hallo 1", "Hallo 2", folder=name)
    with pytest.raises(Killed):
        observe(
            world.store, world.dying("identify", "after", 2), ACCOUNT, world.patterns, world.now
        )
    world.server.calls.clear()
    assert world.notice().noticed == []
    assert world.server.calls.count("identify") == 2
    world.believes()


def test_old_mail_of_a_neutral_folder_is_not_read(tmp_path: Path) -> None:
    """An archive may hold a lifetime of mail; only what comes from now on matters."""
    world = World(tmp_path)
    world.deliver(*(f"Alt {n}" for n in range(30)), folder="Archive")
    world.notice()
    assert world.placements("Archive") == []
    world.deliver("Neu 1")
    world.notice()
    world.move("Neu 1", "Archive")
    assert [n.kind.value for n in world.notice().noticed] == ["set_aside"]


def test_a_deletion_is_no_lesson(any_world: World) -> None:
    """What is expunged is gone, and that is all."""
    any_world.deliver("Hallo 1")
    any_world.notice()
    any_world.server.delete("INBOX", [1])
    assert any_world.notice().noticed == []
    assert any_world.placements("INBOX") == []


def test_a_copy_is_no_lesson(any_world: World) -> None:
    """The original is still there: nothing was moved."""
    any_world.deliver("Hallo 1")
    any_world.notice()
    any_world.server.copy("INBOX", [1], "Reisen")
    assert any_world.notice().noticed == []
    assert any_world.examples() == []
    any_world.believes()


def test_a_copy_into_the_inbox_is_never_sorted(any_world: World) -> None:
    """Whoever copies a filed mail into the inbox wants it there."""
    any_world.deliver("Rechnungen 1", folder="Rechnungen")
    any_world.notice()
    any_world.server.copy("Rechnungen", [1], "INBOX")
    assert any_world.cycle().seen == 0
    assert any_world.where("Rechnungen 1") == ["INBOX", "Rechnungen"]


def test_an_upload_of_filed_mail_into_the_inbox_is_never_sorted(any_world: World) -> None:
    """The same by upload: another server id, the same content."""
    any_world.deliver("Rechnungen 1", folder="Rechnungen")
    any_world.notice()
    any_world.deliver("Rechnungen 1")
    assert any_world.cycle().seen == 0


def test_a_mail_uploaded_elsewhere_and_deleted_here_was_moved(any_world: World) -> None:
    """Some clients move by upload; the message and what is known of it stay one."""
    any_world.deliver("Hallo? 1")
    any_world.cycle()
    before = any_world.decisions()[0].message_id
    any_world.move_by_upload("Hallo? 1", "Reisen")
    any_world.notice()
    assert any_world.corrections() == [("filed", "INBOX", "Reisen")]
    assert [p.message_id for p in any_world.placements("Reisen")] == [before]
    any_world.believes()


def test_a_put_back_by_upload_is_never_sorted_again(any_world: World) -> None:
    """The put-back counts although the server id is another."""
    any_world.deliver("Rechnungen 1")
    any_world.cycle()
    any_world.move_by_upload("Rechnungen 1", "INBOX")
    assert any_world.cycle().seen == 0
    assert any_world.examples() == [(None, "put-back")]


def test_a_mail_that_went_out_and_came_back_between_two_looks_is_left(any_world: World) -> None:
    """All that shows is another UID in the inbox; whoever put it back wants it there."""
    any_world.deliver("Rechnungen 1")
    any_world.notice()
    any_world.server.move("INBOX", any_world.server.uids("INBOX"), "Reisen")
    any_world.server.move("Reisen", any_world.server.uids("Reisen"), "INBOX")
    assert any_world.cycle().seen == 0
    assert any_world.where("Rechnungen 1") == ["INBOX"]
    assert any_world.corrections() == []
    any_world.believes()


def test_a_copy_with_the_original_flagged_deleted_was_a_move(any_world: World) -> None:
    r"""Clients without MOVE copy and flag `\Deleted`; the expunge may come days later."""
    any_world.deliver("Hallo 1")
    any_world.notice()
    any_world.server.copy("INBOX", [1], "Reisen")
    any_world.server.flag("INBOX", [1], "\\Deleted")
    assert [n.kind.value for n in any_world.notice().noticed] == ["filed"]
    any_world.server.delete("INBOX", [1])
    assert any_world.notice().noticed == []
    assert any_world.corrections() == [("filed", "INBOX", "Reisen")]


def test_a_deleted_flag_that_is_taken_off_again_is_no_news(any_world: World) -> None:
    """The mail is back under its old UID, and is not sorted as new."""
    any_world.deliver("Hallo 1")
    any_world.cycle()
    any_world.server.flag("INBOX", [1], "\\Deleted")
    any_world.notice()
    inbox = any_world.server.folder("INBOX")
    inbox.messages[1] = type(inbox.messages[1])(
        inbox.messages[1].content,
        frozenset(),
        inbox.messages[1].internal_date,
        inbox.messages[1].server_id,
    )
    inbox.change += 1
    found = any_world.notice()
    assert (found.delivered, found.noticed) == (0, [])
    any_world.believes()


@pytest.mark.parametrize("first_half", ["arrival", "departure"])
def test_a_move_seen_in_two_halves_is_linked(any_world: World, first_half: str) -> None:
    """Folders are looked at one after the other; a move may happen in between."""
    any_world.deliver("Hallo 1")
    any_world.notice()
    if first_half == "arrival":
        any_world.server.copy("INBOX", [1], "Reisen")
        assert any_world.notice().noticed == []
        any_world.server.delete("INBOX", [1])
    else:
        content = any_world.server.folder("INBOX").messages[1]
        any_world.server.delete("INBOX", [1])
        assert any_world.notice().noticed == []
        any_world.server.folder("Reisen").add(content)
    assert [n.kind.value for n in any_world.notice().noticed] == ["filed"]


def test_a_put_back_seen_in_two_halves_is_not_sorted_in_between(any_world: World) -> None:
    """The copy in the inbox appears first; it must not be taken for new mail."""
    any_world.deliver("Rechnungen 1")
    any_world.cycle()
    uid = any_world.uid("Rechnungen 1", "Rechnungen")
    any_world.server.copy("Rechnungen", [uid], "INBOX")
    assert any_world.cycle().seen == 0
    any_world.server.delete("Rechnungen", [uid])
    any_world.cycle()
    assert any_world.corrections() == [("put_back", "Rechnungen", "INBOX")]
    any_world.cycle()
    assert any_world.where("Rechnungen 1") == ["INBOX"]


def test_halves_that_are_far_apart_are_not_linked(any_world: World) -> None:
    """A copy today and a deletion tomorrow are no move."""
    any_world.deliver("Hallo 1")
    any_world.notice()
    any_world.server.copy("INBOX", [1], "Reisen")
    any_world.notice()
    any_world.tick(seconds=(LINK_WINDOW + timedelta(minutes=1)).total_seconds())
    any_world.server.delete("INBOX", [1])
    assert any_world.notice().noticed == []


def test_a_deleted_mail_does_not_swallow_the_copy_of_its_twin(world: World) -> None:
    """A known message that is copied keeps its own history, though a twin has just gone."""
    world.deliver("Rechnungen? 1")
    world.cycle()
    world.deliver("Rechnungen? 1", "Rechnungen? 1", folder="Rechnungen")
    world.notice()
    world.server.delete("Rechnungen", [1])
    world.server.copy("INBOX", [1], "Reisen")
    kept = world.placements("INBOX")[0].message_id
    assert world.notice().noticed == []
    assert [p.message_id for p in world.placements("INBOX")] == [kept]


# Folders -------------------------------------------------------------------------------------


def test_a_new_folder_is_a_label_at_once(any_world: World) -> None:
    """Filing into a folder that was made a moment ago teaches that folder."""
    any_world.deliver("Hallo 1")
    any_world.notice()
    any_world.server.create("Verein")
    any_world.move("Hallo 1", "Verein")
    found = any_world.notice()
    assert found.changes.appeared == ("Verein",)
    assert any_world.examples() == [("Verein", "moved")]


def test_a_renamed_folder_keeps_its_label(any_world: World) -> None:
    """UIDVALIDITY stays: the row gets the new name, nothing is learned anew."""
    any_world.deliver("Hallo 1", "Hallo 2", "Hallo 3", folder="Reisen")
    any_world.notice()
    before = any_world.folder_ids()["Reisen"]
    any_world.server.rename("Reisen", "Urlaub")
    found = any_world.notice()
    assert found.changes.renamed == (("Reisen", "Urlaub"),)
    assert found.noticed == []
    assert any_world.folder_ids()["Urlaub"] == before
    any_world.believes()


def test_a_folder_renamed_with_a_new_uid_validity_keeps_its_label(any_world: World) -> None:
    """Courier changes UIDVALIDITY and UIDs on RENAME: the messages themselves tell."""
    any_world.deliver("Hallo 1", "Hallo 2", "Hallo 3", folder="Reisen")
    any_world.deliver("Rechnungen 1")
    any_world.cycle()
    before = any_world.folder_ids()
    for old, new in (("Reisen", "Urlaub"), ("Rechnungen", "Belege")):
        any_world.server.rename(old, new)
        any_world.renumber(new)
    found = any_world.notice()
    assert sorted(found.changes.renamed) == [("Rechnungen", "Belege"), ("Reisen", "Urlaub")]
    assert found.noticed == []
    after = any_world.folder_ids()
    assert (after["Urlaub"], after["Belege"]) == (before["Reisen"], before["Rechnungen"])
    assert [p.arrived_by for p in any_world.placements("Belege")] == [ArrivedBy.INBOXD]
    any_world.believes()


def test_an_empty_folder_is_renamed_too(world: World) -> None:
    """Without messages UIDVALIDITY and UIDNEXT have to do."""
    before = world.folder_ids()["Reisen"]
    world.server.rename("Reisen", "Urlaub")
    assert world.notice().changes.renamed == (("Reisen", "Urlaub"),)
    assert world.folder_ids()["Urlaub"] == before


def test_a_removed_folder_is_retired_and_its_examples_rest(any_world: World) -> None:
    """A label that no longer exists is neither learned nor offered."""
    any_world.deliver("Hallo 1")
    any_world.notice()
    any_world.move("Hallo 1", "Reisen")
    any_world.notice()
    any_world.server.remove("Reisen")
    found = any_world.notice()
    assert found.changes.disappeared == ("Reisen",)
    assert found.noticed == []
    assert any_world.examples() == []


def test_a_folder_made_again_comes_back_with_its_label(any_world: World) -> None:
    """The same name is the same label; new mail in it is seen, old UIDs mean nothing."""
    any_world.deliver("Hallo 1")
    any_world.notice()
    any_world.move("Hallo 1", "Reisen")
    any_world.notice()
    before = any_world.folder_ids()["Reisen"]
    any_world.server.remove("Reisen")
    any_world.notice()
    any_world.server.create("Reisen")
    any_world.deliver("Hallo 2", folder="Reisen")
    any_world.notice()
    assert any_world.folder_ids()["Reisen"] == before
    assert any_world.examples() == [("Reisen", "moved")]
    any_world.believes()


def test_a_folder_replaced_between_two_passes_is_looked_at_anew(any_world: World) -> None:
    """Removed and made again unseen: another UIDVALIDITY, and no lesson."""
    any_world.deliver("Hallo 1", folder="Reisen")
    any_world.notice()
    any_world.server.remove("Reisen")
    any_world.server.create("Reisen")
    any_world.deliver("Hallo 2", folder="Reisen")
    assert any_world.notice().noticed == []
    any_world.believes()


def test_a_folder_that_the_server_forgets_for_a_moment_comes_back_unharmed(
    any_world: World,
) -> None:
    """LIST leaves it out once: its mail, UIDs and labels are all there afterwards."""
    any_world.deliver("Hallo 1", folder="Reisen")
    any_world.notice()
    hidden = any_world.server._folders.pop("Reisen")
    any_world.notice()
    any_world.server._folders["Reisen"] = hidden
    assert any_world.notice().noticed == []
    any_world.deliver("Hallo 2", folder="Reisen")
    any_world.notice()
    any_world.believes()


def test_a_uid_validity_that_comes_back_is_no_trouble(any_world: World) -> None:
    """A server restored from a backup counts as it did before."""
    any_world.deliver("Hallo 1")
    any_world.cycle()
    old = any_world.server.folder("INBOX")
    any_world.renumber("INBOX")
    any_world.cycle()
    any_world.server._folders["INBOX"] = old
    assert any_world.cycle().seen == 0
    any_world.believes()


def test_a_renumbered_inbox_is_not_sorted_twice(any_world: World) -> None:
    """Another UIDVALIDITY, the same mails: nothing is new and nothing is learned."""
    any_world.deliver("Hallo 1", "Rechnungen? 1", "Hallo 2")
    any_world.cycle()
    before = len(any_world.decisions())
    any_world.renumber("INBOX")
    any_world.settle()
    found = any_world.notice()
    assert (found.noticed, found.delivered) == ([], 0)
    assert any_world.sort().seen == 0
    assert len(any_world.decisions()) == before
    any_world.believes()


def test_a_renumbered_label_folder_keeps_inboxds_own_moves_apart(any_world: World) -> None:
    """What inboxd moved there is still inboxd's move, and no example."""
    any_world.deliver("Rechnungen 1", "Rechnungen 2")
    any_world.cycle()
    any_world.renumber("Rechnungen")
    assert any_world.notice().noticed == []
    assert {p.arrived_by for p in any_world.placements("Rechnungen")} == {ArrivedBy.INBOXD}


def test_ambiguous_twins_in_a_renumbered_folder_stay_inboxds(tmp_path: Path) -> None:
    """Where twins cannot be told apart, inboxd's own moves must not pass for a person's."""
    world = World(tmp_path, FakeServer(server_ids=None))
    world.notice()
    world.deliver("Rechnungen 1", "Rechnungen 1")
    world.cycle()
    world.renumber("Rechnungen")
    world.server.delete("Rechnungen", [1])
    world.notice()
    with world.store.read() as work:
        folder = next(f for f in work.folders.of(world.account(work)) if f.name == "Rechnungen")
        assert work.placements.newest_unlabelled(folder, 10) == []


def test_one_unreadable_folder_does_not_stop_the_account(any_world: World) -> None:
    """A folder that is listed but may not be opened is left out; the others are looked at."""
    any_world.server.fail("status", error=CommandRefused("no rights", code="NOPERM"))
    any_world.deliver("Hallo 1")
    found = any_world.notice()
    assert found.delivered == 1


def test_a_folder_that_vanishes_in_the_middle_of_a_pass_waits_for_the_next(
    any_world: World,
) -> None:
    """LIST named it, STATUS no longer knows it."""
    any_world.server.fail("status", error=FolderMissing("gone"))
    any_world.deliver("Hallo 1")
    assert any_world.notice().delivered == 1


def test_without_an_inbox_nothing_is_changed(world: World) -> None:
    """A wrong name in the configuration retires no folder."""
    world.patterns = FolderPatterns(inbox="Eingang")
    with pytest.raises(FolderMissing):
        world.notice()
    assert {f.name for f in world.folders()} >= {"Reisen", "INBOX"}
    assert world.folders(retired=True) == []


def test_a_folder_declared_neutral_is_no_label_any_more(any_world: World) -> None:
    """Its examples no longer take part in learning."""
    any_world.deliver("Hallo 1")
    any_world.notice()
    any_world.move("Hallo 1", "Reisen")
    any_world.notice()
    any_world.patterns = FolderPatterns(neutral=("Reisen",))
    any_world.notice()
    assert {f.name: f.role for f in any_world.folders()}["Reisen"] is Role.NEUTRAL
    assert any_world.examples() == []
    with any_world.store.read() as work:
        assert work.examples.count(any_world.account(work)) == 0


# Cost and order ------------------------------------------------------------------------------


def test_unchanged_folders_cost_one_status_each(tmp_path: Path) -> None:
    """Many quiet folders: no SELECT, no FETCH."""
    world = World(tmp_path, labels=[f"Ordner {n}" for n in range(200)])
    world.notice()
    world.server.calls.clear()
    found = world.notice()
    assert found.scanned == 0
    assert set(world.server.calls) == {"folders", "status"}
    assert len(world.server.calls) <= 1 + 200 + 10


def test_the_server_is_not_asked_while_the_database_is_locked(world: World) -> None:
    """Another account must be able to write while this one waits for its server."""
    world.deliver("Rechnungen 1", "Hallo 1")
    world.deliver("Hallo 2", folder="Reisen")
    mailbox = WritingMailbox(world)
    world.tick()
    observe(world.store, mailbox, ACCOUNT, world.patterns, world.now)  # type: ignore[arg-type]
    world.sort(mailbox)  # type: ignore[arg-type]
    assert mailbox.calls > 10
    assert world.where("Rechnungen 1") == ["Rechnungen"]


class WritingMailbox:
    """Before each command another account writes into the database."""

    def __init__(self, world: World) -> None:
        self._mailbox = world.server.connect()
        self._world = world
        self.calls = 0

    def __getattr__(self, name: str) -> object:
        """The real method, after a write by somebody else."""
        if name != "capabilities":
            self.calls += 1
            with self._world.store.write() as work:
                work.accounts.get_or_create("other", START)
                work.commit()
        return getattr(self._mailbox, name)


def test_noticing_is_repeatable_after_a_broken_connection(any_world: World) -> None:
    """A pass that fails half-way leaves nothing behind; the next one sees everything."""
    any_world.deliver("Hallo 1", "Hallo 2")
    any_world.notice()
    any_world.move("Hallo 1", "Reisen")
    any_world.server.fail("identify")
    with pytest.raises(MailboxUnreachable):
        any_world.notice()
    assert [n.kind.value for n in any_world.notice().noticed] == ["filed"]
    any_world.believes()


def test_message_ids_are_stored_as_hashes_only(world: World) -> None:
    """Enough to find threads, not enough to read addresses."""
    world.server.append("INBOX", mail("Hallo 1", message_id="<geheim@example.org>"))
    world.notice()
    found = world.message(world.placements("INBOX")[0].message_id)
    assert "geheim" not in found.message_id_hash
    assert len(found.message_id_hash) == 32


def test_a_folder_whose_inventory_was_cut_short_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two transactions of one folder: the rest follows, none is doubled."""
    world = World(tmp_path)
    world.deliver(*(f"Hallo {n}" for n in range(10)), folder="Reisen")
    monkeypatch.setattr(storing, "INVENTORY_CHUNK", 4)
    place = storing._place
    calls = iter([False, True])

    def die(*args: Any) -> Any:
        if args[3] and next(calls):
            raise Killed
        return place(*args)

    with monkeypatch.context() as patch:
        patch.setattr(storing, "_place", die)
        with pytest.raises(Killed):
            world.notice()
    assert len(world.placements("Reisen")) == 4
    assert world.notice().noticed == []
    assert {p.arrived_by for p in world.placements("Reisen")} == {ArrivedBy.BASELINE}
    world.believes()
