"""Build the wheel, install it into an environment of its own, and test it there.

The other tests run against the checkout, where a file that is missing in the wheel is not
missed. Here everything of inboxd comes from the wheel. To spare installing torch and the rest a
second time, the new environment sees the packages of the one that runs this, behind its own:
a line in a .pth file adds their directory to the end of the search path, and .pth files in
there, such as the one of the editable inboxd, are not read.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

from build_wheel import CHECKOUT, build


def main() -> int:
    """Returns pytest's exit status."""
    with tempfile.TemporaryDirectory(prefix="inboxd-wheel-") as name:
        workplace = Path(name).resolve()
        wheel = build(workplace / "dist")
        print(f"Testing {wheel.name} in an environment of its own ...", flush=True)
        python = environment_with(wheel, workplace / "venv")
        subprocess.run(
            [str(python.parent / "inboxd"), "--help"],
            cwd=workplace, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return run_tests(python, workplace)


def environment_with(wheel: Path, directory: Path) -> Path:
    """A new environment with `wheel`; returns its Python."""
    venv.create(directory, with_pip=False, symlinks=True)
    python = directory / "bin" / "python"
    # Before the .pth is there: pip must not see, and replace, the inboxd of this environment.
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install",
         "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
    )  # fmt: skip
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    answer = subprocess.run(
        [str(python), "-c", query], check=True, text=True, stdout=subprocess.PIPE
    )
    own = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    pth = Path(answer.stdout.strip()) / "packages_of_the_checkout.pth"
    pth.write_text("\n".join(sorted(own)) + "\n", encoding="utf-8")
    return python


def run_tests(python: Path, workplace: Path) -> int:
    """Run a copy of tests/installed, away from the checkout and without its directory in path."""
    tests = workplace / "tests"
    shutil.copytree(CHECKOUT / "tests" / "installed", tests)
    (tests / "__init__.py").unlink(missing_ok=True)
    (workplace / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return subprocess.run(
        [str(python), "-I", "-m", "pytest", "-q", "--import-mode=importlib",
         "-p", "no:cacheprovider", str(tests)],
        cwd=workplace, check=False,
    ).returncode  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
