"""Line charts as SVG, drawn by Vega-Lite.

Colors are CSS variables, so one drawing serves light and dark pages; text stays text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from markupsafe import Markup

_WIDTH, _HEIGHT = 250, 170
_COLORS = ("var(--line-1)", "var(--line-2)", "var(--line-3)")
_DASHES = ([1, 0], [6, 3], [2, 2])
_INK, _GRID, _FONT = "var(--ink)", "var(--rule)", "sans-serif"
_CONFIG: dict[str, Any] = {
    "aria": False,
    "background": None,
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        **dict.fromkeys(("labelColor", "titleColor"), _INK),
        **dict.fromkeys(("gridColor", "domainColor", "tickColor"), _GRID),
        **{"labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "labelOverlap": "greedy"},
        **{"tickCount": 5, "labelSeparation": 6, "titlePadding": 14},  # browsers' fonts may be wider than that measured
    },
    "legend": {
        **{"orient": "top", "title": None, "labelColor": _INK, "labelFontSize": 12, "symbolStrokeWidth": 2},
        **{"symbolSize": 250, "symbolType": "stroke", "labelLimit": 220},
    },
}


@dataclass(frozen=True)
class Line:
    """A series of points (x, y); y may be None where it is not known."""

    name: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Axis:
    """An axis: its title, its number format (that of d3), and its range (None: that of the data)."""

    title: str
    format: str = ""
    domain: tuple[float, float] | None = None

    def encode(self, name: str) -> dict[str, Any]:
        """Return the channel of the field ``name``."""
        scale = {"zero": False, "nice": True} if self.domain is None else {"domain": [*self.domain], "nice": False}
        axis = {"title": self.title} | ({"format": self.format} if self.format else {})
        return {"field": name, "type": "quantitative", "scale": scale, "axis": axis}


PERCENT = ".1~%"


def draw_lines(
    lines: Sequence[Line], x: Axis, y: Axis, *, title: str, marks: bool = False, diagonal: bool = False
) -> Markup:
    """Return a chart of ``lines``; ``marks`` shows their points, ``diagonal`` the line on which y equals x.

    ``title`` is read by screen readers.
    """
    names = [line.name for line in lines]
    values = [{"x": x, "y": y, "of": line.name} for line in lines for x, y in line.points if y is not None]
    domain = {"domain": names}
    own: dict[str, dict[str, Any]] = {
        "color": {"field": "of", "type": "nominal", "scale": {**domain, "range": [*_COLORS[: len(names)]]}},
        "strokeDash": {"field": "of", "type": "nominal", "scale": {**domain, "range": [*_DASHES[: len(names)]]}},
    }
    if len(names) == 1:
        own = {channel: {**encoding, "legend": None} for channel, encoding in own.items()}
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": values},
            "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 28, "filled": True} if marks else False},
            "encoding": {"x": x.encode("x"), "y": y.encode("y"), **own},
        }
    ]
    if diagonal:
        ends = {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]}
        mark = {"type": "line", "stroke": "var(--muted)", "strokeWidth": 1}
        layers.insert(0, {"data": ends, "mark": mark, "encoding": {"x": x.encode("x"), "y": y.encode("y")}})
    return _render({"width": _WIDTH, "height": _HEIGHT, "config": _CONFIG, "layer": layers}, title)


def _render(spec: dict[str, Any], title: str) -> Markup:
    import vl_convert  # noqa: PLC0415 - only the page needs it

    svg = vl_convert.vegalite_to_svg(spec)
    svg = re.sub(r' (?:role|class|xmlns(?::xlink)?|aria-[a-z]+|pointer-events)="[^"]*"', "", svg)
    svg = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), svg)  # 0.01 of a pixel is enough
    return Markup(svg.replace("<svg ", f'<svg class="chart" role="img" aria-label="{escape(title)}" ', 1))
