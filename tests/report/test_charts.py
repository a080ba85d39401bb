"""Charts: text stays text, colors are variables, nothing leaks into the page."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from textrnn.report.charts import PERCENT, Axis, Line, draw_lines


def test_a_chart_is_svg_with_text_and_variables_as_colors() -> None:
    lines = [Line("first <b>", [(0.0, 0.001), (0.5, None), (1.0, 0.003)]), Line("second", [(0.0, 0.002), (1.0, 0.004)])]
    x = Axis("share", PERCENT, (0.0, 1.0))
    svg = draw_lines(lines, x, Axis("rate"), title='A "title" & more', marks=True, diagonal=False)
    root = ET.fromstring(svg)
    assert root.attrib["aria-label"] == 'A "title" & more'
    texts = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"first <b>", "second", "share", "rate", "0%", "100%", "0.0010"} <= texts
    colors = set(re.findall(r'(?:fill|stroke)="([^"]*)"', svg))
    assert {"var(--line-1)", "var(--line-2)", "var(--ink)"} <= colors
    assert all(color.startswith("var(") or color in ("none", "transparent") for color in colors), colors
    assert not re.search(r"\s(style|id|class)=", svg.replace('class="chart"', ""))
