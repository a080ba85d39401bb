"""Requests per second and latency of ``textrnn serve``, and its life among bad clients.

    python benchmarks/serve.py --model RUN --data test.tsv [--seconds 10] [--clients 1 8 64] [--workers 1]

starts the server on loopback, with micro-batches and without (--max-batch 1). Each client sends one text a request on a
connection of its own, as soon as the last answer is there. Every answer is compared byte by byte with the line of
`textrnn predict --format jsonl` for that text, so a lost, crossed or wrong one ends the benchmark. Clients and server
share the machine, so the rate is a lower bound. Then come the resident memory of the server and its workers, and what
of it each has for itself (Linux). Last come --bad malformed, oversized, slow and aborted requests, a quarter each; the
server must answer correctly after them, and hold no more than 5 % more memory than before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bounds import Target
from process import read_texts, run_textrnn, write_lines

LIMIT = 8 << 20  # the server's --max-body
TIMEOUT = 3  # the server's --timeout among bad clients, in seconds
QUIET = 12  # seconds after which the server has returned freed memory
AT_ONCE = 32  # bad clients
GROWTH = 1.05  # of memory, at most


class Figures(NamedTuple):
    """The requests of a phase and their latencies in seconds."""

    rate: float
    latencies: list[float]

    def quantile(self, share: float) -> float:
        """Return a quantile of the latencies in milliseconds."""
        return 1000 * sorted(self.latencies)[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


@contextlib.contextmanager
def serve(model: Path, *options: object) -> Iterator[tuple[int, int]]:
    """Run the server; yield its port and process number. It must stop with status 0 at SIGTERM."""
    command = [sys.executable, "-m", "textrnn", "serve", "-m", str(model), "--port", "0", *map(str, options)]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stderr=log)
        try:
            while not (
                found := re.search(r'"url": "http://127.0.0.1:(\d+)"', os.pread(log.fileno(), 65536, 0).decode())
            ):
                if process.poll() is not None:
                    sys.exit(os.pread(log.fileno(), 65536, 0).decode())
                time.sleep(0.05)
            yield int(found[1]), process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(60)
    if status != 0:
        sys.exit(f"the server ended with status {status}")


def _read(descriptor: int) -> str:
    return os.pread(descriptor, 1 << 16, 0).decode()


def format_request(body: bytes, *, kind: str = "application/json", length: int | None = None) -> bytes:
    """Return a request with ``body``, which the head says to have ``length`` bytes (None: its own length)."""
    length = len(body) if length is None else length
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return the status and the body of an answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return int(head[9:12]), await reader.readexactly(int(found[1]) if found else 0)


async def measure(port: int, pairs: list[tuple[bytes, bytes]], *, clients: int, seconds: float) -> Figures:
    """Send the requests of ``pairs`` and compare the answers; exit at the first one that is lost or wrong."""
    latencies: list[float] = []
    start = time.perf_counter()

    async def run(client: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        at = client * 7919
        while time.perf_counter() < start + seconds:
            request, expected = pairs[at % len(pairs)]
            sent = time.perf_counter()
            writer.write(request)
            status, body = await asyncio.wait_for(read_answer(reader), 60)
            latencies.append(time.perf_counter() - sent)
            if (status, body) != (200, expected):
                sys.exit(f"status {status}, {body!r} instead of {expected!r}")
            at += 1
        writer.close()

    await asyncio.gather(*map(run, range(clients)))
    return Figures(len(latencies) / (time.perf_counter() - start), latencies)


async def attack(port: int, count: int) -> Counter[str]:
    """Send ``count`` bad requests; return how they ended: a status, or closed."""
    ends: Counter[str] = Counter()
    gate = asyncio.Semaphore(AT_ONCE)
    draw = random.Random(0)

    async def run(number: int) -> None:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            kind = ("malformed", "oversized", "slow", "aborted")[number % 4]
            try:
                end = str(await asyncio.wait_for(ATTACKS[kind](reader, writer, draw), 4 * TIMEOUT))
            except (ConnectionError, asyncio.IncompleteReadError):
                end = "closed"
            ends[f"{kind}: {end}"] += 1
            writer.close()

    await asyncio.gather(*map(run, range(count)))
    return ends


async def _send_malformed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, draw: random.Random) -> int:
    bodies = (b'{"text": ', b"[" * 50_000, b'{"text": 1}', b"\xff\xfe", b'{"texts": "a"}', draw.randbytes(1_000))
    requests = [*map(format_request, bodies), b"GARBAGE\r\n\r\n", format_request(b"{}", kind="text/plain")]
    writer.write(draw.choice(requests))
    return (await read_answer(reader))[0]


async def _send_oversized(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, draw: random.Random) -> int:
    if draw.random() < 0.5:
        writer.write(format_request(b"", length=100 * LIMIT))
    else:
        writer.write(format_request(b'{"text": "' + b"a " * (LIMIT // 2 + draw.randrange(1_000)) + b'"}'))
    return (await read_answer(reader))[0]


async def _send_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, draw: random.Random) -> int:
    writer.write(format_request(b'{"text": "', length=1_000)[: draw.choice((20, 1_000))])
    return (await read_answer(reader))[0]


async def _abort(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, draw: random.Random) -> str:
    del reader
    request = format_request(json.dumps({"texts": ["a text of some words"] * 500}).encode())
    writer.write(request[: draw.randrange(len(request))] if draw.random() < 0.5 else request)
    await writer.drain()
    linger = struct.pack("ii", 1, 0)  # the end is a reset
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    return "closed"


ATTACKS = {"malformed": _send_malformed, "oversized": _send_oversized, "slow": _send_slowly, "aborted": _abort}


def read_memory(process: int) -> int:
    """Return the resident bytes of a process."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return 1024 * int(re.findall(r"VmRSS:\s+(\d+)", status)[0])


