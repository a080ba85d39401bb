"""``textrnn doctor``: describe the installation."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from typing import get_args

from textrnn import __version__
from textrnn.cli.terminal import write_data
from textrnn.data.cache import find_cache_folder, measure_cache
from textrnn.files import shipped
from textrnn.inference import Precision
from textrnn.native.library import gemm_dtypes
from textrnn.ops.sru.backends import choose_backend, list_backends

_PACKAGES = (
    *("torch", "triton", "numpy", "sentencepiece", "safetensors", "scikit-learn", "pydantic", "PyYAML"),
    *("typer", "rich", "zstandard"),
)


def doctor_command() -> None:
    """Print versions, devices and available backends.

    The report shows which SRU backend training uses here and why, and which precisions prediction supports.

    \b
      textrnn doctor
    """
    rows = [
        ("textrnn", __version__),
        ("python", f"{platform.python_version()} ({platform.system()} {platform.machine()}, {os.cpu_count()} cores)"),
        *((name, _find_version(name)) for name in _PACKAGES),
        *_list_devices(),
        *_list_backends(),
        *_list_precisions(),
        ("cache", _describe_cache()),
        ("demo data", str(shipped("demo")) if shipped("demo").is_dir() else "missing: reinstall textrnn"),
    ]
    write_data("".join(f"{name:<14} {value}\n" for name, value in rows))


def _find_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed" + (" (only needed for CUDA kernels)" if package == "triton" else "")


def _list_devices() -> Iterator[tuple[str, str]]:
    try:
        torch = importlib.import_module("torch")
    except Exception as error:  # a broken torch is a reason to run this command
        yield "devices", f"torch cannot be imported: {type(error).__name__}: {error}"
        return
    yield "devices", f"cpu ({torch.get_num_threads()} threads)"
    if torch.cuda.is_available():
        yield from (("", f"cuda:{i} ({torch.cuda.get_device_name(i)})") for i in range(torch.cuda.device_count()))
    elif torch.version.cuda is None:
        yield "", "no cuda: this torch is built without CUDA"
    else:
        yield "", "no cuda: torch finds no NVIDIA GPU or driver"
    if torch.backends.mps.is_available():
        yield "", "mps (Apple GPU)"


def _list_backends() -> Iterator[tuple[str, str]]:
    backends = list_backends()
    chosen = choose_backend("auto")
    yield from (("SRU backend", f"{backend.name}: {backend.reason}") for backend in backends if backend.name == chosen)
    yield from (("", f"not {backend.name}: {backend.reason}") for backend in backends if not backend.available)
    if dtypes := gemm_dtypes():
        yield "products", f"{' and '.join(sorted(dtypes, reverse=True))} by the C++ library"
    else:
        yield "products", "by torch and numpy; the C++ library has its own on CPUs with AVX-512"


def _list_precisions() -> Iterator[tuple[str, str]]:
    from textrnn.inference.linear import find_isa, missing_support

    reasons = {precision: missing_support(precision) for precision in get_args(Precision)}
    found = [f"{precision} ({find_isa(precision)})" for precision, reason in reasons.items() if reason is None]
    yield "prediction", f"in {', '.join(found)}"
    yield from (("", f"not in {precision}: {reason}") for precision, reason in reasons.items() if reason is not None)


def _describe_cache() -> str:
    try:
        folder = find_cache_folder()
        entries, size = measure_cache(folder)
    except (OSError, RuntimeError) as error:
        return f"cannot be read ({error})"
    return f"{folder} ({entries:,} entries, {size / 1e6:,.1f} MB; can be deleted at any time)"
