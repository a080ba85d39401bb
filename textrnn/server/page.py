"""The page that tries a model: one file without external requests."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

_PATH = Path(__file__).resolve().with_name("try_model.html")


def read_page() -> tuple[str, dict[str, str]]:
    """Return the page, and headers whose policy allows its own style and script alone."""
    page = _PATH.read_text(encoding="utf-8")
    style, script = (_hash(re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[0]) for tag in ("style", "script"))
    policy = (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