def describe_memory(process: int) -> str:
    """Return the resident memory of a server and of each of its workers, and how much of it is private, in MB."""
    workers = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8").split()
    cells = []
    for name, number in (("server", str(process)), *((f"worker {i}", pid) for i, pid in enumerate(workers, start=1))):
        rollup = Path(f"/proc/{number}/smaps_rollup").read_text(encoding="utf-8")
        resident = int(re.findall(r"Rss:\s+(\d+)", rollup)[0])
        private = sum(map(int, re.findall(r"Private_(?:Clean|Dirty):\s+(\d+)", rollup)))
        cells.append(f"{name} {resident * 1024 / 1e6:.1f}, private {private * 1024 / 1e6:.1f}")
    return "; ".join(cells)


def survive(model: Path, pairs: list[tuple[bytes, bytes]], *, bad: int, seconds: float) -> str:
    """Return the row of the target of memory after ``bad`` requests; exit if the server then answers wrongly."""
    with serve(model, "--timeout", TIMEOUT) as (port, process):
        asyncio.run(measure(port, pairs, clients=64, seconds=seconds))
        asyncio.run(attack(port, AT_ONCE))  # what is imported and allocated once
        time.sleep(QUIET)
        before = read_memory(process)
        ends = asyncio.run(attack(port, bad))
        time.sleep(QUIET)
        after = read_memory(process)
        asyncio.run(measure(port, pairs, clients=8, seconds=1))
    for end, count in sorted(ends.items()):
        print(f"- {end}: {count}")
    print(f"\nmemory before {before / 1e6:.1f} MB, after {after / 1e6:.1f} MB\n")
    return Target("memory after bad requests, ratio", after / before, GROWTH).row


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="label<TAB>text")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--bad", type=int, default=1000)
    options = parser.parse_args()

    texts = read_texts(options.data)
    with tempfile.TemporaryDirectory() as folder:
        lines = write_lines(Path(folder, "texts.txt"), texts)
        predicted = run_textrnn("predict", "-m", options.model, "--format", "jsonl", lines).stdout
    requests = (format_request(json.dumps({"text": text}).encode()) for text in texts)
    pairs = list(zip(requests, predicted.splitlines(keepends=True), strict=True))
    print("| batches | clients | requests/s | p50 ms | p99 ms | answers, all as predict's |\n|---|---|---|---|---|---|")
    memory = []
    for name, batch in (("yes", 256), ("no", 1)):
        with serve(options.model, "--max-batch", batch, "--workers", options.workers) as (port, process):
            asyncio.run(measure(port, pairs, clients=8, seconds=1))
            for clients in options.clients:
                found = asyncio.run(measure(port, pairs, clients=clients, seconds=options.seconds))
                row = (name, clients, f"{found.rate:,.0f}", f"{found.quantile(0.5):.1f}", f"{found.quantile(0.99):.1f}")
                print(f"| {' | '.join(map(str, (*row, f'{len(found.latencies):,}')))} |", flush=True)
            if sys.platform == "linux":
                memory.append(f"- batches: {name}: {describe_memory(process)}")
    print("\nMemory, MB:\n", *memory, "", sep="\n")
    if options.bad:
        row = survive(options.model, pairs, bad=options.bad, seconds=min(3, options.seconds))
        print(f"| target | measured | bound | met |\n|---|---|---|---|\n{row}")


if __name__ == "__main__":
    main()
