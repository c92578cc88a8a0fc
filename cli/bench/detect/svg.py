"""Line charts as SVG, one below the other over the same time."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

_WIDTH, _PANEL, _TITLE, _LEFT, _GAP = 960, 120, 28, 70, 10
_STYLE = """\
text { font: 12px sans-serif; fill: #333 } .title { font-size: 14px; font-weight: bold }
polyline { fill: none; stroke: #1f5fa8; stroke-width: 1 } .frame { fill: none; stroke: #bbb }
.labelled { fill: #f2b84b; fill-opacity: .35 } .event { stroke: #c22; stroke-width: 2 }
svg { background: #fff }"""


@dataclass(frozen=True)
class Panel:
    """One chart: a name, and a value of each sample."""

    name: str
    values: NDArray[np.float64]


def chart(
    title: str, footer: str, panels: Sequence[Panel], labelled: Sequence[tuple[int, int]], events: Sequence[int]
) -> str:
    """Return the panels as one SVG; ``labelled`` are first and last samples, ``events`` the samples of openings."""
    last = max(len(panels[0].values) - 1, 1)

    def x(sample: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _GAP) * min(max(sample, 0), last) / last

    height = _TITLE + len(panels) * (_PANEL + _GAP) + _TITLE
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="{_LEFT}" y="19">{escape(title)}</text>',
    ]
    for place, panel in enumerate(panels):
        top = _TITLE + place * (_PANEL + _GAP)
        for first, end in labelled:
            lines.append(_box("labelled", x(first - 0.5), x(end + 0.5), top))
        low, high = float(np.nanmin(panel.values)), float(np.nanmax(panel.values))
        lines.append(_box("frame", x(0), x(last), top))
        lines.append(f'<polyline points="{_points(panel.values, low, high, top, x(0), x(last))}"/>')
        lines += [
            f'<line class="event" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{top}" y2="{top + _PANEL}"/>' for at in events
        ]
        lines += [
            f'<text text-anchor="end" x="{_LEFT - 6}" y="{top + 12}">{high:.4g}</text>',
            f'<text text-anchor="end" x="{_LEFT - 6}" y="{top + _PANEL}">{low:.4g}</text>',
            f'<text x="{_LEFT + 6}" y="{top + 15}">{escape(panel.name)}</text>',
        ]
    lines += [f'<text x="{_LEFT}" y="{height - 10}">{escape(footer)}</text>', "</svg>"]
    return "\n".join(lines) + "\n"


def _box(kind: str, left: float, right: float, top: float) -> str:
    return f'<rect class="{kind}" x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{_PANEL}"/>'


def _points(values: NDArray[np.float64], low: float, high: float, top: float, left: float, right: float) -> str:
    """Return the points of a line; where there are more samples than pixels, lowest and highest of each pixel."""
    at, there = np.arange(len(values)), values
    width = -(-len(values) // _WIDTH)
    if width > 1:
        rows = np.pad(values, (0, -len(values) % width), mode="edge").reshape(-1, width)
        there = np.stack((rows.min(axis=1), rows.max(axis=1)), axis=1).ravel()
        at = np.minimum(np.arange(len(rows)).repeat(2) * width, len(values) - 1)
    xs = left + (right - left) * at / max(len(values) - 1, 1)
    ys = top + _PANEL - 4 - (_PANEL - 8) * (there - low) / ((high - low) or 1.0)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True) if np.isfinite(y))
