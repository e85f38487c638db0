"""LIST responses to folders, offline."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from daemon.mailbox.folders import read_folders
from daemon.mailbox.port import FolderInfo, SpecialUse
from daemon.mailbox.wire import ListLine


def line(name: str | None, *flags: str, delimiter: str = "/") -> ListLine:
    """One LIST response."""
    return ListLine(frozenset(flags), delimiter, name)


def uses(*lines: ListLine, personal: tuple[str, ...] = ("",)) -> dict[str, SpecialUse | None]:
    """Folder to special use."""
    return {folder.name: folder.special_use for folder in read_folders(lines, personal, ())}


def test_a_folder_keeps_its_name_and_delimiter() -> None:
    """And is selectable unless the server says otherwise."""
    folders = read_folders([line("b", delimiter="."), line("a", "\\noselect")], [""], [])
    assert folders == [
        FolderInfo("a", "/", None, selectable=False),
        FolderInfo("b", ".", None, selectable=True),
    ]


@pytest.mark.parametrize("use", list(SpecialUse))
def test_announced_special_uses_are_taken(use: SpecialUse) -> None:
    """RFC 6154 attributes and Gmail's, in any case, under any name."""
    assert uses(line("Ordner", use.value.lower())) == {"Ordner": use}


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("Papierkorb", SpecialUse.TRASH),
        ("PAPIERKORB", SpecialUse.TRASH),
        ("Gelöschte Elemente", SpecialUse.TRASH),
        ("Gelo\u0308scht", SpecialUse.TRASH),
        ("Deleted Items", SpecialUse.TRASH),
        ("Gesendet", SpecialUse.SENT),
        ("Sent Items", SpecialUse.SENT),
        ("Entwürfe", SpecialUse.DRAFTS),
        ("Junk-E-Mail", SpecialUse.JUNK),
        ("Spam", SpecialUse.JUNK),
        ("Archiv", SpecialUse.ARCHIVE),
        ("Rechnungen", None),
        ("Projekte/Archiv", None),
        ("Spam/2026", None),
    ],
)
def test_well_known_names_stand_in_for_missing_attributes(
    name: str, use: SpecialUse | None
) -> None:
    """German and English, and only at the top of the account."""
    assert uses(line("INBOX"), line(name))[name] is use


def test_an_announced_role_needs_no_well_known_name() -> None:
    """With a Trash by attribute, "Papierkorb" is a folder like any other; other roles are not
    touched by that."""
    found = uses(line("Müll", "\\trash"), line("Papierkorb"), line("Gesendet"))
    assert found == {
        "Müll": SpecialUse.TRASH,
        "Papierkorb": None,
        "Gesendet": SpecialUse.SENT,
    }


def test_a_folder_that_cannot_be_opened_has_no_role() -> None:
    """A \\Noselect parent named Archive is only part of a name."""
    assert uses(line("Archive", "\\noselect"), line("Archive/2026")) == {
        "Archive": None,
        "Archive/2026": None,
    }


@pytest.mark.parametrize("name", ["INBOX.Papierkorb", "Papierkorb"])
def test_a_prefix_does_not_hide_the_name(name: str) -> None:
    """Below INBOX or a namespace prefix is the top of the account, too."""
    assert uses(line(name, delimiter="."), personal=("INBOX.",))[name] is SpecialUse.TRASH


def test_folders_of_other_people_are_left_out() -> None:
    """Shared and other users' namespaces are not ours; the longest prefix decides."""
    lines = [
        line(name)
        for name in ("INBOX", "Privat", "shared/Team", "user/bert", "INBOX/Alt", "sharedX")
    ]
    found = read_folders(lines, ["", "INBOX/"], ["shared/", "user/"])
    assert [folder.name for folder in found] == ["INBOX", "INBOX/Alt", "Privat", "sharedX"]
    own_prefix = read_folders(lines, ["INBOX/"], [""])
    assert [folder.name for folder in own_prefix] == ["INBOX", "INBOX/Alt"]


@pytest.mark.parametrize("name", [None, "", "a\tb", "a\nb", "\x7f", "a\x85b"])
def test_unusable_names_are_skipped_and_logged_without_the_name(name: str | None) -> None:
    """The log says that and why, never what."""
    with capture_logs() as logs:
        found = read_folders([line(name), line("gut")], [""], [])
    assert [folder.name for folder in found] == ["gut"]
    assert [entry["event"] for entry in logs] == ["folder_skipped"]
    assert name is None or name == "" or name not in str(logs)
