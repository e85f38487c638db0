"""Linking what vanished with what arrived: was it a move, and which message moved?

Pure: values in, values out. The rules come from measurements on four servers. A match counts
only one to one, first by the server's stable id, then by fingerprint (which survives download
and upload). Where several messages could be meant, nothing is linked and the case is reported
as ambiguous: a wrong lesson is worse than a missed one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Departure:
    """A message that is no longer in `folder_id`; `key` is the caller's own handle."""

    key: int
    folder_id: int
    server_id: str | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that is new in `folder_id`; `key` is the caller's own handle.

    `fingerprint` None: the message was known before, so only its server id may speak. Its
    content would make a copy of one twin pass for the other twin, which is gone.
    """

    key: int
    folder_id: int
    server_id: str | None
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """One move: this departure is that arrival, known `by` server id or content."""

    departure: Departure
    arrival: Arrival
    by: str


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """Departures and arrivals that look alike and cannot be paired."""

    departures: tuple[Departure, ...]
    arrivals: tuple[Arrival, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Linking:
    """The outcome; what appears in neither list was a deletion or a copy."""

    links: tuple[Link, ...]
    ambiguous: tuple[Ambiguity, ...]


def link(departures: Sequence[Departure], arrivals: Sequence[Arrival]) -> Linking:
    """Pair departures with arrivals, one to one."""
    links: list[Link] = []
    ambiguous: list[Ambiguity] = []
    keys: tuple[tuple[str, Callable[[Departure | Arrival], Hashable]], ...] = (
        ("server id", lambda m: m.server_id),
        ("content", lambda m: m.fingerprint),
    )
    for by, identity in keys:
        taken_departures = {found.departure.key for found in links}
        taken_arrivals = {found.arrival.key for found in links}
        for case in ambiguous:
            taken_departures.update(d.key for d in case.departures)
            taken_arrivals.update(a.key for a in case.arrivals)
        free_departures = [d for d in departures if d.key not in taken_departures]
        free_arrivals = [a for a in arrivals if a.key not in taken_arrivals]
        for some, others in _groups(free_departures, free_arrivals, identity):
            if _is_one_to_one(some, others):
                links.extend(Link(d, a, by) for d, a in zip(some, others, strict=True))
            else:
                ambiguous.append(Ambiguity(tuple(some), tuple(others), by))
    return Linking(tuple(links), tuple(ambiguous))


def _groups(
    departures: Sequence[Departure],
    arrivals: Sequence[Arrival],
    identity: Callable[[Departure | Arrival], Hashable],
) -> list[tuple[list[Departure], list[Arrival]]]:
    """Groups of equal identity that have both departures and arrivals, in order."""
    left: dict[Hashable, list[Departure]] = {}
    for departure in departures:
        left.setdefault(identity(departure), []).append(departure)
    right: dict[Hashable, list[Arrival]] = {}
    for arrival in arrivals:
        right.setdefault(identity(arrival), []).append(arrival)
    return [(some, right[key]) for key, some in left.items() if key is not None and key in right]


def _is_one_to_one(departures: Sequence[Departure], arrivals: Sequence[Arrival]) -> bool:
    """One and one; or identical twins that all went the same way, where any pairing is right."""
    if len(departures) != len(arrivals):
        return False
    sources = {d.folder_id for d in departures}
    targets = {a.folder_id for a in arrivals}
    return len(departures) == 1 or (len(sources) == 1 and len(targets) == 1)
