"""What all tables have in common."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Enum, MetaData
from sqlalchemy.orm import DeclarativeBase

from daemon.store.tables.columns import INTEGER, PlainText, UtcDateTime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def _values(kind: type[enum.Enum]) -> list[str]:
    return [str(member.value) for member in kind]


class Base(DeclarativeBase):
    """Declarative base with fixed constraint names, which Alembic needs on SQLite."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's documented hook
        int: INTEGER,
        str: PlainText,
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[tuple[str, float]]: JSON,
        # Of each enum its value in a plain VARCHAR: a new member needs no migration.
        enum.Enum: Enum(enum.Enum, native_enum=False, length=16, values_callable=_values),
    }
