"""Versions, the current one, and the way back."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from classifier.manifest import write_directory
from classifier.registry import Registry, RegistryError

NOON = datetime(2025, 3, 14, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def made(registry: Registry, hours: int = 0) -> str:
    """A finished version (the registry does not care what is in it)."""
    version = registry.new_version(NOON + timedelta(hours=hours))
    write_directory(registry.path(version), {"config.json": b"{}"}, {})
    return version


def test_an_empty_registry_has_no_current_version(registry: Registry) -> None:
    """Before the first model; nothing is created by looking."""
    assert registry.current() is None
    assert registry.versions() == []
    assert registry.prune() == []
    assert not registry.root.exists()


def test_versions_are_named_by_utc_time_and_never_twice(registry: Registry) -> None:
    """Two models in one second get two names, in order."""
    berlin = NOON.astimezone(timezone(timedelta(hours=1)))
    assert registry.new_version(berlin) == "20250314T120000Z"
    names = [made(registry) for _ in range(11)]
    assert names[0] == "20250314T120000Z"
    assert names[10] == "20250314T120000Z-11"
    assert [one.version for one in registry.versions()] == names


def test_promotion_is_remembered_by_the_next_process(registry: Registry) -> None:
    """The pointer is a file that only the owner may read."""
    version = made(registry)
    registry.promote(version)
    assert Registry(registry.root).current() == version
    assert stat.S_IMODE((registry.root / "current.json").stat().st_mode) == 0o600
    assert registry.versions()[0].current
    assert registry.versions()[0].created == NOON
    assert registry.versions()[0].size > 0


def test_unfinished_and_foreign_directories_are_no_versions(registry: Registry) -> None:
    """Without a manifest there is nothing to promote."""
    made(registry)
    (registry.root / "20250314T130000Z").mkdir()
    (registry.root / "20250314T140000Z.part").mkdir()
    (registry.root / "notes").mkdir()
    assert len(registry.versions()) == 1
    with pytest.raises(RegistryError, match="no finished"):
        registry.promote("20250314T130000Z")


@pytest.mark.parametrize("name", ["../outside", "", "20250314T120000Z/..", "current.json"])
def test_names_that_are_no_versions_are_refused(registry: Registry, name: str) -> None:
    """No path can be made of them."""
    with pytest.raises(RegistryError, match="not a model version"):
        registry.path(name)


def test_rolling_back_returns_to_what_was_in_use(registry: Registry) -> None:
    """Not to what happens to be next by date, and further back the next time."""
    first, second, third = made(registry, 0), made(registry, 1), made(registry, 2)
    for version in (third, first, second):
        registry.promote(version)
    assert registry.roll_back() == first
    assert registry.current() == first
    assert registry.roll_back() == third
    with pytest.raises(RegistryError, match="no earlier"):
        registry.roll_back()
    assert registry.current() == third


def test_promoting_the_current_version_again_changes_nothing(registry: Registry) -> None:
    """Else rolling back would lead to where one is."""
    first, second = made(registry, 0), made(registry, 1)
    for version in (first, second, second):
        registry.promote(version)
    assert registry.roll_back() == first


def test_pruning_keeps_the_newest_the_current_and_the_one_before(registry: Registry) -> None:
    """The way back stays open."""
    names = [made(registry, hour) for hour in range(14)]
    registry.promote(names[1])
    registry.promote(names[2])
    assert registry.prune(keep=10) == [names[0], names[3]]
    assert registry.current() == names[2]
    assert registry.roll_back() == names[1]


def test_rolling_back_skips_versions_that_are_gone(registry: Registry) -> None:
    """Pruned or deleted by hand."""
    names = [made(registry, hour) for hour in range(3)]
    for version in names:
        registry.promote(version)
    (registry.path(names[1]) / "manifest.json").unlink()
    assert registry.roll_back() == names[0]


@pytest.mark.parametrize("content", ["", "[]", '{"current": 1}', "{"])
def test_a_damaged_pointer_is_named(registry: Registry, content: str) -> None:
    """Not silently taken for an empty registry."""
    registry.promote(made(registry))
    (registry.root / "current.json").write_text(content)
    with pytest.raises(RegistryError, match="damaged"):
        registry.current()


def test_removed_versions_are_gone_and_the_one_before_is_current(registry: Registry) -> None:
    """What was promoted last of those that stay; without any, none is."""
    first, second, third, never = (made(registry, hours) for hours in range(4))
    for version in (first, second, third):
        registry.promote(version)
    registry.remove([second, third])
    assert registry.current() == first
    assert registry.former() is None
    assert [info.version for info in registry.versions()] == [first, never]
    registry.remove([first])
    assert registry.current() is None
    assert [info.version for info in registry.versions()] == [never]


def test_removing_what_is_not_in_use_leaves_the_pointer(registry: Registry) -> None:
    """An earlier version goes out of the way back, one never promoted was not in it."""
    first, second, never = (made(registry, hours) for hours in range(3))
    for version in (first, second):
        registry.promote(version)
    registry.remove([never])
    assert (registry.current(), registry.former()) == (second, first)
    registry.remove([first])
    assert (registry.current(), registry.former()) == (second, None)
