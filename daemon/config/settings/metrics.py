"""What programs that watch over inboxd are told: [metrics]."""

from __future__ import annotations

from pydantic import Field

from daemon.config.settings.section import Section
from daemon.config.values import Host, Listen, Switch


class MetricsSettings(Section):
    """What programs that watch over inboxd are told: /metrics for Prometheus, and /healthz. Off
    unless listen is set; see docs/monitoring.md."""

    listen: Listen | None = Field(None, examples=["127.0.0.1:9464"])
    """Address and port to answer on. Nobody is asked for a password and nothing is encrypted: who
    reaches the port reads your folders' names and how much mail goes where. Keep it on 127.0.0.1;
    in a container it must be "0.0.0.0:9464", and the container's network has to keep others out."""

    hosts: tuple[Host, ...] = Field((), examples=[["inboxd.example.org"]])
    """Names with a dot by which it may be asked for. Addresses, localhost and names without a dot
    always may; all others are refused, so that no web page can read the metrics through a browser
    (DNS rebinding)."""

    folder_names: Switch = True
    """Whether the metrics name your folders. If not, they are numbered."""
