"""Pictures: SVG, written by hand, no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bench.figures.measure import Counts, Numbers
from classifier.explain import Contribution

TOKENS_SHOWN = 60
FEATURES_SHOWN = 8

INK, GREY, GRID = "#222", "#777", "#ddd"
GREEN, RED, BLUE = "#1f6f43", "#b3392f", "#2f5fa5"


def svg(width: int, height: int, parts: Sequence[str]) -> str:
    """A picture on white."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, rectangle(0, 0, width, height, "white"), *parts, "</svg>"]) + "\n"


def rectangle(x: float, y: float, width: float, height: float, fill: str, more: str = "") -> str:
    """`more`: further attributes."""
    box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {box} fill="{fill}"{more}/>'


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, more: str = "") -> str:
    """`more`: further attributes."""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{stroke}"{more}/>'


def text(x: float, y: float, content: str, anchor: str = "start", fill: str = INK) -> str:
    """`anchor`: what of the text lies at x: start, middle or end."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}"'
    return f"<text {place}>{escape(content)}</text>"


def tokens(pieces: Sequence[str]) -> str:
    """The first tokens in boxes, dark where a word begins, joined where one goes on."""
    parts, x, y = [], 16.0, 16.0
    for piece in pieces[:TOKENS_SHOWN]:
        shown = piece.removeprefix("\u2581").removeprefix("##")
        starts = piece.startswith("\u2581")
        width = 7.2 * len(shown) + 10
        x += 8 if starts else 1
        if x + width > 704:
            x, y = 16.0, y + 32
        parts.append(rectangle(x, y, width, 24, "#cfe3d6" if starts else "#eef4f0"))
        parts.append(text(x + width / 2, y + 16, shown, "middle"))
        x += width
    rest = len(pieces) - TOKENS_SHOWN
    if rest > 0:
        parts.append(text(x + 10, y + 16, f"… + {rest}", fill=GREY))
    return svg(720, round(y) + 40, parts)


def confusion(labels: Sequence[str], counts: Counts) -> str:
    """A row per true folder, a column per predicted one; green is right, red is wrong."""
    left, top, cell = 150, 130, 44
    parts = [text(16, 120, "true folder", fill=GREY)]
    parts.append(text(left, 20, "predicted folder", fill=GREY))
    for row, label in enumerate(labels):
        middle = top + row * cell + cell / 2
        parts.append(text(left - 8, middle + 4, label, "end"))
        x = left + row * cell + cell / 2
        turned = text(x, top - 8, label)
        parts.append(f'<g transform="rotate(-45 {x:.1f} {top - 8})">{turned}</g>')
        for column, count in enumerate(counts[row].tolist()):
            share = count / max(int(counts[row].sum()), 1)
            colour = GREEN if row == column else RED
            shade = f' fill-opacity="{0.15 + 0.7 * share:.2f}"' if count else ""
            x, y = left + column * cell, top + row * cell
            fill = colour if count else "#f4f4f4"
            parts.append(rectangle(x, y, cell - 1, cell - 1, fill, shade))
            if count:
                parts.append(text(x + cell / 2, y + cell / 2 + 4, str(count), "middle"))
    side = len(labels) * cell
    return svg(left + side + 90, top + side + 16, parts)


def reliability(groups: Sequence[Numbers]) -> str:
    """Share right against mean confidence; on the diagonal confidence means what it says."""
    left, top, side = 56, 16, 320

    def x(share: float) -> float:
        return left + share * side

    def y(share: float) -> float:
        return top + (1 - share) * side

    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(line(left, y(tick), left + side, y(tick), GRID))
        parts.append(text(left - 8, y(tick) + 4, f"{tick:.0%}", "end"))
        parts.append(text(x(tick), top + side + 18, f"{tick:.0%}", "middle"))
    parts.append(line(x(0), y(0), x(1), y(1), GREY, ' stroke-dasharray="4 4"'))
    for one in groups:
        at = x(one["confidence"])
        parts.append(line(at, y(one["low"]), at, y(one["high"]), BLUE, ' stroke-opacity="0.5"'))
        parts.append(f'<circle cx="{at:.1f}" cy="{y(one["right"]):.1f}" r="4" fill="{BLUE}"/>')
    parts.append(text(x(0.5), top + side + 38, "confidence", "middle", GREY))
    parts.append(text(x(0.03), y(0.95), "really right", fill=GREY))
    return svg(left + side + 30, top + side + 50, parts)


def decision(reasons: Sequence[Contribution], story: Numbers) -> str:
    """Logits by kind of feature and then by single feature: to the right for the folder."""
    rows = [(name, weight, True) for name, weight in story["blocks"].items()]
    named = [one for one in reasons if one.name][:FEATURES_SHOWN]
    rows += [(one.name, one.weight, False) for one in named]
    middle, unit, top = 400, 55, 44
    parts = [
        text(middle + 8, 20, f"for {story['for']}", fill=GREEN),
        text(middle - 8, 20, f"for {story['against']}", "end", RED),
    ]
    y = float(top)
    for name, weight, is_block in rows:
        if not is_block and name == named[0].name:
            y += 10
        length = min(abs(weight) * unit, 220.0)
        start = middle if weight > 0 else middle - length
        shade = f' fill-opacity="{0.9 if is_block else 0.45}"'
        parts.append(rectangle(start, y, length, 16, GREEN if weight > 0 else RED, shade))
        parts.append(text(16, y + 13, name, fill=INK if is_block else GREY))
        end = start + length + 6 if weight > 0 else start - 6
        parts.append(text(end, y + 13, f"{weight:+.2f}", "start" if weight > 0 else "end"))
        y += 22
    parts.append(line(middle, top - 8, middle, y, INK))
    return svg(720, round(y) + 12, parts)
