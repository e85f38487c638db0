"""Write the man page docs/man/inboxd.1 from the command line's own help.

    python tools/make_man.py [--check]

One page for all commands, in the macros of man(7). With --check nothing is written, and the exit
status says whether the page is up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

from daemon.cli.main import cli

PAGE = Path(__file__).resolve().parents[1] / "docs" / "man" / "inboxd.1"

FILES = (
    ("~/.config/inboxd/config.toml, /etc/inboxd/config.toml", "The configuration."),
    ("~/.local/state/inboxd", "Database, models and locks; see [state] dir."),
    ("~/.cache/inboxd", "The encoder in the form that inboxd loads; see [model] cache_dir."),
)
ENVIRONMENT = (
    ("INBOXD_CONFIG", "The configuration file, where --config is not given."),
    (
        "INBOXD_SECTION__KEY",
        "A value of the configuration, such as INBOXD_MODEL__DEVICE; wins over the file.",
    ),
)


def main() -> int:
    """Write or check; returns the exit status."""
    page = man_page()
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.is_file() and PAGE.read_text("utf-8") == page else 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    return 0


def man_page() -> str:
    """The whole page."""
    command = typer.main.get_command(cli)
    return "\n".join(_lines(command)) + "\n"


def _lines(command: Any) -> Iterator[str]:
    # Without a date: it would change with every run, and with nothing else.
    yield f'.TH INBOXD 1 "" "inboxd {version("inboxd")}" "User commands"'
    yield ".SH NAME\ninboxd \\- learns where your mail belongs, and sorts it there"
    yield ".SH SYNOPSIS\n.B inboxd\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]"
    yield ".SH DESCRIPTION"
    yield from _paragraphs(command.help)
    yield ".SH OPTIONS"
    yield from _parameters(command)
    yield ".SH COMMANDS"
    for path, each in _commands(command, "inboxd"):
        yield f".SS {_escaped(path)}"
        yield _synopsis(path, each)
        yield ".PP"
        yield from _paragraphs(each.help)
        yield from _parameters(each)
        if each.epilog:
            yield ".PP"
            yield from _paragraphs(each.epilog)
    yield ".SH EXIT STATUS"
    yield from _paragraphs(command.epilog.removeprefix("Exit codes: "))
    yield ".SH ENVIRONMENT"
    yield from _terms(ENVIRONMENT)
    yield ".SH FILES"
    yield from _terms(FILES)


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, groups left out, by its whole name."""
    for name, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _synopsis(path: str, command: Any) -> str:
    parts = [f"\\fB{_escaped(path)}\\fR", "[\\fIoptions\\fR]"]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = f"\\fI{_escaped(_argument_name(parameter))}\\fR"
            more = " ..." if parameter.nargs == -1 else ""
            parts.append(f"{name}{more}" if parameter.required else f"[{name}{more}]")
    return " ".join(parts)


def _argument_name(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _parameters(command: Any) -> Iterator[str]:
    terms = []
    for parameter in command.params:
        text = str(getattr(parameter, "help", "") or "")
        if getattr(parameter, "hidden", False) or not text:
            continue
        if parameter.param_type_name == "argument":
            terms.append((_argument_name(parameter), text))
        else:
            terms.append((_option(parameter), text))
    yield from _terms(terms)


def _option(parameter: Any) -> str:
    names = ", ".join((*sorted(parameter.opts, key=len), *parameter.secondary_opts))
    if parameter.is_flag:
        return names
    # Not its type's name: typer and click call these differently from version to version.
    value = str(parameter.metavar or parameter.name.rpartition("_")[2].upper())
    return f"{names} {value}"


def _terms(terms: Any) -> Iterator[str]:
    for term, text in terms:
        yield f".TP\n\\fB{_escaped(term)}\\fR"
        yield from _paragraphs(text)


def _paragraphs(text: str | None) -> Iterator[str]:
    """Paragraphs of help, without rich's markup, with roff's characters escaped."""
    plain = re.sub(r"\[/?bold\]", "", text or "")
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", plain.strip())]
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ".PP"
        yield from re.split(r"(?<=[.:;]) (?=[A-Z])", _escaped(paragraph))


def _escaped(text: str) -> str:
    """A control character at the beginning of a line would be a request."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("·", "\\(bu").replace("…", "...")
    safe = safe.replace("→", "\\(->").replace("–", "\\(en").replace('"', "\\(dq")
    safe = "".join(each if ord(each) < 128 else f"\\[u{ord(each):04X}]" for each in safe)
    return re.sub(r"^(['.])", r"\\&\1", safe)


if __name__ == "__main__":
    sys.exit(main())
