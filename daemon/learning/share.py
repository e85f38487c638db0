"""Accounts that share one model: who they are, and what their folders are called in it.

An account's own model calls a folder by its row id, which survives a rename. A shared one has to
call the folders of several servers by one name, and so by their name as people see it. Light, as
`status` asks here too. See docs/adr/0051.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from classifier.labels import LEAVE
from daemon.config.settings import Settings
from daemon.sorting.folders import composed
from daemon.store import UnitOfWork
from daemon.store.tables import Folder, ModelRow, Role

SIGN = "@"
"""Begins the name under which a shared model has its row in `accounts` and its directory; no
account may be called so."""

_PREFIXES = ("INBOX.", "INBOX/")
"""Below which some servers (Courier, Cyrus) keep all folders of a person; RFC 2342."""


@dataclass(frozen=True, slots=True)
class Share:
    """The accounts of one configuration that name the same shared model; `descriptions` of their
    folders by account and folder name."""

    name: str
    accounts: tuple[str, ...]
    descriptions: Mapping[str, Mapping[str, str]]

    @property
    def owner(self) -> str:
        """What takes the place of an account's name wherever models are kept."""
        return SIGN + self.name

    def others(self, account: str) -> tuple[str, ...]:
        """With whom an account shares."""
        return tuple(name for name in self.accounts if name != account)


def share_of(settings: Settings, account: str) -> Share | None:
    """What an account takes part in, None when its model is its own."""
    own = settings.accounts.get(account)
    if own is None or own.shared_model is None:
        return None
    sharers = {
        name: each
        for name, each in settings.accounts.items()
        if each.shared_model == own.shared_model
    }
    return Share(
        own.shared_model,
        tuple(sharers),
        {name: dict(each.folders.descriptions) for name, each in sharers.items()},
    )


def is_shared(owner: str) -> bool:
    """Whether this is a shared model's name, and not an account's."""
    return owner.startswith(SIGN)


def common_name(folder: str) -> str:
    """A folder's name without what differs from server to server: the personal prefix, the
    delimiter between parent and child, and how umlauts are composed."""
    return _without_prefix(composed(folder)).replace(".", "/")


def shown_name(folder: str) -> str:
    """The same for people: as the server spells it, without the prefix."""
    return _without_prefix(composed(folder))


def _without_prefix(name: str) -> str:
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def shared_labels(account: str, folders: Iterable[Folder]) -> dict[int, str]:
    """The labels of an account's label folders in a shared model, by folder id.

    Where several folders of one account would have the same, nobody can tell which of them another
    account means: it belongs to the one that is spelt so, and the others keep to themselves.
    """
    by_name: dict[str, list[Folder]] = {}
    for folder in folders:
        if folder.role is Role.LABEL:
            by_name.setdefault(common_name(folder.name), []).append(folder)
    return {
        folder.id: name if _is_meant(folder, name, same) else f"{account}\n{folder.name}"
        for name, same in by_name.items()
        for folder in same
    }


def _is_meant(folder: Folder, name: str, same: list[Folder]) -> bool:
    if name == LEAVE:  # a folder that is really called so
        return False
    return len(same) == 1 or composed(folder.name) == name


def trained_with(row: ModelRow) -> frozenset[str]:
    """The accounts whose mail a shared model was trained with."""
    return frozenset(row.report.get("share", {}).get("accounts", ()))


def traces_of(work: UnitOfWork, account: str) -> dict[str, list[ModelRow]]:
    """The shared models, by owner, that were trained with an account's mail, now or formerly."""
    found = {
        owner.name: [row for row in work.models.of(owner) if account in trained_with(row)]
        for owner in work.accounts.every()
        if is_shared(owner.name)
    }
    return {name: rows for name, rows in found.items() if rows}
