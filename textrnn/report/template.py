"""The templates of pages with their style sheet and script, all in one file, and the sections that pages share."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from textrnn.config import Config, DataConfig, dump_yaml
from textrnn.data.check import Report, check_files
from textrnn.data.reading.io import is_pipe
from textrnn.inference.engine import Engine
from textrnn.report.charts import Axis, Line, draw_lines
from textrnn.report.markup import abbreviate, clean
from textrnn.serialization.inspection import read_metrics
from textrnn.serialization.latest_run import COMMAND_NAME, METRICS_NAME

MAX_CHECKED = 100_000
"""More texts are not checked: a million take 0.6 GB of memory."""
_MAX_FINDINGS = 3  # of a kind
_FOLDER = Path(__file__).resolve().parent
_MAX_CONFIG, _MAX_COMMAND = 20_000, 2_000  # characters


@dataclass(frozen=True)
class Origin:
    """What the page says about its making.

    ``model`` and ``data`` are names for people, ``command`` made the page, ``run`` is the run folder if there is one.
    ``checked`` is the path of the file for ``data check`` and how to read it, or the reason why it is not checked.
    """

    model: str
    data: str
    command: str
    version: str
    run: Path | None = None
    checked: tuple[str, DataConfig] | str = ""


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


def check_data(checked: tuple[str, DataConfig] | str, engine: Engine, texts: int) -> Report | str:
    """Return the result of ``data check``, with lengths in the pieces of the model, or why there is none."""
    if isinstance(checked, str):
        return checked
    path, config = checked
    if is_pipe(path):
        return "The texts came from a pipe, which cannot be read again for textrnn data check."
    if texts > MAX_CHECKED:
        return f"More than {MAX_CHECKED:,} texts are not checked here; textrnn data check does so."
    config = config.model_copy(update={key: getattr(engine.data_config, key) for key in ("max_length", "long_texts")})
    return check_files([(path, None)], config, max_shown=_MAX_FINDINGS, count_pieces=engine.tokenizer.count_pieces)


def draw_learning(run: Path | None, metrics: Mapping[str, str], axis: Axis) -> list[Markup]:
    """Return the learning curves of the run, from its metrics; an empty list without them.

    ``metrics`` are the keys of those on the validation set, by name; ``axis`` is theirs.
    """
    path = None if run is None else run / METRICS_NAME
    if path is None or not path.is_file():
        return []
    rows = read_metrics(path)
    if len(rows) < 2:
        return []
    step = Axis("step", ",.0f")

    def trace(name: str, key: str) -> Line:
        return Line(name, [(row["step"], row.get(key)) for row in rows], marks=True)

    losses = [trace("training", "loss"), trace("validation", "valid_loss")]
    charts = [draw_lines(losses, step, Axis("loss, nats a text"), title="Loss by step")]
    if any(row.get(next(iter(metrics.values()))) is not None for row in rows):
        lines = [trace(name, key) for name, key in metrics.items()]
        charts.append(draw_lines(lines, step, axis, title=f"{' and '.join(metrics)} by step"))
    rate = Axis("learning rate", "~g")
    charts.append(draw_lines([trace("rate", "lr")], step, rate, title="Learning rate by step"))
    return charts


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
