"""The helpers of the Makefile, run as it runs them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TOOLS = CHECKOUT / "tools"


def load_tool(name: str) -> ModuleType:
    """A tool as a module; tools are scripts and no package."""
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOOLS)  # as for a script
        spec.loader.exec_module(module)
    return module


def write_torch(directory: Path, version: str, *requires: str) -> None:
    """A wheel that says it is torch."""
    info = f"torch-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n" + "".join(
        f"Requires-Dist: {requirement}\n" for requirement in requires
    )
    with zipfile.ZipFile(directory / f"torch-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def only_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is all that pip knows."""
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return tmp_path


def test_a_torch_with_cuda_libraries_is_recognised(only_source: Path) -> None:
    """From its metadata alone; nothing of it is installed."""
    tool = load_tool("install_torch")
    write_torch(only_source, tool.pinned_version("torch"), "filelock", "nvidia-cublas==13.1")

    assert tool.pulls_cuda(f"torch=={tool.pinned_version('torch')}")


def test_requirements_of_other_systems_do_not_count(only_source: Path) -> None:
    """Their markers are looked at."""
    tool = load_tool("install_torch")
    version = tool.pinned_version("torch")
    write_torch(only_source, version, 'triton==3.7; sys_platform == "win32"', "filelock")

    assert not tool.pulls_cuda(f"torch=={version}")


def test_a_cpu_build_among_pips_sources_is_preferred(only_source: Path) -> None:
    """A local version is newer than the plain one (PEP 440), so pip takes it by itself."""
    tool = load_tool("install_torch")
    version = tool.pinned_version("torch")
    write_torch(only_source, version, "nvidia-cublas==13.1")
    write_torch(only_source, f"{version}+cpu", "filelock")

    assert not tool.pulls_cuda(f"torch=={version}")


def test_any_build_of_the_pinned_torch_is_kept_but_the_cpu_one_where_cuda_is_wanted() -> None:
    """So running make again changes nothing."""
    tool = load_tool("install_torch")
    version = tool.pinned_version("torch")
    installed = importlib.metadata.version("torch")

    assert tool.installed_is_fine(version, "cpu")
    assert tool.installed_is_fine(version, "cuda") == (not installed.endswith("+cpu"))
    assert not tool.installed_is_fine("0.1", "cpu")


def test_markers_stay_only_where_a_package_has_two_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And packages for systems that inboxd does not run on are left out."""
    monkeypatch.syspath_prepend(TOOLS)
    tool = load_tool("update_constraints")

    lines = tool.without_markers(
        [
            "a==1 ; sys_platform == 'linux'",
            "b==1 ; python_full_version < '3.12'",
            "b==2 ; python_full_version >= '3.12'",
            "c==1 ; os_name == 'nt' or sys_platform == 'win32'",
            "d==1",
        ]
    )

    assert lines == [
        "a==1",
        "b==1 ; python_full_version < '3.12'",
        "b==2 ; python_full_version >= '3.12'",
        "d==1",
    ]


@pytest.mark.parametrize(
    ("family", "command"),
    [
        ("debian", "apt-get install --no-install-recommends dovecot-imapd"),
        ("fedora", "dnf install dovecot"),
        ("darwin", "brew install dovecot"),
        ("", "the package dovecot of your system"),
    ],
)
def test_without_dovecot_one_learns_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], family: str, command: str
) -> None:
    """On every system; as nobody in particular, who may not install anything."""
    tool = load_tool("ensure_dovecot")
    monkeypatch.setattr(tool, "find_dovecot", lambda: None)
    monkeypatch.setattr(tool, "system_family", lambda: family)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert tool.main() == 1
    assert command in capsys.readouterr().err


def make_venv(directory: Path, python: str) -> subprocess.CompletedProcess[str]:
    """Run make_venv.sh with this Python."""
    return subprocess.run(
        ["sh", str(TOOLS / "make_venv.sh"), str(directory / "venv")],
        env={**os.environ, "PYTHON": python},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(path: Path, *, version_fits: bool) -> str:
    """A program that answers like a Python that is too old, or like one without venv."""
    path.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "--version) echo Python 3.8.1 ;;\n"
        "*'import venv'*) exit 1 ;;\n"
        "*print*) echo 3.11 ;;\n"
        f"*) exit {0 if version_fits else 1} ;;\n"
        "esac\n",
        encoding="utf-8",
    )
    path.chmod(0o755)
    return str(path)


def test_a_python_that_is_not_there_or_too_old_is_named(tmp_path: Path) -> None:
    """With the version that is needed."""
    missing = make_venv(tmp_path, "python9.9")
    old = make_venv(tmp_path, fake_python(tmp_path / "python", version_fits=False))

    assert missing.returncode == 1
    assert "PYTHON=python9.9: there is no such program" in missing.stderr
    assert old.returncode == 1
    assert "Python 3.8.1; inboxd needs Python 3.11 or newer" in old.stderr


def test_a_python_without_venv_is_named_with_the_package_to_install(tmp_path: Path) -> None:
    """Debian and Ubuntu split it off."""
    answer = make_venv(tmp_path, fake_python(tmp_path / "python", version_fits=True))

    assert answer.returncode == 1
    assert "apt-get install python3.11-venv" in answer.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_alone_explains_every_target() -> None:
    """And does nothing."""
    answer = subprocess.run(
        ["make", "--no-print-directory"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )

    for target in ("install", "demo", "test", "check", "lint", "types", "bench", "wheel", "clean"):
        assert re.search(rf"^  make {target} +\w", answer.stdout, re.MULTILINE), target


def test_the_tools_are_those_of_this_python() -> None:
    """pip installs for the Python that runs the tool, not for the first one in PATH."""
    assert load_tool("install_torch").PIP_INSTALL[0] == sys.executable
