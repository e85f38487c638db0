"""The tables of `docs/configuration.md` and `config.example.toml`, made from the settings model.

`python -m daemon.config.docs` prints the tables; with `--write` it brings both files of a
checkout up to date. A test compares them.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from daemon.config.fields import Key, SectionOfKeys, describe, item_model, sections_of
from daemon.config.render import render_example
from daemon.config.settings import Settings
from daemon.config.toml import toml_value

BEGIN = "<!-- begin: python -m daemon.config.docs -->"
END = "<!-- end -->"

_COMPUTED_DEFAULTS = {
    "dir": "`$XDG_STATE_HOME/inboxd`",
    "cache_dir": "`$XDG_CACHE_HOME/inboxd`",
    "port": "`993` or `143`",
}


def render_tables() -> str:
    """One chapter with a table for each section of the configuration."""
    return "\n".join(line for section in sections_of(Settings) for line in _chapter(section))


def with_tables(page: str) -> str:
    """`page` with the text between the two markers made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{render_tables()}\n{END}{after}"


def main(arguments: list[str]) -> None:
    """Print the tables, or write the two files."""
    if arguments != ["--write"]:
        sys.stdout.write(render_tables())
        return
    checkout = Path(__file__).resolve().parents[2]
    page = checkout / "docs" / "configuration.md"
    page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
    (checkout / "config.example.toml").write_text(render_example(), encoding="utf-8")


def _chapter(section: SectionOfKeys, *, in_list: bool = False) -> Iterator[str]:
    heading = f"[{'.'.join(section.path)}]"
    yield f"### [{heading}]" if in_list else f"### {heading}"
    yield ""
    yield " ".join((inspect.getdoc(section.model) or "").split())
    yield ""
    yield "| key | takes | default | what it means |"
    yield "|---|---|---|---|"
    yield from map(_row, section.keys)
    yield ""
    for key in section.keys:
        item = item_model(key.info)
        if item is not None:
            keys = tuple(Key((*key.path, name), info) for name, info in item.model_fields.items())
            yield from _chapter(SectionOfKeys(key.path, item, keys), in_list=True)


def _row(key: Key) -> str:
    name = key.path[-1]
    meaning = " ".join((key.info.description or "").split())
    cells = (f"`{name}`", describe(key.info), _default(key), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(key: Key) -> str:
    name = key.path[-1]
    if key.info.is_required():
        return "must be given"
    if name in _COMPUTED_DEFAULTS:
        return _COMPUTED_DEFAULTS[name]
    default = key.info.get_default(call_default_factory=True, validated_data={})
    return "none" if default is None else f"`{toml_value(default)}`"


if __name__ == "__main__":
    main(sys.argv[1:])
