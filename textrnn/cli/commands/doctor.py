"""``textrnn doctor``: what this installation is and can do."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
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
    """Print versions, devices and SRU backends.

    Tells which SRU backend would run, and why.

    \b
      textrnn doctor
    """
    from textrnn.inference.linear import unavailable

    cores = os.cpu_count()
    lines = [
        f"textrnn        {__version__}",
        f"python         {platform.python_version()} ({platform.system()} {platform.machine()}, {cores} cores)",
    ]
    for name in _PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed" + (" (only needed for CUDA kernels)" if name == "triton" else "")
        lines.append(f"{name:<14} {version}")
    lines += _list_devices()
    backends = list_backends()
    chosen = next(backend for backend in backends if backend.name == choose_backend("auto"))
    lines.append(f"{'SRU backend':<14} {chosen.name}: {chosen.reason}")
    lines += [f"{'':<14} not {b.name}: {b.reason}" for b in backends if not b.available]
    products = " and ".join(sorted(gemm_dtypes(), reverse=True))
    theirs = "by torch and numpy; the C++ library has products for AVX-512, where it is compiled"
    lines.append(f"{'products':<14} {f'{products} by the C++ library' if products else theirs}")
    lacks = {precision: unavailable(precision) for precision in get_args(Precision)}
    lines.append(f"{'prediction':<14} in {', '.join(precision for precision, lack in lacks.items() if lack is None)}")
    lines += [f"{'':<14} not in {precision}: {lack}" for precision, lack in lacks.items() if lack is not None]
    lines.append(f"{'cache':<14} {_describe_cache()}")
    demo = shipped("demo")
    lines.append(f"{'demo data':<14} {demo if demo.is_dir() else 'missing: reinstall textrnn'}")
    write_data("\n".join(lines) + "\n")


def _describe_cache() -> str:
    try:
        folder = find_cache_folder()
        entries, size = measure_cache(folder)
    except (OSError, RuntimeError) as error:
        return f"cannot be read ({error})"
    return f"{folder} ({entries:,} entries, {size / 1e6:,.1f} MB; can be deleted at any time)"


def _list_devices() -> list[str]:
    try:
        torch = importlib.import_module("torch")
    except Exception as error:  # a broken torch is just what a user runs this to find
        return [f"devices        torch does not import: {type(error).__name__}: {error}"]
    lines = [f"devices        cpu ({torch.get_num_threads()} threads)"]
    if torch.cuda.is_available():
        lines += [f"{'':<14} cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    else:
        why = (
            "this torch is built without CUDA" if torch.version.cuda is None else "torch finds no NVIDIA GPU or driver"
        )
        lines.append(f"{'':<14} no cuda: {why}")
    if torch.backends.mps.is_available():
        lines.append(f"{'':<14} mps (Apple GPU)")
    return lines
