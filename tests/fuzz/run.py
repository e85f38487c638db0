"""`make fuzz`: random messages for some seconds, and at least 10,000 of them.

    python -m tests.fuzz.run [SECONDS] [--seed N] [--no-atheris]

Half of the time goes to our own generator, half to atheris (libFuzzer, guided by coverage),
where it is installed. The corpus in ../shared/data/torture-messages, or where
INBOXD_TORTURE_MESSAGES says, serves as raw material when it is there. A message that breaks a
promise is written to .cache/fuzz/ and ends the run with exit code 1. One line of JSON per
fuzzer is left in .cache/reliability/fuzz.jsonl, for tools/reliability.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from tests.fuzz.corpus import torture_messages
from tests.fuzz.generate import messages
from tests.fuzz.mails import ODD
from tests.fuzz.pipeline import read

CHECKOUT = Path(__file__).parents[2]
FOUND = CHECKOUT / ".cache" / "fuzz"
RESULTS = CHECKOUT / ".cache" / "reliability" / "fuzz.jsonl"
LEAST = 10_000


def main() -> int:
    """Run both fuzzers; 1 when either found something."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("seconds", nargs="?", type=float, default=60.0)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--no-atheris", action="store_true")
    chosen = arguments.parse_args()
    FOUND.mkdir(parents=True, exist_ok=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.unlink(missing_ok=True)
    material = (*(content for content, _ in ODD.values()), *torture_messages().values())
    failures = generated(chosen.seconds / 2, chosen.seed, material)
    if not chosen.no_atheris and importlib.util.find_spec("atheris") is not None:
        failures += guided(chosen.seconds / 2, chosen.seed, material)
    return 1 if failures else 0


def generated(seconds: float, seed: int, material: tuple[bytes, ...]) -> int:
    """Messages from our own generator: for so long, and `LEAST` of them in any case."""
    end = time.monotonic() + seconds
    runs = failures = 0
    while runs < LEAST or time.monotonic() < end:
        for content in messages(seed + runs, 500, material):
            runs += 1
            failures += not survives(content)
    report("random and mutated messages", runs, failures)
    return failures


def survives(content: bytes) -> bool:
    """Whether the message can be read; one that cannot is kept."""
    try:
        read(content)
    except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
        path = FOUND / f"generated-{abs(hash(content)):x}.eml"
        path.write_bytes(content)
        print(f"{path}\n{traceback.format_exc()}", file=sys.stderr)  # noqa: T201 - a tool
        return False
    return True


def guided(seconds: float, seed: int, material: tuple[bytes, ...]) -> int:
    """atheris in a process of its own, since libFuzzer ends the process when it is done."""
    corpus = FOUND / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, content in enumerate(material):
        if len(content) <= 20_000:
            (corpus / f"seed-{number}").write_bytes(content)
    command = [sys.executable, "-m", "tests.fuzz.atheris_target", str(corpus)]
    command += [f"-max_total_time={max(1, int(seconds))}", f"-seed={seed}", "-max_len=20000"]
    command += ["-rss_limit_mb=2048", "-timeout=25", f"-artifact_prefix={FOUND}/"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    executed = re.findall(r"^#(\d{1,12})\s", done.stderr, re.MULTILINE)
    failures = int(done.returncode != 0)
    if failures:
        print(done.stderr[-4_000:], file=sys.stderr)  # noqa: T201 - a tool
    report("messages guided by coverage (atheris)", int(executed[-1]) if executed else 0, failures)
    return failures


def report(scenario: str, runs: int, failures: int) -> None:
    """A line for docs/reliability.md, and one for the reader."""
    outcome = "all read" if not failures else f"{failures} failed"
    line = {
        "suite": "fuzz",
        "scenario": scenario,
        "server": "",
        "runs": runs,
        "outcome": "failed" if failures else "passed",
        "note": outcome if failures else "",
        "date": datetime.now(UTC).date().isoformat(),
    }
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(f"{scenario}: {runs} runs, {outcome}")  # noqa: T201 - a tool


if __name__ == "__main__":
    sys.exit(main())
