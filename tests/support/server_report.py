"""What was tested on which server, as JSON lines for docs/reliability.md.

    pytest --server-report .cache/reliability/servers.jsonl …

One object per scenario and server, as `tools/reliability.py` reads them; "note" counts the
outcomes when they differ.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.mail_servers import KINDS

SCENARIOS = {
    "tests/contract/": "mailbox contract",
    "tests/servers/test_corrections.py": "people's moves recognised",
    "tests/e2e/test_loop.py": "learn, sort, correct, re-fit, undo",
    "tests/servers/": "folder names and many folders",
}
"""Beginning of a test's name to what it shows; the first that fits counts."""


class ServerReport:
    """A pytest plugin that counts outcomes and writes them down at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[tuple[str, str], Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test, in the process that sees the tests of all."""
        if report.when != "call" and not report.failed:
            return
        scenario = next(
            (s for start, s in SCENARIOS.items() if report.nodeid.startswith(start)), ""
        )
        server = server_of(report.nodeid)
        if scenario and server:
            outcome = "not possible" if hasattr(report, "wasxfail") else report.outcome
            self._outcomes.setdefault((scenario, server), Counter())[outcome] += 1

    def pytest_sessionfinish(self) -> None:
        """Write the file to the side and rename it."""
        lines = [
            json.dumps(result(scenario, server, outcomes))
            for (scenario, server), outcomes in sorted(self._outcomes.items())
        ]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        part.replace(self._path)


def result(scenario: str, server: str, outcomes: Counter[str]) -> dict[str, object]:
    """One line of the file."""
    counts = ", ".join(f"{n} {outcome}" for outcome, n in sorted(outcomes.items()))
    return {
        "suite": "servers",
        "scenario": scenario,
        "server": KINDS[server].title,
        "runs": outcomes.total(),
        "outcome": "failed" if outcomes["failed"] else "passed",
        "note": counts if len(outcomes) > 1 else "",
        "date": datetime.now(UTC).date().isoformat(),
    }


def server_of(test: str) -> str:
    """The server in a test's parameters: the longest name that they begin with or hold."""
    # xdist adds the group that a test belongs to.
    parameters = test.partition("@")[0].partition("[")[2].removesuffix("]")
    names = [name for name in KINDS if f"-{name}-" in f"-{parameters}-"]
    return max(names, key=len, default="")
