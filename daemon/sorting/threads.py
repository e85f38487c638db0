"""Where does the rest of a thread lie?"""

from __future__ import annotations

import hashlib

from daemon.store import UnitOfWork
from daemon.store.tables import Account, Message, Role

LEFT_IN_INBOX = -1
"""In place of a folder id: a person decided that the ancestor stays in the inbox."""


def hash_message_id(message_id: str) -> str:
    """What is stored in place of a Message-ID: enough to find threads, not to read addresses."""
    return hashlib.blake2b(message_id.strip().encode(), digest_size=16).hexdigest()


def parent_folder(work: UnitOfWork, account: Account, message: Message) -> int | None:
    """The folder of the nearest ancestor (References, In-Reply-To) that lies somewhere known.

    Returns a label folder's id, `LEFT_IN_INBOX`, or None.
    """
    for hashed in message.reference_hashes:
        for ancestor in work.messages.by_message_id_hash(account, hashed):
            if ancestor.id == message.id:
                continue
            folder = work.placements.label_folders_of([ancestor.id]).get(ancestor.id)
            if folder is not None:
                return folder.id if folder.role is Role.LABEL else LEFT_IN_INBOX
    return None
