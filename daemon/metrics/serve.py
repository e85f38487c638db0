"""Serves the metrics of one running daemon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from daemon.use_cases.application import Application


@dataclass(slots=True)
class Watched:
    """`app`: the program in use, with a meter where there is one; a reload puts in another."""

    app: Application


@contextmanager
def served(app: Application) -> Iterator[Watched]:
    """Answer on `[metrics] listen` while the block lasts; nothing where that is not set.

    Raises `ConfigError` when the port cannot be had.
    """
    watched = Watched(app)
    listen = app.settings.metrics.listen
    if listen is None:
        yield watched
        return
    from daemon.metrics.figures import read_figures  # noqa: PLC0415 - only where it is served
    from daemon.metrics.prometheus import (  # noqa: PLC0415
        PrometheusMeter,
        metrics_page,
        new_registry,
    )
    from daemon.metrics.server import MetricsServer, routes  # noqa: PLC0415
    from daemon.use_cases.health import health  # noqa: PLC0415

    registry = new_registry(lambda: read_figures(watched.app).every())
    watched.app = replace(app, meter=PrometheusMeter(registry))
    site = routes(
        metrics_page(registry),
        lambda: health(watched.app),
        lambda: watched.app.settings.metrics.hosts,
    )
    server = MetricsServer(listen, site)
    server.start()
    try:
        yield watched
    finally:
        server.stop()
