"""Prometheus' formats, and the measured times: the one home of prometheus_client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from wsgiref.types import WSGIApplication

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    disable_created_metrics,
    make_wsgi_app,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from daemon.metrics.figures import Family, Kind

PASS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
"""Upper bounds: from a pass that finds nothing to one that learns anew."""

ENCODE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper bounds: from one mail on a GPU to a full round on a small CPU."""


class PrometheusMeter:
    """`daemon.meter.Meter`: times since the process began."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._cycles = Histogram(
            "inboxd_cycle_duration_seconds",
            "How long good passes took, learning included.",
            ["account"],
            buckets=PASS_SECONDS,
            registry=registry,
        )
        self._encoding = Histogram(
            "inboxd_encode_duration_seconds",
            "How long the encoder took for the new mails of one round.",
            ["account"],
            buckets=ENCODE_SECONDS,
            registry=registry,
        )
        self._encoded = Counter(
            "inboxd_encoded_mails",
            "New mails that the encoder has read since the start.",
            ["account"],
            registry=registry,
        )
        self._learning = Histogram(
            "inboxd_learning_duration_seconds",
            "How long the training of a model took, with the encoding of what was missing.",
            ["account"],
            buckets=PASS_SECONDS,
            registry=registry,
        )

    def cycle(self, account: str, seconds: float) -> None:
        """A pass ended well."""
        self._cycles.labels(account).observe(seconds)

    def encoded(self, account: str, mails: int, seconds: float) -> None:
        """New mails were read by the encoder."""
        self._encoded.labels(account).inc(mails)
        self._encoding.labels(account).observe(seconds)

    def learned(self, account: str, seconds: float) -> None:
        """A model was trained and judged."""
        self._learning.labels(account).observe(seconds)


class Ratchet:
    """Keeps counters from falling when rows are deleted from the database.

    Prometheus takes a lower value for a restart from zero, and would count everything that is
    left once more. A fall is added to all later values.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], tuple[float, float]] = {}

    def up(self, key: tuple[str, ...], value: float) -> float:
        """`value`, and all that was lost of this counter since the process began."""
        before, lost = self._seen.get(key, (0.0, 0.0))
        lost += max(before - value, 0.0)
        self._seen[key] = value, lost
        return value + lost

    def known(self, name: str) -> list[tuple[str, ...]]:
        """Labels under which the counter `name` was seen."""
        return [key[1:] for key in self._seen if key[0] == name]


class StoreCollector(Collector):
    """Asks for the figures at each scrape; two at once wait for each other."""

    def __init__(self, read: Callable[[], Iterable[Family]]) -> None:
        self._read = read
        self._ratchet = Ratchet()
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """All families. Raises what reading raises."""
        with self._lock:
            yield from [self._metric(family) for family in self._read()]

    def describe(self) -> list[Metric]:
        """None: the registry would read the store to find names."""
        return []

    def _metric(self, family: Family) -> Metric:
        if family.kind is Kind.GAUGE:
            gauge = GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
            for labels, value in family.samples.items():
                gauge.add_metric(labels, value)
            return gauge
        counter = CounterMetricFamily(family.name, family.meaning, labels=family.labels)
        # A counter whose rows are all gone is told of as well.
        for labels in dict.fromkeys([*family.samples, *self._ratchet.known(family.name)]):
            value = family.samples.get(labels, 0.0)
            counter.add_metric(labels, self._ratchet.up((family.name, *labels), value))
        return counter


def new_registry(read: Callable[[], Iterable[Family]]) -> CollectorRegistry:
    """A registry with what the store tells, this version, and the process's own figures."""
    # A second series for each counter and histogram, with the time of its making, helps nobody.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # its one function without types
    registry = CollectorRegistry()
    Info("inboxd_build", "The version of inboxd.", registry=registry).info(
        {"version": version("inboxd")}
    )
    ProcessCollector(registry=registry)
    registry.register(StoreCollector(read))
    return registry


def metrics_page(registry: CollectorRegistry) -> WSGIApplication:
    """What `/metrics` answers, in the format that the client asks for."""
    page: WSGIApplication = make_wsgi_app(registry)
    return page
