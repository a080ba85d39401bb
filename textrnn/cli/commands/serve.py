"""``textrnn serve``: predictions and explanations over HTTP."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from textrnn.cli import options
from textrnn.cli.model_loading import load_engine
from textrnn.cli.parameters import Option
from textrnn.cli.terminal import ignore_broken_pipe, print_message
from textrnn.errors import ConfigError
from textrnn.extras import import_extra
from textrnn.native.library import default_threads

if TYPE_CHECKING:
    from textrnn.server.settings import Settings

_ONLY = "default"  # the name of a model that was given none
_NAMED = re.compile(r"([\w.-]+)=(.+)", re.DOTALL)
_ORIGIN = re.compile(r"\*|https?://[^/\s]+")
_MEGABYTE = 1 << 20


def serve_command(
    model: Annotated[
        list[str] | None,
        Option(
            "--model",
            "-m",
            metavar="[NAME=]RUN|FILE",
            help="A run folder or model file; repeatable with names, as in -m a=runs/a -m b=runs/b.  "
            "[default: the latest run]",
        ),
    ] = None,
    host: Annotated[str, Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 is all of IPv4.")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, metavar="N", help="Port to listen on; 0 chooses a free one.")] = 8000,
    workers: Annotated[
        int, Option(min=1, metavar="N", help="Processes, which share the models' memory and the CPU cores.")
    ] = 1,
    jobs: options.JobsOption = None,
    precision: options.PrecisionOption = "fp32",
    batch_wait: Annotated[
        float,
        Option(min=0.0, max=1000.0, metavar="MS", help="Milliseconds to wait for more texts while busy."),
    ] = 2.0,
    max_batch: Annotated[int, Option(min=1, metavar="N", help="Texts computed together; 1 turns batches off.")] = 256,
    max_body: Annotated[
        float, Option(min=0.001, max=1024.0, metavar="MB", help="Largest body or line, in megabytes.")
    ] = 8.0,
    max_texts: Annotated[int, Option(min=1, metavar="N", help="Texts of a JSON list.")] = 1000,
    max_queue: Annotated[
        int, Option(min=1, metavar="N", help="Most texts in the queue; further requests get status 429.")
    ] = 4000,
    max_requests: Annotated[
        int, Option(min=1, metavar="N", help="Most open requests, streams included; further ones get status 503.")
    ] = 512,
    timeout: Annotated[float, Option(min=0.01, max=3600.0, metavar="S", help="Seconds for a request.")] = 30.0,
    stream_timeout: Annotated[
        float, Option(min=0.01, max=1e6, metavar="S", help="Seconds that a stream may be idle.")
    ] = 600.0,
    token_file: Annotated[
        Path | None, Option(metavar="FILE", help="Demand the token in FILE: Authorization: Bearer TOKEN.")
    ] = None,
    cors: Annotated[
        list[str] | None, Option(metavar="ORIGIN", help="Let pages of ORIGIN use the server; repeatable; * is all.")
    ] = None,
) -> None:
    """Answer HTTP requests for predictions.

    POST /predict and POST /explain take {"text": "..."}, /predict also {"texts": [...]} and a stream of JSON lines
    (Content-Type: application/x-ndjson), which is answered line by line. The answers are those of predict and explain.
    / is a page to try texts, /openapi.json describes all paths, /metrics is for Prometheus. Texts of concurrent
    requests are computed together.

    SIGHUP loads the models again, without a lost request. On SIGTERM or Ctrl-C the server finishes open requests and
    exits with 0. The log on stderr is a JSON object a line, without texts. Needs: pip install 'textrnn[serve]'.

    \b
      textrnn serve -m runs/first
      curl --json '{"text": "where is my parcel"}' localhost:8000/predict
      textrnn serve -m shop=runs/shop -m spam=runs/spam --token-file token
      curl --json '{"text": "win"}' 'localhost:8000/predict?model=spam&top_k=3'
    """
    for module in ("starlette", "uvicorn", "httptools"):
        import_extra(module, extra="serve", feature="serve")
    if workers > 1 and not hasattr(os, "fork"):
        raise ConfigError(f"--workers {workers}: not supported on this system; leave it out")
    if wrong := [origin for origin in cors or () if not _ORIGIN.fullmatch(origin)]:
        raise ConfigError(f"--cors {wrong[0]}: not an origin; write it as https://example.org, without a path")
    from textrnn.server.settings import Settings

    settings = Settings(
        threads=max(1, (jobs or default_threads()) // workers),
        batch_wait=batch_wait / 1000,
        max_batch=max_batch,
        max_body=round(max_body * _MEGABYTE),
        max_texts=max_texts,
        max_queue=max_queue,
        max_requests=max_requests,
        timeout=timeout,
        stream_timeout=stream_timeout,
        token=None if token_file is None else _read_token(token_file),
        origins=tuple(cors or ()),
    )
    _serve(settings, _name_models(model), host=host, port=port, workers=workers, precision=precision)


def _serve(
    settings: Settings,
    paths: dict[str, Path | None],
    *,
    host: str,
    port: int,
    workers: int,
    precision: options.PrecisionName,
) -> None:
    import tempfile
    from contextlib import ExitStack
    from dataclasses import replace

    with ExitStack() as stack:
        for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):  # read when prometheus_client is imported
            os.environ.pop(name, None)
        if workers > 1:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="textrnn-metrics-"))
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        import_extra("prometheus_client", extra="serve", feature="serve")
        from textrnn.server.model_store import ModelStore
        from textrnn.server.monitoring import start_log
        from textrnn.server.serving import find_hosts, open_socket, serve

        opened = stack.enter_context(open_socket(host, port))
        if settings.token is None:
            settings = replace(settings, hosts=find_hosts(opened, host))
        store = ModelStore(paths, partial(load_engine, precision=precision))
        ignore_broken_pipe()
        start_log()
        serve(settings, store, opened, workers=workers)


def _name_models(models: list[str] | None) -> dict[str, Path | None]:
    """Return the path of each model by its name; raises ConfigError for a missing name, or one given twice."""
    if models is None:
        return {_ONLY: None}
    paths: dict[str, Path | None] = {}
    for text in models:
        found = None if Path(text).exists() else _NAMED.fullmatch(text)
        if found is None and len(models) > 1:
            raise ConfigError(f"--model {text}: several models need names; write --model NAME={text}")
        name, path = (_ONLY, text) if found is None else found.groups()
        if name in paths:
            raise ConfigError(f"--model {text}: another model has this name; choose another")
        paths[name] = Path(path)
    return paths


def _read_token(path: Path) -> bytes:
    """Return the token in the file; raises ConfigError if there is no usable one."""
    try:
        token = path.read_bytes().strip()
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"--token-file {path}: cannot be read ({error.strerror})") from None
    if not re.fullmatch(rb"[\x21-\x7e]+", token):
        raise ConfigError(f"--token-file {path}: should hold one word of ASCII characters, the token")
    if os.name == "posix" and mode & 0o004:
        print_message(f"--token-file {path}: every user of this machine can read it; run: chmod 600 {path}")
    return token
