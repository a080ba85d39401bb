"""Line and bar charts as SVG, drawn by Vega-Lite.

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
    """A series of points (x, y), which ``marks`` shows; y may be None where it is not known."""

    name: str
    points: Sequence[tuple[float, float | None]]
    marks: bool = False


@dataclass(frozen=True)
class Axis:
    """An axis: its title, its number format (that of d3), and its range (None: that of the data).

    With ``ticks`` the axis is logarithmic and has these labels.
    """

    title: str
    format: str = ""
    domain: tuple[float, float] | None = None
    ticks: Sequence[float] = ()

    def encode(self, name: str) -> dict[str, Any]:
        """Return the channel of the field ``name``."""
        scale: dict[str, Any] = (
            {"zero": False, "nice": True} if self.domain is None else {"domain": [*self.domain], "nice": False}
        )
        axis: dict[str, Any] = {"title": self.title} | ({"format": self.format} if self.format else {})
        if self.ticks:
            scale |= {"type": "log", "nice": False}
            axis |= {"values": [*self.ticks], "tickCount": len(self.ticks), "labelOverlap": False, "labelFlush": False}
        return {"field": name, "type": "quantitative", "scale": scale, "axis": axis}


PERCENT = ".1~%"


def draw_lines(
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    *,
    title: str,
    diagonal: tuple[float, float] | None = None,
    spans: Sequence[tuple[float, float, float]] = (),
) -> Markup:
    """Return a chart of ``lines``.

    ``diagonal`` shows the line on which y equals x, between these values, ``spans`` are vertical bars (x, low, high)
    about the first of the lines. ``title`` is read by screen readers.
    """
    names = [line.name for line in lines]
    domain = {"domain": names}
    own: dict[str, dict[str, Any]] = {
        "color": {"field": "of", "type": "nominal", "scale": {**domain, "range": [*_COLORS[: len(names)]]}},
        "strokeDash": {"field": "of", "type": "nominal", "scale": {**domain, "range": [*_DASHES[: len(names)]]}},
    }
    if len(names) == 1:
        own = {channel: {**encoding, "legend": None} for channel, encoding in own.items()}
    place = {"x": x.encode("x"), "y": y.encode("y")}
    layers: list[dict[str, Any]] = []
    if diagonal is not None:
        ends = {"values": [{"x": end, "y": end} for end in diagonal]}
        mark = {"type": "line", "stroke": "var(--muted)", "strokeWidth": 1}
        layers.append({"data": ends, "mark": mark, "encoding": place})
    if spans:
        bars = {"values": [{"x": at, "y": low, "high": high} for at, low, high in spans]}
        mark = {"type": "rule", "stroke": _COLORS[0], "strokeWidth": 1.5}
        layers.append({"data": bars, "mark": mark, "encoding": {**place, "y2": {"field": "high"}}})
    for marks in (False, True):
        values = [
            {"x": x, "y": y, "of": line.name}
            for line in lines
            for x, y in line.points
            if line.marks == marks and y is not None
        ]
        mark = {"type": "line", "strokeWidth": 2, "point": {"size": 28, "filled": True} if marks else False}
        if values:
            layers.append({"data": {"values": values}, "mark": mark, "encoding": place | own})
    return _render({"width": _WIDTH, "height": _HEIGHT, "config": _CONFIG, "layer": layers}, title)


def draw_bars(bars: Sequence[tuple[float, float, float]], x: Axis, y: Axis, *, title: str) -> Markup:
    """Return a chart of ``bars`` (left, right, height)."""
    values = [{"x": left, "right": right, "y": height, "base": 0} for left, right, height in bars]
    encoding = {"x": x.encode("x"), "x2": {"field": "right"}, "y": y.encode("y"), "y2": {"field": "base"}}
    mark = {"type": "rect", "fill": _COLORS[0], "stroke": None}
    layer = {"data": {"values": values}, "mark": mark, "encoding": encoding}
    return _render({"width": _WIDTH, "height": _HEIGHT, "config": _CONFIG, "layer": [layer]}, title)


def _render(spec: dict[str, Any], title: str) -> Markup:
    import vl_convert  # noqa: PLC0415 - only the page needs it

    svg = vl_convert.vegalite_to_svg(spec)
    svg = re.sub(r' (?:role|class|xmlns(?::xlink)?|aria-[a-z]+|pointer-events)="[^"]*"', "", svg)
    svg = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), svg)  # 0.01 of a pixel is enough
    return Markup(svg.replace("<svg ", f'<svg class="chart" role="img" aria-label="{escape(title)}" ', 1))
