"""What inboxd remembers: SQLite through SQLAlchemy, in units of work."""

from daemon.store.unit_of_work import DATABASE_NAME, UNFINISHED_RESTORE, Store, UnitOfWork

__all__ = ["DATABASE_NAME", "UNFINISHED_RESTORE", "Store", "UnitOfWork"]
