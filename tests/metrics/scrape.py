"""Asks the daemon's HTTP port, and reads what Prometheus would read."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Samples = Mapping[tuple[str, tuple[str, ...]], float]
"""(name, values of the labels in the order of their names) → number."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the server."""

    status: int
    headers: Mapping[str, str]
    text: str


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    host: str = "127.0.0.1",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request on this machine, with this Host header."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, headers={"Host": host, **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, dict(response.headers), response.read().decode())
    finally:
        connection.close()


def samples(text: str) -> Samples:
    """All numbers of a scrape; one that is told twice is an error."""
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, tuple(value for _, value in sorted(sample.labels.items()))
            assert key not in found, f"{key} is told twice"
            found[key] = sample.value
    return found


def scrape(port: int) -> Samples:
    """What `/metrics` tells now."""
    answer = ask(port, "/metrics")
    assert answer.status == 200, answer
    return samples(answer.text)
