"""The door for programs that watch over inboxd: /metrics (Prometheus) and /healthz.

figures      what the store tells, as numbers with labels
prometheus   these and the measured times in Prometheus' formats; the one home of its library
server       HTTP on one port, for GET alone, and for nobody who was sent by a web page
serve        puts the three together for as long as the daemon runs
"""

from daemon.metrics.serve import served

__all__ = ["served"]
