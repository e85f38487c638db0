"""docs/reliability.md is made from the result lines of every suite."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.packaging.test_tools import load_tool
from tests.support import server_report

reliability = load_tool("reliability")


def line(**values: object) -> str:
    """One result, as a suite leaves it."""
    common = {"suite": "faults", "scenario": "kill -9", "server": "Dovecot", "runs": 100}
    return json.dumps({**common, "outcome": "passed", "date": "2026-03-01", **values}) + "\n"


def test_lines_of_one_scenario_become_one_row(tmp_path: Path) -> None:
    """Runs are added up; the worst outcome and the last day are shown."""
    (tmp_path / "faults.jsonl").write_text(
        line() + line(runs=50, outcome="failed", date="2026-03-02") + line(server="Cyrus")
    )
    (tmp_path / "fuzz.jsonl").write_text(
        line(suite="fuzz", scenario="parser", server="", runs=10_000)
        + line(suite="fuzz", scenario="long", outcome="skipped", reason="no time")
    )
    shown = reliability.table(reliability.read_rows(tmp_path)).splitlines()
    assert shown[2:] == [
        "| faults | kill -9 | Dovecot | 150 | failed (1 of 2) | 2026-03-02 |",
        "| faults | kill -9 | Cyrus | 100 | passed | 2026-03-01 |",
        "| fuzz | parser | – | 10,000 | passed | 2026-03-01 |",
        "| fuzz | long | Dovecot | 100 | skipped: no time | 2026-03-01 |",
    ]


def test_what_the_server_tests_write_is_read(tmp_path: Path) -> None:
    """Another suite, the same form: what differs from a plain pass is counted."""
    counts = {"courier": {"passed": 72, "not possible": 1}, "pymap": {"passed": 3, "failed": 1}}
    (tmp_path / "servers.jsonl").write_text(
        "".join(
            json.dumps(server_report.result("mailbox contract", server, Counter(each))) + "\n"
            for server, each in counts.items()
        )
    )
    rows = reliability.read_rows(tmp_path)
    assert [(row.server, row.runs, row.outcome) for row in rows] == [
        ("Courier", 73, "passed (1 not possible, 72 passed)"),
        ("pymap", 4, "failed (1 failed, 3 passed)"),
    ]


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    """The page around the table is written by hand."""
    (tmp_path / "faults.jsonl").write_text(line())
    page = reliability.PAGE.read_text(encoding="utf-8")
    written = reliability.with_table(page, reliability.read_rows(tmp_path))
    assert written.split(reliability.BEGIN)[0] == page.split(reliability.BEGIN)[0]
    assert written.split(reliability.END)[1] == page.split(reliability.END)[1]
    assert "| faults | kill -9 | Dovecot | 100 |" in written
    with pytest.raises(SystemExit):
        reliability.with_table("no markers", [])
