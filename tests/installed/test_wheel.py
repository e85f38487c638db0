"""The installed distribution: nobody else's names, nothing missing, nothing superfluous.

`tools/check_wheel.py` runs a copy of this directory in an environment whose inboxd comes from
the wheel. In the checkout only those tests run that make sense there. Nothing of `tests` may be
imported here.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

NAMES = ("daemon", "classifier", "trainer")
SITE_PACKAGES = Path(sysconfig.get_path("purelib"))


def home_of(name: str) -> Path:
    """The directory of a package, without importing it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


from_wheel = pytest.mark.skipif(
    home_of("daemon").parent != SITE_PACKAGES,
    reason="inboxd is not installed from a wheel here; tools/check_wheel.py does that",
)


@pytest.mark.parametrize("name", NAMES)
def test_no_other_distribution_provides_our_names(name: str) -> None:
    """python-daemon also owns `daemon`: together, one overwrites files of the other."""
    providers = set(importlib.metadata.packages_distributions().get(name, []))

    assert providers - {"inboxd"} == set()


@from_wheel
def test_the_packages_sit_side_by_side_and_alone() -> None:
    """No tests, tools or benchmark among everyone's packages."""
    files = importlib.metadata.files("inboxd") or []
    top_level = {file.parts[0] for file in files if file.parts[0] != ".."}

    assert {home_of(name) for name in NAMES} == {SITE_PACKAGES / name for name in NAMES}
    assert {name for name in top_level if not name.endswith(".dist-info")} == set(NAMES)


@from_wheel
def test_the_migrations_are_inside() -> None:
    """The daemon brings its database up to date from the package."""
    migrations = home_of("daemon") / "migrations"

    assert (migrations / "env.py").is_file()
    assert list((migrations / "versions").glob("*.py"))


@from_wheel
def test_the_example_configuration_is_inside_and_loads() -> None:
    """With the settings model of the same wheel."""
    from daemon.config.load import load_config  # noqa: PLC0415  only where it is installed

    example = home_of("daemon") / "config.example.toml"

    assert load_config(example).settings.accounts["private"].host == "imap.example.org"


@from_wheel
def test_the_sample_mailbox_of_the_demo_is_inside() -> None:
    """It is data, which build tools like to forget."""
    assert list((home_of("daemon") / "demo" / "mailbox").glob("*.toml"))


@from_wheel
def test_the_command_is_that_of_the_wheel(tmp_path: Path) -> None:
    """It starts from any directory and explains itself."""
    command = Path(sys.executable).parent / "inboxd"

    answer = subprocess.run(
        [str(command), "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert answer.returncode == 0, answer.stderr
    assert "learn" in answer.stdout
