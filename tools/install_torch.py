"""Install the pinned PyTorch into the environment that runs this: the CPU or the CUDA build.

On Linux, PyPI's torch is the CUDA build, with several gigabytes of libraries that a machine
without an NVIDIA GPU never uses. So for `cpu`: where pip's own sources offer a CPU build it is
taken; else PyTorch's index of CPU builds is asked, for torch alone; else it is plain pip, with a
note. Everywhere but on Linux there is just one build.

    python tools/install_torch.py cpu|cuda
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CUDA_PACKAGES = re.compile(r"(nvidia|cuda|triton)\b", re.IGNORECASE)
CPU_SUFFIX = "cpu"
"""The local part (PEP 440) of the version of a CPU build for Linux: 2.13.0+cpu."""


def main() -> int:
    """Install, unless the right build is there already."""
    parser = argparse.ArgumentParser(description="Install the pinned PyTorch.")
    parser.add_argument("build", choices=["cpu", "cuda"])
    build: str = parser.parse_args().build
    version = pinned_version("torch")
    if installed_is_fine(version, build):
        return 0
    requirement = f"torch=={version}"
    if platform.system() == "Linux" and build == "cpu":
        return install_cpu(requirement)
    print(f"Installing {requirement} ...", flush=True)
    return install_as_configured(requirement, replace=build == "cuda")


def pinned_version(package: str) -> str:
    """The version of `package` in constraints.txt."""
    pin = re.search(rf"^{package}==(\S+)", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    if pin is None:
        raise SystemExit(f"{CONSTRAINTS.name} does not pin {package}")
    return pin[1]


def installed_is_fine(version: str, build: str) -> bool:
    """Whether the pinned torch is installed, and is not the CPU build where CUDA is wanted."""
    try:
        installed = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return False
    public, _, local = installed.partition("+")
    return public == version and not (build == "cuda" and local == CPU_SUFFIX)


def install_cpu(requirement: str) -> int:
    """The CPU build for Linux, by the first way that works."""
    if pip("packaging", quiet=True) != 0:  # torch's users need it too; here it reads markers
        return 1
    print(f"Installing {requirement}, the build for CPUs ...", flush=True)
    if pulls_cuda(requirement):
        from_index = pip(
            "--no-deps", "--index-url", CPU_INDEX, "--retries", "1", "--timeout", "15", requirement,
            quiet=True,
        )  # fmt: skip
        if from_index != 0:
            print(
                "Note: no CPU build of PyTorch can be reached, so this installs the build with "
                "CUDA, which also runs without a GPU but takes several gigabytes.",
                flush=True,
            )
    return install_as_configured(requirement)


def pulls_cuda(requirement: str) -> bool:
    """Whether pip, as it is configured, would take a build that needs CUDA's libraries."""
    from packaging.requirements import Requirement  # noqa: PLC0415  installed just before

    report = subprocess.run(
        # fast-deps reads the metadata inside a wheel of half a gigabyte without fetching the rest.
        [*PIP_INSTALL, "--dry-run", "--no-deps", "--ignore-installed", "--use-feature=fast-deps",
         "--report", "-", requirement],
        stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    if report.returncode != 0:
        return False  # plain pip will fail as well, and say why
    chosen: dict[str, Any] = json.loads(report.stdout)["install"][0]["metadata"]
    needed = map(Requirement, chosen.get("requires_dist", []))
    return any(
        CUDA_PACKAGES.match(need.name) and (need.marker is None or need.marker.evaluate())
        for need in needed
    )


def install_as_configured(requirement: str, *, replace: bool = False) -> int:
    """Plain pip; `replace` first replaces another build of the same version."""
    if replace and pip("--force-reinstall", "--no-deps", requirement) != 0:
        return 1
    return pip(requirement)


PIP_INSTALL = (
    sys.executable, "-m", "pip", "install", "--quiet", "--quiet", "--constraint", str(CONSTRAINTS)
)  # fmt: skip


def pip(*arguments: str, quiet: bool = False) -> int:
    """Run `pip install` with the pins; `quiet` hides its failure too. Returns its exit status."""
    errors = subprocess.DEVNULL if quiet else None
    return subprocess.run([*PIP_INSTALL, *arguments], check=False, stderr=errors).returncode


if __name__ == "__main__":
    sys.exit(main())
