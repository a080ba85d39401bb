"""The page that tries a model, and the OpenAPI document, with the models and limits of this server."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import textrnn
from textrnn.server.settings import Settings

_FOLDER = Path(__file__).resolve().parent


def read_page() -> tuple[str, dict[str, str]]:
    """Return the page, and headers whose policy allows its own style and script alone."""
    page = (_FOLDER / "try_model.html").read_text(encoding="utf-8")
    style, script = (_hash(re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[0]) for tag in ("style", "script"))
    policy = (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def describe(settings: Settings, models: Collection[str]) -> dict[str, Any]:
    """Return the OpenAPI document for these limits and names of models."""
    document: dict[str, Any] = json.loads((_FOLDER / "openapi.json").read_text(encoding="utf-8"))
    document["info"]["version"] = textrnn.__version__
    document["info"]["description"] = document["info"]["description"].format_map(vars(settings))
    document["components"]["schemas"]["List"]["properties"]["texts"]["maxItems"] = settings.max_texts
    document["components"]["parameters"]["model"] |= {
        "required": len(models) > 1,
        "schema": {"type": "string", "enum": [*models]},
    }
    if settings.token is None:
        del document["security"], document["components"]["securitySchemes"]
    return document
