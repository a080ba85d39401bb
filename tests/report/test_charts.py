"""Charts: text stays text, colors are variables, nothing leaks into the page."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from textrnn.report.charts import PERCENT, Axis, Line, draw_lines


def test_a_chart_is_svg_with_text_and_variables_as_colors() -> None:
    lines = [
        Line("first <b>", [(0.0, 0.001), (0.5, None), (1.0, 0.003)]),
        Line("second", [(0.0, 0.002), (1.0, 0.004)], marks=True),
    ]
    x = Axis("share", PERCENT, (0.0, 1.0))
    svg = draw_lines(lines, x, Axis("rate"), title='A "title" & more')
    root = ET.fromstring(svg)
    assert root.attrib["aria-label"] == 'A "title" & more'
    texts = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"first <b>", "second", "share", "rate", "0%", "100%", "0.0010"} <= texts
    colors = set(re.findall(r'(?:fill|stroke)="([^"]*)"', svg))
    assert {"var(--line-1)", "var(--line-2)", "var(--ink)"} <= colors
    assert all(color.startswith("var(") or color in ("none", "transparent") for color in colors), colors
    assert not re.search(r"\s(style|id|class)=", svg.replace('class="chart"', ""))


def test_a_logarithmic_axis_has_the_ticks_that_it_is_given() -> None:
    points = [(texts, texts / 10_000) for texts in (307.0, 612.0, 1226.0, 2454.0, 4907.0)]
    x = Axis("texts", ",", ticks=[texts for texts, _ in points])
    svg = draw_lines([Line("measured", points, marks=True)], x, Axis("y"), title="t", spans=[(307, 0.01, 0.05)])
    texts = [element.text for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]
    assert texts[:5] == ["307", "612", "1,226", "2,454", "4,907"]
    places = [float(x) for x in re.findall(r'translate\(([\d.]+),[\d.]+\)"[^>]*>(?:307|612|1,226|2,454|4,907)<', svg)]
    steps = [second - first for first, second in zip(places, places[1:], strict=False)]
    assert max(steps) - min(steps) < 0.5
