"""Promises about folders, checked on every server."""

from __future__ import annotations

import pytest

from daemon.errors import CommandRefused, FolderMissing
from daemon.mailbox.port import FolderInfo, SpecialUse
from tests.contract.conftest import Backend
from tests.contract.mails import mail
from tests.support.inventory import contents, digest

NAMES = {
    "umlaut": "Kündigungen",
    "space": "Rechnungen 2026",
    "quote": 'Angebote "neu"',
    "ampersand": "Kind & Kegel",
    "backslash": "a\\b",
    "parentheses": "Verein (alt)",
    "brackets": "[Listen]",
    "number": "2026",
    "nil": "NIL",
    "percent": "100% Wolle",
    "star": "Stern*",
    "plane": "Flüge ✈ 🛫",
    "cjk": "日本語",
    "decomposed": "Ku\u0308ndigung",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_folder_can_have_this_name(backend: Backend, name: str) -> None:
    """Made, listed, filled and read under exactly the name it was given."""
    folder = backend.path(name)
    mailbox = backend.connect()
    mailbox.create(folder)
    assert folder in [found.name for found in mailbox.folders()]
    uid = backend.user.append(folder, mail(1))
    snapshot = mailbox.snapshot(folder)
    assert snapshot.uids == (uid,)
    mailbox.copy(folder, snapshot.uid_validity, [uid], "INBOX")
    validity = mailbox.snapshot("INBOX").uid_validity
    mailbox.copy("INBOX", validity, mailbox.snapshot("INBOX").uids, folder)
    copies = 1 if backend.labels else 2
    assert contents(backend.inventory(), folder) == [digest(mail(1))] * copies


def test_a_server_may_say_what_it_is(backend: Backend) -> None:
    """Or be silent; the connection is as good as before."""
    mailbox = backend.connect()
    told = mailbox.software()
    assert told == "" or told.isprintable()
    if backend.name.startswith("dovecot"):
        assert "Dovecot" in told
    assert "INBOX" in [found.name for found in mailbox.folders()]


def test_two_spellings_of_an_umlaut_are_two_folders(backend: Backend) -> None:
    """Composed and decomposed: whatever the server makes of them, a mail lies in the one that
    was named."""
    mailbox = backend.connect()
    spellings = [backend.path("K\u00fcche"), backend.path("Ku\u0308che")]
    for number, folder in enumerate(spellings):
        mailbox.create(folder)
        backend.user.append(folder, mail(number))
    names = [found.name for found in mailbox.folders()]
    assert set(spellings) <= set(names)
    inventory = backend.inventory()
    assert [contents(inventory, folder) for folder in spellings] == [
        [digest(mail(0))],
        [digest(mail(1))],
    ]


def test_a_nested_folder_is_listed_with_its_parents(backend: Backend) -> None:
    """Parents that exist only in the name are there, too, and are not selectable."""
    mailbox = backend.connect()
    nested = backend.path("Büro", "Kunden & Co", "2026")
    mailbox.create(nested)
    folders = {found.name: found for found in mailbox.folders()}
    assert folders[nested] == FolderInfo(nested, backend.delimiter, None, selectable=True)
    parent = folders[backend.path("Büro", "Kunden & Co")]
    assert not parent.selectable or mailbox.status(parent.name).messages == 0


def test_folders_are_sorted_and_hold_the_inbox(backend: Backend) -> None:
    """INBOX is always there, once, with no special use."""
    names = [found.name for found in backend.connect().folders()]
    assert names == sorted(names)
    inboxes = [found for found in backend.connect().folders() if found.name == "INBOX"]
    assert [(found.selectable, found.special_use) for found in inboxes] == [(True, None)]


def test_an_existing_folder_can_be_created(backend: Backend) -> None:
    """Twice is once, and INBOX is always there."""
    mailbox = backend.connect()
    folder = backend.path("Rechnungen")
    mailbox.create(folder)
    backend.user.append(folder, mail(1))
    mailbox.create(folder)
    mailbox.create("INBOX")
    assert contents(backend.inventory(), folder) == [digest(mail(1))]


def test_an_impossible_folder_is_refused(backend: Backend) -> None:
    """The server's NO becomes CommandRefused, and the connection goes on."""
    mailbox = backend.connect()
    with pytest.raises(CommandRefused):
        mailbox.create("")
    mailbox.status("INBOX")


def test_the_trash_is_known_whatever_it_is_called(backend: Backend) -> None:
    """By SPECIAL-USE where announced, by its well-known name where not."""
    mailbox = backend.connect()
    told = [f.name for f in mailbox.folders() if f.special_use is SpecialUse.TRASH]
    name = told[0] if told else backend.folder("Papierkorb")
    folders = {found.name: found.special_use for found in mailbox.folders()}
    assert folders[name] is SpecialUse.TRASH


def test_a_folder_by_another_client_appears(backend: Backend) -> None:
    """Also when nobody has subscribed to it; renamed and removed it is gone."""
    mailbox = backend.connect()
    folder, renamed = backend.folder("Neu"), backend.path("Umbenannt")
    assert folder in [found.name for found in mailbox.folders()]
    backend.user.rename(folder, renamed)
    names = [found.name for found in mailbox.folders()]
    assert renamed in names
    assert folder not in names
    backend.user.remove(renamed)
    assert renamed not in [found.name for found in mailbox.folders()]


def test_a_namespace_prefix_belongs_to_the_name(backend: Backend) -> None:
    """Names are used as the server spells them, with delimiter and prefix."""
    folder = backend.folder("Reisen", "Rom")
    found = {info.name: info.delimiter for info in backend.connect().folders()}
    assert found[folder] == backend.delimiter


def test_the_statuses_of_many_folders_come_together(backend: Backend) -> None:
    """Each the same as if asked for alone; what is missing does not spoil the others."""
    folders = [backend.folder(name) for name in ("Büro", "Kind & Kegel", "NIL", "2026")]
    backend.user.append(folders[1], mail(1))
    mailbox = backend.connect()
    missing = backend.path("Fehlt")
    mailbox.snapshot(folders[1])
    backend.user.append(folders[1], mail(2))
    wanted = ["INBOX", missing, *folders]
    found = dict(mailbox.statuses(wanted))
    assert list(found) == wanted
    assert isinstance(found.pop(missing), FolderMissing)
    assert found == {folder: mailbox.status(folder) for folder in ("INBOX", *folders)}
    assert mailbox.status(folders[1]).messages == 2
    assert mailbox.statuses([]) == {}
