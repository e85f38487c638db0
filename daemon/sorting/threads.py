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
    """The folder of the nearest kin in the thread (References, In-Reply-To) that lies somewhere
    known: per ancestor, nearest first, the ancestor itself, else the newest other answer to it
    (the rule of `classifier.threads.ThreadLabels`, by which the model was trained).

    Returns a label folder's id, `LEFT_IN_INBOX`, or None.
    """
    for hashed in work.messages.references_of(message):
        kin = work.messages.by_message_id_hash(account, hashed)
        kin += work.messages.answers_to(account, hashed)
        others = [other.id for other in kin if other.id != message.id]
        folders = work.placements.label_folders_of(others)
        for other in others:
            if other in folders:
                folder = folders[other]
                return folder.id if folder.role is Role.LABEL else LEFT_IN_INBOX
    return None
