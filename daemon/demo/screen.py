"""How the demo looks: headings, the live list of decisions, tables.

Everything is printed line by line and stays readable where the output is no terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from daemon.demo.mails import INBOX, SampleMail
from daemon.store.tables import Action
from daemon.use_cases.history import HistoryEntry
from daemon.use_cases.learn import Progress as Report

WIDEST = 104
"""Columns used on wide terminals: longer lines are hard to follow."""

_STAGES = {
    "inventory": "Looking into the folders",
    "encode": "Reading mail with BERT",
    "train": "Learning and evaluating",
}
_SECONDS, _FOLDER, _PERCENT, _VERDICT = 8, 20, 7, 10
"""Columns of the live list; the subject gets what is left."""

LEGEND = (
    "→ sorted   ? left in the inbox, with its best guess   ✓ right   ✗ wrong, and where it belongs"
)


class Screen:
    """The console, and the few ways in which the demo writes to it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.width = min(console.width, WIDEST)
        self._chapter = 0

    def title(self, title: str, text: str) -> None:
        """The first lines."""
        self.console.print(Text(title, "bold cyan"))
        self.say(text)

    def chapter(self, title: str) -> None:
        """A numbered heading."""
        self._chapter += 1
        self.console.print()
        heading = Text(f"{self._chapter}  {title} ", "bold cyan")
        heading.append("─" * (self.width - heading.cell_len), "cyan")
        self.console.print(heading)

    def say(self, text: str, style: str = "") -> None:
        """A paragraph."""
        self.console.print(Text(text, style), width=self.width)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A line that moves while something takes time; nothing where there is no terminal."""
        with self.console.status(text):
            yield

    @contextmanager
    def progress(self) -> Iterator[Report]:
        """A bar for each stage of learning; they vanish when all is done."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        hidden = not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=hidden) as bars:
            tasks: dict[str, TaskID] = {}

            def report(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bars.add_task(_STAGES[stage])
                bars.update(tasks[stage], completed=done, total=total)

            yield report

    def decisions_head(self) -> None:
        """The column titles of `decision`."""
        line = Text(style="bold")
        line.append("after".rjust(_SECONDS) + "  " + self._fit("mail") + "  ")
        line.append("folder".ljust(_FOLDER) + " " + "sure".rjust(_PERCENT))
        self.console.print(line)

    def decision(self, mail: SampleMail, entry: HistoryEntry, seconds: float) -> None:
        """One line about one mail: how long it took, where it went, how sure that was."""
        went = entry.folder if entry.action == Action.MOVED.value else None
        place = Text(f"→ {went}", "bold") if went else Text(f"? {entry.folder or INBOX}", "yellow")
        verdict = _verdict(mail, went)
        line = Text(f"{seconds:{_SECONDS - 2}.2f} s  ")
        line.append(self._fit(mail.subject) + "  ")
        line.append_text(_padded(place, _FOLDER))
        line.append(f" {percent(entry.probability):>{_PERCENT}}  ")
        line.append_text(verdict)
        self.console.print(line, no_wrap=True, overflow="ellipsis", crop=True, width=self.width)

    def move(self, mail: SampleMail, source: str, target: str) -> None:
        """One line about a mail that the person moves."""
        self.console.print(
            Text(" " * (_SECONDS + 2) + self._fit(mail.subject) + "  ")
            + Text(f"{source} → {target}", "bold magenta"),
            no_wrap=True,
            width=self.width,
        )

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table; columns whose title begins with # hold numbers."""
        view = Table(
            box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 2, 0, 0)
        )
        for column in columns:
            is_number = column.startswith("#")
            view.add_column(
                column.removeprefix("#"), justify="right" if is_number else "left", no_wrap=True
            )
        for row in rows:
            view.add_row(*row)
        self.console.print()
        self.console.print(view, width=self.width)

    def pairs(self, values: Mapping[str, str]) -> None:
        """Names and values, one pair per line."""
        view = Table.grid(padding=(0, 3, 0, 0))
        view.add_column(style="bold", no_wrap=True)
        view.add_column()
        for name, value in values.items():
            view.add_row(name, Text(value))
        self.console.print(view, width=self.width)

    def _fit(self, text: str) -> str:
        """`text` in the width that is left for subjects."""
        others = _SECONDS + _FOLDER + _PERCENT + _VERDICT + 7
        return fit(text, max(16, self.width - others))


def _verdict(mail: SampleMail, went: str | None) -> Text:
    if (went or INBOX) == mail.folder:
        return Text("✓", "green")
    if went is None:
        return Text("unsure", "yellow")
    return Text(f"✗ {mail.folder}", "red")


def _padded(text: Text, width: int) -> Text:
    text.truncate(width, overflow="ellipsis", pad=True)
    return text


def fit(text: str, width: int) -> str:
    """`text` in exactly `width` columns, with an ellipsis where it is cut."""
    return text if cell_len(text) == width else _cut(text, width)


def _cut(text: str, width: int) -> str:
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1).rstrip() + "…"
    return set_cell_size(text, width)


def percent(value: float | None) -> str:
    """0.9312 → 93.1 %."""
    return "–" if value is None else f"{value * 100:.1f} %"


def share(part: int, whole: int) -> str:
    """37, 38 → "37 of 38 (97.4 %)"."""
    return f"{part} of {whole}" + (f" ({percent(part / whole)})" if whole else "")


def folder_rows(report: Mapping[str, Any], names: Mapping[str, str]) -> list[tuple[str, ...]]:
    """What `learn` found out per folder: mails, how many were recognised unseen, autonomy."""
    rows: list[tuple[str, ...]] = []
    for label, figures in sorted(report["per_label"].items(), key=lambda one: names[one[0]]):
        threshold = figures["threshold"]
        allowed = threshold["threshold"] is not None
        rows.append(
            (
                names[label],
                str(figures["examples"]),
                f"{figures['right']} of {figures['actual']}",
                "sorts" if allowed else "suggests",
                percent(threshold["threshold"]),
                percent(threshold["estimated_precision"]),
            )
        )
    return rows
