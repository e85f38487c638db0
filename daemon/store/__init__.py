"""What inboxd remembers: SQLite or PostgreSQL through SQLAlchemy, in units of work."""

from daemon.store.pairing import PAIRING_NAME
from daemon.store.places import DATABASE_NAME, holds_rows, load, save
from daemon.store.postgresql import Server
from daemon.store.unit_of_work import UNFINISHED_RESTORE, Store, UnitOfWork

__all__ = [
    "DATABASE_NAME",
    "PAIRING_NAME",
    "UNFINISHED_RESTORE",
    "Server",
    "Store",
    "UnitOfWork",
    "holds_rows",
    "load",
    "save",
]
