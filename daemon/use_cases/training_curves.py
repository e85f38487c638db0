"""Training against validation as a picture, with the verdict in words below: SVG by hand."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from daemon.errors import NotFound
from daemon.use_cases.learning_curve import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    polyline,
    svg,
)
from trainer.curves import CurvePoint, Curves

TRAINING, VALIDATION = "#1f6f43", "#b5482f"


def curves_of(report: Mapping[str, Any], what: str) -> Curves:
    """The curves in a model's report: of its encoder if that was tuned for it, else of its head.

    Raises `NotFound` when nothing in it learnt in steps.
    """
    document = report.get("deep", report).get("curves")
    if document is None:
        raise NotFound(
            f"{what} has no curves: a ridge head is fitted in closed form, not in steps.",
            next_step='Curves come from head = "classic" in [model], and from: inboxd train --deep',
        )
    return Curves.from_dict(document)


def draw(curves: Curves, verdict: str) -> str:
    """Both losses over the epochs, from 0 to the highest; the state that was kept is marked."""
    points = curves.points
    top = max(max(p.training_loss, p.validation_loss) for p in points) or 1.0
    first, last = points[0].epoch, points[-1].epoch

    def x(point: CurvePoint) -> float:
        return LEFT + (point.epoch - first) / max(last - first, 1e-9) * (WIDTH - LEFT - RIGHT)

    def y(loss: float) -> float:
        return TOP + (1.0 - loss / top) * (HEIGHT - TOP - BOTTOM)

    best = curves.best
    parts = [
        f'<text x="{LEFT}" y="20" font-size="14">Loss by epoch '
        f'<tspan fill="{TRAINING}">training</tspan> '
        f'<tspan fill="{VALIDATION}">validation</tspan></text>',
        *_levels(top, y),
        *(_epoch(point, x(point)) for point in points[:: max(1, len(points) // 8)]),
        polyline([(x(p), y(p.training_loss)) for p in points], TRAINING),
        polyline([(x(p), y(p.validation_loss)) for p in points], VALIDATION),
        f'<circle cx="{x(best):.1f}" cy="{y(best.validation_loss):.1f}" r="4" '
        f'fill="{VALIDATION}"><title>kept: epoch {best.epoch:g}</title></circle>',
        f'<text x="{LEFT}" y="{HEIGHT - 8}" font-size="11">{escape(verdict)}</text>',
    ]
    return svg(parts)


def _levels(top: float, y: Any) -> list[str]:
    return [
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(level):.1f}" y2="{y(level):.1f}" '
        f'stroke="#ddd"/><text x="{LEFT - 8}" y="{y(level) + 4:.1f}" text-anchor="end">'
        f"{level:.2f}</text>"
        for level in (top * quarter / 4 for quarter in range(5))
    ]


def _epoch(point: CurvePoint, x: float) -> str:
    return (
        f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{point.epoch:g}</text>'
    )
