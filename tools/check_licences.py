"""May inboxd, under MIT, be given on together with everything that it is installed with?

    python tools/check_licences.py

Looks at every package of this environment (pip-licenses reads their metadata). A licence has to
be on the list below; copyleft and what nobody can name is refused, unless `EXCEPTIONS` gives
the reason. Exit status 1 and one line per package that is not in order.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping

ALLOWED = frozenset(
    {
        "0BSD",
        "3-Clause BSD License",
        "Apache 2.0 License",
        "Apache Software License",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD License",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "CNRI-Python",
        "ISC",
        "ISC License (ISCL)",
        "MIT",
        "MIT License",
        "MIT-0",
        "MIT-CMU",
        "PSF-2.0",
        "Python Software Foundation License",
        "Unlicense",
        "Zlib",
    }
)
"""Permissive: may be given on under any terms, with the notice."""

_ANY = re.IGNORECASE

EXCEPTIONS: Mapping[str, str] = {
    "atheris": "Apache-2.0 by its LICENSE file, metadata without a licence; for fuzzing only",
    "certifi": "MPL-2.0: a list of authorities, imported unchanged",
    "hypothesis": "MPL-2.0: for the tests only, imported unchanged",
    "imapclient": "BSD-3-Clause by its COPYING file, metadata without a licence",
    "pathspec": "MPL-2.0: comes with mypy, imported unchanged",
    "pytest-timeout": "MIT; its metadata says 'DFSG approved' besides",
    "tqdm": "MPL-2.0 and MIT: progress bars of the model hub's client, imported unchanged",
}
"""Packages whose licence was looked at by a person, with what she found."""


def main() -> int:
    """Look at all packages; returns the exit status."""
    command = [sys.executable, "-m", "piplicenses", "--format=json", "--with-system"]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    packages = {package["Name"]: package["License"] for package in listed}
    faults = sorted(faults_of(packages))
    for fault in faults:
        print(fault)
    if not faults:
        print(f"Licences of {len(packages)} packages: all in order.")
    return 1 if faults else 0


def faults_of(packages: Mapping[str, str]) -> Iterable[str]:
    """One line for each package (name: licence) that is not in order."""
    for name, licence in packages.items():
        key = re.sub(r"[-_.]+", "-", name).lower()
        if is_allowed(licence):
            continue
        if key not in EXCEPTIONS or is_strong_copyleft(licence):
            yield f"{name}: {licence} is not on the list in tools/check_licences.py"


def is_allowed(licence: str) -> bool:
    """Whether every part of an SPDX expression is permissive; of alternatives, one."""
    return any(_all_allowed(choice) for choice in re.split(r"\s+OR\s+", licence))


def is_strong_copyleft(licence: str) -> bool:
    """GPL and AGPL in any spelling: no exception helps. LGPL needs one."""
    plain = re.sub(r"LGPL|Lesser General Public|Library General Public", "", licence, flags=_ANY)
    return re.search(r"GPL|General Public|Affero|SSPL", plain, _ANY) is not None


def _all_allowed(choice: str) -> bool:
    parts = re.split(r"\s+AND\s+|;\s*", choice)
    return all(part.strip("() ") in ALLOWED or part in ALLOWED for part in parts)


if __name__ == "__main__":
    sys.exit(main())
