"""Run the heavy tests of reliability and write what came of them into docs/reliability.md.

    python tools/reliability.py run           # tests/faults in full, then the page
    python tools/reliability.py run --keep -k killed   # a part, beside what ran before
    python tools/reliability.py write         # only the page, from the results that lie there

The rows come from result files, one JSON object per line, in .cache/reliability/*.jsonl. Every
suite leaves a file of its own there, which it begins anew when it starts:

    {"suite": "faults", "scenario": "MOVE: carried out, the reply is lost",
     "server": "Dovecot maildir", "runs": 1, "outcome": "passed", "date": "2026-03-01"}

    suite      who ran it: "faults" (this tool), "servers" (make test-servers), "fuzz" (make fuzz)
    scenario   what was done, in words; lines of one suite, scenario and server become one row
    server     on what, "" when there is none
    runs       how often: kills, faults, steps, inputs
    outcome    "passed", "failed", or "skipped" with a "reason"; the worst of a row is shown
    date       the day, YYYY-MM-DD
    note       optional: more about the outcome, shown in brackets
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / ".cache" / "reliability"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- results: begin (written by tools/reliability.py) -->"
END = "<!-- results: end -->"
WORST_FIRST = ("failed", "skipped", "passed")


class Row(NamedTuple):
    """One line of the table."""

    suite: str
    scenario: str
    server: str
    runs: int
    outcome: str
    date: str


def read_rows(directory: Path) -> list[Row]:
    """All result lines, those of one suite, scenario and server taken together."""
    lines = [
        json.loads(line)
        for path in sorted(directory.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    groups: dict[tuple[str, str, str], list[dict[str, object]]] = {}
    for line in lines:
        key = (str(line["suite"]), str(line["scenario"]), str(line["server"]))
        groups.setdefault(key, []).append(line)
    return [_row(*key, found) for key, found in groups.items()]


def _row(suite: str, scenario: str, server: str, lines: Sequence[dict[str, object]]) -> Row:
    outcomes = [str(line["outcome"]) for line in lines]
    worst = min(outcomes, key=WORST_FIRST.index)
    reasons = sorted({str(line["reason"]) for line in lines if line.get("reason")})
    notes = sorted({str(line["note"]) for line in lines if line.get("note")})
    if worst == "failed" and not notes:
        notes = [f"{outcomes.count('failed')} of {len(lines)}"]
    remark = f" ({'; '.join(notes)})" if notes else ""
    return Row(
        suite=suite,
        scenario=scenario,
        server=server,
        runs=sum(int(str(line["runs"])) for line in lines),
        outcome=worst + remark + (f": {'; '.join(reasons)}" if worst == "skipped" else ""),
        date=max(str(line["date"]) for line in lines),
    )


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown, suites and scenarios in the order in which they ran."""
    lines = ["| suite | scenario | server | runs | outcome | date |", "|---|---|---|--:|---|---|"]
    lines += [
        f"| {row.suite} | {_cell(row.scenario)} | {_cell(row.server) or '–'} | {row.runs:,} "
        f"| {_cell(row.outcome)} | {row.date} |"
        for row in rows
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def with_table(page: str, rows: Sequence[Row]) -> str:
    """The page with a new table between the markers."""
    before, found, rest = page.partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not found or not found_end:
        raise SystemExit(f"{PAGE} lacks the markers {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{table(rows)}\n\n{END}{after}"


def write() -> None:
    """Bring the page up to date."""
    rows = read_rows(RESULTS)
    if not rows:
        raise SystemExit(f"There are no results in {RESULTS}. Run: make reliability")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(rows)} rows")


def run(arguments: Sequence[str], *, keep: bool) -> int:
    """tests/faults in full, or what pytest's `arguments` leave of it; returns pytest's exit code.

    With `keep` the results are added to those of earlier parts.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    results = RESULTS / "faults.jsonl"
    if not keep:
        results.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "INBOXD_RELIABILITY": "1",
        "INBOXD_RELIABILITY_RESULTS": str(results),
    }
    command = [sys.executable, "-m", "pytest", "-q", "tests/faults", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main() -> int:
    """See the module's docstring; exit code 1 when something failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("run", "write"))
    parser.add_argument("--keep", action="store_true", help="add to the results of earlier parts")
    chosen, rest = parser.parse_known_args()
    code = run(rest, keep=chosen.keep) if chosen.command == "run" else 0
    write()
    return code


if __name__ == "__main__":
    sys.exit(main())
