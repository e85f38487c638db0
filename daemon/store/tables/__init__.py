"""The tables, and what is in them: identities, placements, decisions, moves, examples.

A table is in the module that is called like that of its repository, one level up. Whoever uses
tables imports them from here, so that `Base.metadata` is never without one of them.

What is *not* in them: subjects, addresses, bodies. Message-IDs are stored as hashes, features
as hashed counts and a vector. `docs/store.md` lists every column for the reader who wants to
know what inboxd keeps about his mail.
"""

from daemon.store.tables.attempts import ReadingAttempt
from daemon.store.tables.base import Base
from daemon.store.tables.columns import UtcDateTime
from daemon.store.tables.failures import Failure
from daemon.store.tables.history import (
    TEACHING_KINDS,
    Action,
    Correction,
    CorrectionKind,
    Decision,
    Hold,
    HoldReason,
    Move,
    MoveKind,
    MoveState,
)
from daemon.store.tables.knowledge import Example, FeatureRow, ModelRow, ModelState
from daemon.store.tables.mail import (
    Account,
    ArrivedBy,
    Folder,
    Message,
    MessageReference,
    Placement,
    Role,
)
from daemon.store.tables.notices import Channel, Notice, NoticeKind, NoticeState
from daemon.store.tables.pairing import Installation
from daemon.store.tables.trust import Contact, ContactBook, Promise

__all__ = [
    "TEACHING_KINDS",
    "Account",
    "Action",
    "ArrivedBy",
    "Base",
    "Channel",
    "Contact",
    "ContactBook",
    "Correction",
    "CorrectionKind",
    "Decision",
    "Example",
    "Failure",
    "FeatureRow",
    "Folder",
    "Hold",
    "HoldReason",
    "Installation",
    "Message",
    "MessageReference",
    "ModelRow",
    "ModelState",
    "Move",
    "MoveKind",
    "MoveState",
    "Notice",
    "NoticeKind",
    "NoticeState",
    "Placement",
    "Promise",
    "ReadingAttempt",
    "Role",
    "UtcDateTime",
]
