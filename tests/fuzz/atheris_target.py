"""The fuzz target for atheris; `python -m tests.fuzz.atheris_target CORPUS -max_total_time=60`."""

from __future__ import annotations

import sys
from typing import Any

import atheris


def load() -> Any:
    """The pipeline, instrumented so that libFuzzer sees which lines a message reaches."""
    with atheris.instrument_imports(include=["classifier", "daemon"]):
        from tests.fuzz.pipeline import read  # noqa: PLC0415 - instrumented by being imported here
    return read


def main() -> None:
    """Run libFuzzer; it reads its options from the command line and ends the process."""
    read = load()
    atheris.Setup(sys.argv, lambda content: read(bytes(content)) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
