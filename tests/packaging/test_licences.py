"""The checks of licences and of known vulnerabilities can say no."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


def tool(name: str) -> ModuleType:
    """A script of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("licence", "is_in_order"),
    [
        ("MIT", True),
        ("MIT License", True),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", True),
        ("GPL-2.0-only OR MIT", True),
        ("MIT AND GPL-2.0-only", False),
        ("GPL-3.0-or-later", False),
        ("GNU Affero General Public License v3", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("MPL-2.0", False),
        ("UNKNOWN", False),
        ("", False),
    ],
)
def test_copyleft_and_what_nobody_can_name_is_refused(licence: str, is_in_order: bool) -> None:
    """Of alternatives one has to be permissive, of parts all."""
    found = list(tool("check_licences").faults_of({"somebody": licence}))
    assert (found == []) is is_in_order


def test_an_exception_does_not_help_a_strong_copyleft() -> None:
    """A package that changes its licence is looked at again."""
    check = tool("check_licences")
    assert list(check.faults_of({"tqdm": "MPL-2.0 AND MIT"})) == []
    assert len(list(check.faults_of({"tqdm": "GPL-3.0"}))) == 1
    assert len(list(check.faults_of({"TQDM": "AGPL-3.0-only"}))) == 1


def test_an_audit_that_could_not_look_does_not_say_that_all_is_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Three outcomes: nothing known, something found, could not look."""
    audit = tool("audit_dependencies")
    assert audit.report(0, "No known vulnerabilities found\n", "") == 0
    assert audit.report(1, "pkg 1.0 PYSEC-1\n", "Found 1 known vulnerability") == 1
    assert audit.report(1, "", "requests.exceptions.ConnectionError: Max retries exceeded") == 2
    assert "nothing was checked" in capsys.readouterr().out
