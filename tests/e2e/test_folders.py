"""Folders come and get other names; labels follow."""

from __future__ import annotations

from tests.e2e.mails import CHOIR, MAILS_PER_FOLDER, next_mails
from tests.e2e.world import World


def test_a_new_folder_is_a_label_from_its_third_mail_on(world: World) -> None:
    """Two mails make no kind; after the third, the next one goes there by itself."""
    *filed, next_one = next_mails(CHOIR, 4)
    world.person.create("Chor")
    world.deliver(filed)
    world.home.ok("run", "--once")
    for mail in filed[:2]:
        world.move(mail, "INBOX", "Chor")
    [after_two] = world.home.json("run", "--once")

    world.move(filed[2], "INBOX", "Chor")
    world.deliver([next_one])
    [after_three] = world.home.json("run", "--once")

    assert "Chor" not in after_two["refit"]["labels"].values()
    assert "Chor" in after_three["refit"]["labels"].values()
    assert world.folders_of(next_one) == ["Chor"]


def test_a_renamed_folder_keeps_its_label(world: World) -> None:
    """No mail has to be learnt again, and new mail goes to the folder under its new name."""
    model = world.home.json("status")["accounts"]["private"]["model"]
    [mail] = next_mails("Kündigungen", 1)
    world.person.rename("Kündigungen", "Verträge/Gekündigt")
    world.deliver([mail])

    [report] = world.home.json("run", "--once")
    account = world.home.json("status")["accounts"]["private"]
    folders = {f["folder"]: f["examples"] for f in account["folders"]}

    assert report["observation"]["changes"]["renamed"] == [["Kündigungen", "Verträge/Gekündigt"]]
    assert report["refit"] is None
    assert account["model"] == model
    assert world.folders_of(mail) == ["Verträge/Gekündigt"]
    assert folders["Verträge/Gekündigt"] == MAILS_PER_FOLDER
    assert "Kündigungen" not in folders
