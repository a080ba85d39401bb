"""The template of the evaluation page: what it lets through."""

from __future__ import annotations

import json

import pytest
from markupsafe import Markup

from textrnn.report.template import _escape_data, _format_percent, _make_policy, _make_visible, _shorten


def test_data_in_a_script_cannot_end_it() -> None:
    data = json.dumps({"text": "</script><!-- &amp;", "한": 1}, ensure_ascii=False)
    escaped = str(_escape_data(data))
    assert not set("<>&") & set(escaped)
    assert json.loads(escaped) == json.loads(data)
    with pytest.raises(ValueError, match="Expecting"):
        _escape_data("alert(1)")


def test_the_policy_allows_this_script_alone() -> None:
    policy = _make_policy("a {}", "b()")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert policy != _make_policy("a {}", "c()")


def test_text_is_made_visible_and_short() -> None:
    assert "\0" not in _make_visible("a\0b")
    assert _make_visible(Markup("<b>")) == "<b>"
    assert _make_visible(3) == 3
    assert len(_shorten("x" * 100, 10)) <= 10
    assert (_format_percent(None), _format_percent(0.123)) == ("-", "12.3 %")
