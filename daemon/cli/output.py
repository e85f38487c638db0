"""How results reach the terminal: tables for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import enum
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output. Dataclasses become objects, times ISO 8601 UTC."""
    json.dump(plain(value), sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def json_line(value: Any) -> None:
    """One JSON object on a line of standard error: progress, for programs."""
    sys.stderr.write(json.dumps(plain(value), ensure_ascii=False) + "\n")
    sys.stderr.flush()


def plain(value: Any) -> Any:
    """`value` in terms of JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return value


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; columns whose name begins with # are right-aligned numbers.

    Title and cells are shown as they are: folder names such as "[bug] reports" are no markup.
    """
    view = Table(title=Text(title, style="bold"), title_justify="left", header_style="bold")
    for column in columns:
        is_number = column.startswith("#")
        view.add_column(
            column.removeprefix("#"), justify="right" if is_number else "left", overflow="fold"
        )
    for row in rows:
        view.add_row(*(Text("–" if cell is None else str(cell)) for cell in row))
    console.print(view)


def percent(value: float | None) -> str:
    """0.9312 → 93.1 %."""
    return "–" if value is None else f"{value * 100:.1f} %"


def when(value: datetime | None) -> str:
    """Local time, to the second."""
    return "never" if value is None else value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
