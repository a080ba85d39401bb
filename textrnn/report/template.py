"""The templates of pages with their style sheet and script, all in one file, and the section that all pages have."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from textrnn.config import Config, dump_yaml
from textrnn.report.markup import abbreviate, clean
from textrnn.serialization.latest_run import COMMAND_NAME

_FOLDER = Path(__file__).resolve().parent
_MAX_CONFIG, _MAX_COMMAND = 20_000, 2_000  # characters


def render(template: str, view: Mapping[str, Any]) -> str:
    """Return the page of ``template``. All text of ``view`` is escaped, and its control characters are made visible."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_make_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": "{:,}".format,
        "percent": _format_percent,
        "short": _shorten,
        "data": _escape_data,
    }
    style, script = (_FOLDER.joinpath(f"page.{suffix}").read_text(encoding="utf-8") for suffix in ("css", "js"))
    own = {"style": Markup(style), "script": Markup(script), "policy": Markup(_make_policy(style, script))}
    return environment.get_template(template).render(**view, **own)


def list_versions(version: str) -> dict[str, str]:
    """Return the versions of textrnn, which is ``version``, and of what it runs on, by name."""
    return {"textrnn": version, "Python": platform.python_version(), "numpy": np.__version__}


def show_config(config: Config) -> str:
    """Return ``config`` as YAML, of limited length."""
    return dump_yaml(config)[:_MAX_CONFIG]


def read_command(run: Path) -> str:
    """Return the command line that trained ``run``, or an empty text."""
    path = run / COMMAND_NAME
    if not path.is_file():
        return ""
    return path.read_text(encoding="utf-8", errors="replace").strip()[:_MAX_COMMAND]


def _make_policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy that allows this style and this script, and nothing from elsewhere."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    style_hash, script_hash = (f"'sha256-{own}'" for own in hashes)
    return (
        f"default-src 'none'; style-src {style_hash}; script-src {script_hash}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def _make_visible(value: Any) -> Any:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _format_percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _shorten(text: str, width: int = 28) -> str:
    return abbreviate(clean(text), width)


def _escape_data(data: str) -> Markup:
    """Return JSON that no parser of HTML takes for markup."""
    json.loads(data)
    escaped = data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(escaped)
