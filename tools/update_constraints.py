"""Choose the versions in constraints.txt anew, for Linux and macOS and Python 3.11 and newer.

pip resolves for the Python that runs it; uv resolves for all at once, so it does this one job,
from an environment that is thrown away. One version per package where there is one that suits
all, so that everyone runs what was tested. PyTorch stays as it is pinned: change it by hand.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import venv
from collections import Counter
from pathlib import Path

from install_torch import CONSTRAINTS, pinned_version

OLDEST_PYTHON = "3.11"
TOOLS = ("pip", "hatchling", "editables")
"""What installs and builds inboxd, pinned as well."""

ELSEWHERE = re.compile(r"sys_platform == '(win32|emscripten)'|os_name == 'nt'")
HEADER = """\
# Every package that an installation or the tests can need, in exactly one version.
# Made by `make pins`. A constraint installs nothing: packages that only some machines need
# (the CUDA libraries of torch, backports for older Pythons) are pinned here for them.
"""


def main() -> None:
    """Write constraints.txt."""
    requirements = [f"torch=={pinned_version('torch')}", *TOOLS]
    with tempfile.TemporaryDirectory(prefix="inboxd-pins-") as name:
        lines = resolve(requirements, Path(name)).splitlines()
    CONSTRAINTS.write_text(HEADER + "\n".join(without_markers(lines)) + "\n", encoding="utf-8")


def resolve(requirements: list[str], workplace: Path) -> str:
    """uv's answer: one requirement per line, many with markers."""
    venv.create(workplace / "venv", with_pip=True)
    python = workplace / "venv" / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "uv"], check=True)
    wanted = workplace / "requirements.in"
    wanted.write_text("\n".join(requirements), encoding="utf-8")
    return subprocess.run(
        [str(python), "-m", "uv", "pip", "compile", "--quiet", "--universal", "--upgrade",
         "--python-version", OLDEST_PYTHON, "--fork-strategy", "fewest", "--all-extras",
         "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links",
         str(CONSTRAINTS.parent / "pyproject.toml"), str(wanted)],
        check=True, text=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip


def without_markers(lines: list[str]) -> list[str]:
    """Markers are only needed where a package has several versions."""
    pins = [tuple(part.strip() for part in line.partition(";")[::2]) for line in lines]
    pins = [(pin, marker) for pin, marker in pins if not is_elsewhere(marker)]
    versions = Counter(pin.partition("==")[0] for pin, _ in pins)
    return [
        f"{pin} ; {marker}" if versions[pin.partition("==")[0]] > 1 else pin for pin, marker in pins
    ]


def is_elsewhere(marker: str) -> bool:
    """Whether a package is only for systems that inboxd does not run on."""
    return bool(marker) and all(ELSEWHERE.search(part) for part in marker.split(" or "))


if __name__ == "__main__":
    main()
