"""To whom the account's owner writes, as far as the sent mail tells.

Kept are hashes of addresses under a random key of the account: enough to recognise a sender, not
to read whom she knows. Each pass reads the headers of what was sent since the last one, batch by
batch, each stored with how far it came: killed half-way, the next one goes on there.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import structlog

from daemon.errors import FolderChanged, FolderMissing
from daemon.mail.headers import Headers, addresses, split_message
from daemon.mailbox.port import FolderInfo, FolderSnapshot, Mailbox, SpecialUse
from daemon.sorting.rules import IsContact, nobody
from daemon.store import Store
from daemon.store.tables import ContactBook

log = structlog.get_logger(__name__)

BATCH = 100
"""Headers per transaction."""

NEWEST = 5000
"""So many of the newest sent mails are read at most."""


def sent_folder(folders: Iterable[FolderInfo]) -> str | None:
    """The folder that the server marks as sent mail (RFC 6154)."""
    marked = (f.name for f in folders if f.special_use is SpecialUse.SENT and f.selectable)
    return next(marked, None)


def refresh_contacts(
    store: Store,
    mailbox: Mailbox,
    account_name: str,
    now: datetime,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Read what was sent since the last time; returns the number of mails read.

    Raises `MailboxError`; a folder that changes meanwhile is read by the next pass.
    """
    name = sent_folder(mailbox.folders())
    if name is None:
        return 0
    try:
        snapshot = mailbox.snapshot(name)
        book = _book(store, account_name, name, snapshot, now)
        fresh = [uid for uid in snapshot.uids if uid > book.read_to_uid][-NEWEST:]
        read = 0
        for start in range(0, len(fresh), BATCH):
            if stopped():
                break
            read += _read(store, mailbox, account_name, book, fresh[start : start + BATCH])
    except (FolderMissing, FolderChanged) as error:
        log.warning("contacts.folder_changed", account=account_name, error=type(error).__name__)
        return 0
    if read:
        log.info("contacts.read", account=account_name, mails=read)
    return read


def contacts_of(store: Store, account_name: str) -> IsContact:
    """Whether an address is one to which mail was sent, as far as that is known."""
    with store.read() as work:
        account = work.accounts.get(account_name)
        book = work.contacts.book(account) if account is not None else None
        hashes = work.contacts.hashes(account) if account is not None else frozenset()
    if book is None:
        return nobody
    key = book.key
    return lambda address: _hash(key, address) in hashes


def _book(
    store: Store, account_name: str, folder: str, snapshot: FolderSnapshot, now: datetime
) -> ContactBook:
    """How far this folder was read; another folder, or new numbers, are read from the start."""
    with store.write() as work:
        account = work.accounts.get_or_create(account_name, now)
        book = work.contacts.book(account)
        if book is None:
            book = ContactBook(
                account_id=account.id,
                key=secrets.token_bytes(16),
                folder=folder,
                uid_validity=snapshot.uid_validity,
                read_to_uid=0,
            )
            work.contacts.add_book(book)
        elif (book.folder, book.uid_validity) != (folder, snapshot.uid_validity):
            book.folder, book.uid_validity, book.read_to_uid = folder, snapshot.uid_validity, 0
        work.commit()
        return book


def _read(
    store: Store, mailbox: Mailbox, account_name: str, book: ContactBook, uids: Sequence[int]
) -> int:
    found: set[str] = set()
    count = 0
    for message in mailbox.fetch(book.folder, book.uid_validity, uids, 0):
        found |= {_hash(book.key, each) for each in _recipients(message.content)}
        count += 1
    with store.write() as work:
        account = work.accounts.get(account_name)
        stored = work.contacts.book(account) if account is not None else None
        if account is not None and stored is not None:
            work.contacts.add(account, found)
            stored.read_to_uid = uids[-1]
        work.commit()
    return count


def _recipients(content: bytes) -> set[str]:
    """Addresses in To, Cc and Bcc without the author's own."""
    headers = Headers(split_message(content)[0])
    to = [raw for name in ("to", "cc", "bcc") for raw in headers.raw_all(name)]
    own = {each.address for each in addresses(headers.raw_all("from"))}
    return {each.address for each in addresses(to) if each.address} - own


def _hash(key: bytes, address: str) -> str:
    return hashlib.blake2b(address.lower().encode(), key=key, digest_size=16).hexdigest()
