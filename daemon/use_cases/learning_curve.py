"""The learning curve of a replay as a picture: SVG, written by hand, no plotting library."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.replay import Step

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 36, 44
WINDOW = 100
"""Mails over which the share of right ones is averaged."""


def learning_curve(steps: Sequence[Step], skip: int) -> str:
    """Share of right folders, and of mails moved by themselves, over the mails so far.

    Each point averages the last `WINDOW` mails.
    """
    scored = steps[skip:]
    right = _moving_share([step.is_right for step in scored])
    moved = _moving_share([step.moves for step in scored])
    parts = [
        f'<text x="{LEFT}" y="20" font-size="14">Mean of the last {WINDOW} mails</text>',
        *_axes(len(scored), skip),
        _line(right, "#1f6f43"),
        _line(moved, "#2f5fa5"),
        f'<text x="{WIDTH - RIGHT}" y="20" text-anchor="end">'
        '<tspan fill="#1f6f43">right folder on top</tspan>'
        '<tspan fill="#2f5fa5" dx="12">moved by itself</tspan></text>',
    ]
    return svg(parts)


def svg(parts: Sequence[str]) -> str:
    """A picture of these parts on white."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
    )
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    return "\n".join([head, ground, *parts, "</svg>"]) + "\n"


def polyline(places: Sequence[tuple[float, float]], colour: str) -> str:
    """A line through (x, y) places."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _moving_share(flags: Sequence[bool]) -> list[float]:
    shares = []
    running = 0
    for at, flag in enumerate(flags):
        running += flag - (flags[at - WINDOW] if at >= WINDOW else 0)
        shares.append(running / min(at + 1, WINDOW))
    return shares


def _x(at: float, count: int) -> float:
    return LEFT + at / max(count - 1, 1) * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return TOP + (1.0 - share) * (HEIGHT - TOP - BOTTOM)


def _axes(count: int, skip: int) -> list[str]:
    parts = []
    for tenth in range(0, 11, 2):
        y = _y(tenth / 10)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tenth * 10} %</text>'
        )
    for quarter in range(5):
        at = quarter / 4 * max(count - 1, 0)
        parts.append(
            f'<text x="{_x(at, count):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{skip + round(at)}</text>"
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">mails</text>')
    return parts


def _line(shares: Sequence[float], colour: str) -> str:
    return polyline([(_x(at, len(shares)), _y(share)) for at, share in enumerate(shares)], colour)
