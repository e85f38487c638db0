"""Build the source distribution, and the wheel from it, with the pinned build tools.

python tools/build_wheel.py DIRECTORY
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def build(directory: Path) -> Path:
    """Build into `directory` and return the wheel. Raises `CalledProcessError`."""
    pins = (CHECKOUT / "constraints.txt").as_uri()  # a URI, as pip splits this variable at spaces
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(directory), str(CHECKOUT)],
        env={**os.environ, "PIP_CONSTRAINT": pins},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return max(directory.glob("inboxd-*.whl"), key=lambda path: path.stat().st_mtime)


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
