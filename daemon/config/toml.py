"""Values as TOML writes them; the standard library only reads TOML."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Any


def toml_value(value: Any) -> str:
    """`value` as the right-hand side of a TOML line (TOML 1.0).

    Raises `TypeError` for what a setting cannot be.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return toml_value(value.value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        # JSON's escapes are TOML's too; only DEL is allowed bare in JSON and not in TOML.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, time):
        return toml_value(value.strftime("%H:%M"))
    if isinstance(value, Mapping):
        pairs = [f"{toml_value(str(key))} = {toml_value(each)}" for key, each in value.items()]
        return "{ " + ", ".join(pairs) + " }" if pairs else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    raise TypeError(f"no TOML for {type(value).__name__}")
