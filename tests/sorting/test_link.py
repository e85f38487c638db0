"""Which departure is which arrival."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.sorting.link import Arrival, Departure, link


def departure(key: int, folder: int, server_id: str | None, content: str = "x") -> Departure:
    return Departure(key, folder, server_id, content)


def arrival(key: int, folder: int, server_id: str | None, content: str = "x") -> Arrival:
    return Arrival(key, folder, server_id, content)


def test_the_server_id_links_a_move() -> None:
    """The server's own id is enough, whatever the content looks like."""
    found = link([departure(1, 1, "a", "x")], [arrival(2, 2, "a", "y")])
    assert [(one.departure.key, one.arrival.key, one.by) for one in found.links] == [
        (1, 2, "server id")
    ]
    assert found.ambiguous == ()


def test_content_links_what_was_uploaded_anew() -> None:
    """An upload gets another server id, but the same content."""
    found = link([departure(1, 1, "a")], [arrival(2, 2, "b")])
    assert [(one.arrival.key, one.by) for one in found.links] == [(2, "content")]


def test_the_server_id_outranks_the_content() -> None:
    """Two mails of the same content are told apart by their ids."""
    found = link(
        [departure(1, 1, "a"), departure(2, 1, "b")], [arrival(3, 2, "b"), arrival(4, 3, "a")]
    )
    assert {(one.departure.key, one.arrival.key) for one in found.links} == {(1, 4), (2, 3)}


def test_twins_that_went_the_same_way_are_paired() -> None:
    """Identical mails from one folder to one folder: any pairing is right."""
    found = link(
        [departure(1, 1, None), departure(2, 1, None)], [arrival(3, 2, None), arrival(4, 2, None)]
    )
    assert len(found.links) == 2
    assert found.ambiguous == ()


def test_twins_that_went_different_ways_are_ambiguous() -> None:
    """Nobody can say which of two identical mails went where."""
    found = link(
        [departure(1, 1, None), departure(2, 1, None)], [arrival(3, 2, None), arrival(4, 3, None)]
    )
    assert found.links == ()
    assert [(len(case.departures), len(case.arrivals)) for case in found.ambiguous] == [(2, 2)]


def test_twins_from_different_folders_are_ambiguous() -> None:
    """Two identical mails from two folders to one: which came from where?"""
    found = link(
        [departure(1, 1, None), departure(2, 2, None)], [arrival(3, 3, None), arrival(4, 3, None)]
    )
    assert found.links == ()
    assert len(found.ambiguous) == 1


def test_one_departure_and_two_arrivals_are_ambiguous() -> None:
    """A mail that was moved and copied at once teaches nothing."""
    found = link([departure(1, 1, "a")], [arrival(2, 2, "a"), arrival(3, 3, "a")])
    assert found.links == ()
    assert [case.by for case in found.ambiguous] == ["server id"]


def test_what_is_ambiguous_by_id_is_not_linked_by_content() -> None:
    """The weaker evidence does not overrule the stronger."""
    found = link([departure(1, 1, "a")], [arrival(2, 2, "a"), arrival(3, 2, "a")])
    assert found.links == ()
    assert len(found.ambiguous) == 1


def test_missing_server_ids_are_not_equal() -> None:
    """No id on both sides proves nothing."""
    found = link([departure(1, 1, None, "x")], [arrival(2, 2, None, "y")])
    assert found.links == ()
    assert found.ambiguous == ()


IDS = st.sampled_from([None, "a", "b", "c"])
CONTENTS = st.sampled_from(["x", "y", "z"])
FOLDERS = st.integers(1, 3)
ROWS = st.lists(st.tuples(FOLDERS, IDS, CONTENTS), max_size=8)


@given(ROWS, ROWS)
def test_nothing_is_ever_linked_twice(
    gone: list[tuple[int, str | None, str]], new: list[tuple[int, str | None, str]]
) -> None:
    """Each departure and each arrival is in one link, in one ambiguity, or in none."""
    departures = [departure(key, *row) for key, row in enumerate(gone)]
    arrivals = [arrival(key, *row) for key, row in enumerate(new)]
    found = link(departures, arrivals)
    left = [one.departure.key for one in found.links]
    left += [one.key for case in found.ambiguous for one in case.departures]
    came = [one.arrival.key for one in found.links]
    came += [one.key for case in found.ambiguous for one in case.arrivals]
    assert len(left) == len(set(left))
    assert len(came) == len(set(came))


@given(ROWS, ROWS)
def test_every_link_is_backed_by_what_it_names(
    gone: list[tuple[int, str | None, str]], new: list[tuple[int, str | None, str]]
) -> None:
    """Linked mails share the id or the content, and no rival of another way was passed over."""
    departures = [departure(key, *row) for key, row in enumerate(gone)]
    arrivals = [arrival(key, *row) for key, row in enumerate(new)]
    for one in link(departures, arrivals).links:
        if one.by == "server id":
            assert one.departure.server_id is not None
            assert one.departure.server_id == one.arrival.server_id
            rivals = [a for a in arrivals if a.server_id == one.departure.server_id]
            assert {a.folder_id for a in rivals} == {one.arrival.folder_id}
        else:
            assert one.departure.fingerprint == one.arrival.fingerprint


@given(ROWS, ROWS)
def test_the_order_of_what_was_seen_does_not_matter(
    gone: list[tuple[int, str | None, str]], new: list[tuple[int, str | None, str]]
) -> None:
    """The same folders are linked in whatever order they were looked at."""

    def ways(departures: list[Departure], arrivals: list[Arrival]) -> list[tuple[int, int, str]]:
        found = link(departures, arrivals).links
        return sorted((x.departure.folder_id, x.arrival.folder_id, x.by) for x in found)

    departures = [departure(key, *row) for key, row in enumerate(gone)]
    arrivals = [arrival(key, *row) for key, row in enumerate(new)]
    assert ways(departures, arrivals) == ways(departures[::-1], arrivals[::-1])
