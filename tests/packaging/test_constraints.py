"""constraints.txt: everything, exactly, and the same as in this environment."""

from __future__ import annotations

import importlib.metadata
import itertools
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parents[2]
LINES = [
    line
    for line in (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def direct_requirements() -> list[Requirement]:
    """What pyproject.toml asks for, with every extra; an extra that names others is no package."""
    extras = PROJECT["optional-dependencies"].values()
    texts = [*PROJECT["dependencies"], *itertools.chain.from_iterable(extras)]
    return [one for one in map(Requirement, texts) if one.name != PROJECT["name"]]


def installed_for_the_tests() -> list[Requirement]:
    """The direct requirements but those of the extra `bench`, which `make test` leaves out."""
    bench = {Requirement(text).name for text in PROJECT["optional-dependencies"]["bench"]}
    return [
        one
        for one in direct_requirements()
        if one.name not in bench and (one.marker is None or one.marker.evaluate())
    ]


def all_requirements() -> dict[str, str]:
    """Name and installed version of everything that the direct requirements need here."""
    found: dict[str, str] = {}
    waiting = installed_for_the_tests()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        distribution = importlib.metadata.distribution(name)
        found[name] = distribution.version.partition("+")[0]
        for text in distribution.requires or []:
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(needed)
    return found


def test_every_line_pins_one_version_and_nothing_else() -> None:
    """No ranges, local versions, hosts, hashes or options."""
    assert [line for line in LINES if not re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", line)] == []


def test_no_package_is_pinned_twice() -> None:
    """And they are sorted, so that changes read well."""
    names = [line.partition("==")[0] for line in LINES]

    assert names == sorted(set(names))


def test_everything_installed_for_inboxd_is_pinned_to_what_is_installed() -> None:
    """The tests run with the versions that users get."""
    pins = dict(line.split("==") for line in LINES)

    installed = all_requirements()

    assert len(installed) > 50
    assert {name: pins.get(name) for name in installed} == installed


def test_the_pins_satisfy_the_project() -> None:
    """Bounds in pyproject.toml and pins are changed together."""
    pins = dict(line.split("==") for line in LINES)

    wrong = [
        str(requirement)
        for requirement in direct_requirements()
        if not requirement.specifier.contains(pins[canonicalize_name(requirement.name)])
    ]

    assert wrong == []


def test_every_direct_dependency_has_its_reason() -> None:
    """In docs/dependencies.md, by name."""
    page = (CHECKOUT / "docs" / "dependencies.md").read_text(encoding="utf-8")

    missing = [r.name for r in direct_requirements() if f"| {r.name} |" not in page]

    assert missing == []
