"""Types of columns that mean the same in SQLite and in PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, TypeDecorator
from sqlalchemy.types import TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in, aware UTC datetimes out; SQLite itself knows no time zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse naive datetimes: they are a bug in the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give the stored UTC time its time zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


class PlainText(TypeDecorator[str]):
    """Text of any length. PostgreSQL knows no NUL in it, which a server could send in an answer
    that is kept as an account's last error; it gets the replacement character."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Only PostgreSQL's own gap is filled; SQLite keeps what it is given."""
        if value is None or dialect.name != "postgresql":
            return value
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


def short_text(length: int) -> TypeEngine[str]:
    """Text of about this length. SQLite has never held anybody to it, so PostgreSQL must not."""
    return String(length).with_variant(String(), "postgresql")


INTEGER = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits everywhere: UIDs and UIDVALIDITY fill 32 bits without a sign (RFC 3501, 2.3.1.1), MODSEQ
63 (RFC 7162). SQLite's INTEGER has as many as a number needs."""
