"""Documents a second on Ray, datatrove and Spark, compared with plain ``predict`` on the same documents.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/cluster.py [--documents 2000] [--files 8] [--model RUN]

writes documents of about 3.6 KB (texts of the data set mr joined) as Parquet and as JSON Lines into a temporary folder,
and labels them on two cores. Without ``--model`` it trains one of two epochs. Prints rows, seconds, the ratio to
``predict`` and peak memory, with the start of each engine and without it. One run kills an actor in the middle: the
benchmark fails if a row is missing or there twice.

Ray and Spark take 5 to 40 s to start; give so many documents that the work takes minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from process import read_texts, run_textrnn
from pyarrow import parquet

BYTES = 3600
CORES = 2
DATATROVE = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from textrnn.integrations.datatrove import TextRNNAnnotator

model, source, target, precision = sys.argv[1:]
if __name__ == "__main__":
    steps = [JsonlReader(source), TextRNNAnnotator(model, precision=precision), JsonlWriter(target, compression=None)]
    LocalPipelineExecutor(steps, tasks=2, workers=2, logging_dir=target + "-logs").run()
"""
SPARK = """
import sys
from pyspark.sql import SparkSession
from textrnn.integrations.spark import predict_udf

model, source, target, precision = sys.argv[1:]
builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
frame = session.read.parquet(source)
frame.withColumn("prediction", predict_udf(model, precision=precision)("text")).write.parquet(target)
"""


def write_documents(folder: Path, count: int, *, files: int) -> None:
    """Write ``files`` Parquet files, and the same documents as JSON Lines."""
    texts = read_texts(Path(os.environ["TEXTRNN_TEST_DATA"], "mr/train.tsv"))
    rng = random.Random(0)
    for kind in ("parquet", "jsonl"):
        (folder / kind).mkdir()
    for number in range(files):
        rows = []
        for identity in range(number, count, files):
            text = ""
            while len(text) < BYTES:
                text += rng.choice(texts) + " "
            rows.append({"id": str(identity), "text": text[:BYTES]})
        table = pa.Table.from_pylist(rows, schema=pa.schema({"id": pa.string(), "text": pa.string()}))
        parquet.write_table(table, folder / f"parquet/{number:05}.parquet")
        table.to_pandas().to_json(folder / f"jsonl/{number:05}.jsonl", orient="records", lines=True)


def find_actors() -> dict[int, int]:
    """Return the processes of Ray's actors by their ids, with their peak memory in bytes."""
    actors = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::MapWorker" in (folder / "cmdline").read_bytes():
                peak = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("VmHWM"))
                actors[int(folder.name)] = int(peak.split()[1]) * 1024
        except (OSError, StopIteration):
            continue  # it has ended
    return actors


class ActorWatch(threading.Thread):
    """Notes the peak memory of actors; kills one when the first part is there, if ``kills`` is set."""

    def __init__(self, output: Path, *, kills: bool) -> None:
        super().__init__(daemon=True)
        self.peak, self.killed, self._output, self._kills = 0, 0, output, kills
        self._known = set(find_actors())  # of other runs
        self.ended = threading.Event()

    def run(self) -> None:
        """Look ten times a second."""
        while not self.ended.wait(0.1):
            actors = {pid: peak for pid, peak in find_actors().items() if pid not in self._known}
            self.peak = max([self.peak, *actors.values()])
            if self._kills and not self.killed and actors and any(self._output.glob("*.parquet")):
                self.killed = min(actors)
                os.kill(self.killed, signal.SIGKILL)


def run_ray(model: Path, source: Path, target: Path, *, precision: str, kills: bool = False) -> tuple[float, int]:
    """Label the Parquet files of ``source`` on Ray; return the seconds and the peak memory of an actor."""
    watch = ActorWatch(target, kills=kills)
    watch.start()
    options = ("--engine", "ray", "-m", model, source, "-o", target, "--precision", precision, "--jobs", CORES)
    measured = run_textrnn("predict", *options)
    watch.ended.set()
    watch.join()
    if kills and not watch.killed:
        sys.exit("no actor was killed: give more documents")
    return measured.seconds, watch.peak


def check_rows(target: Path, expected: int) -> int:
    """Return the number of documents in the Parquet files of ``target``; exit if some are missing or there twice."""
    found = parquet.read_table(target, columns=["id"]).column("id").to_pylist()
    if len(found) != expected or len(set(found)) != expected:
        sys.exit(f"{target}: {len(found)} rows, {len(set(found))} documents instead of {expected}")
    return len(found)


def run_script(script: str, *arguments: object) -> float:
    """Run Python code in a process of its own; return its seconds."""
    start = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYSPARK_PYTHON": sys.executable}
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(script)
        file.flush()
        command = [sys.executable, file.name, *map(str, arguments)]
        done = subprocess.run(command, check=False, capture_output=True, env=environment)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    return time.perf_counter() - start


def train(folder: Path) -> Path:
    """Train a model that reads documents whole."""
    data = Path(os.environ["TEXTRNN_TEST_DATA"], "mr/train.tsv")
    keys = ("data.max_length=1024", "ngrams.share=0.5", "train.report=false")
    settings = [word for key in keys for word in ("--set", key)]
    run_textrnn("train", "--train", data, "--epochs", 2, "--out", folder / "model", *settings, cwd=folder)
    return folder / "model"


def main() -> None:
    """Write documents, run each engine, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--precision", default="int8")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = options.model.resolve() if options.model else train(folder)
        write_documents(folder, options.documents, files=options.files)
        write_documents_of_start(folder)
        print_table(folder, model, documents=options.documents, precision=options.precision)


def write_documents_of_start(folder: Path) -> None:
    """Write a folder with two documents in two files, which take the time of an engine's start."""
    (folder / "start").mkdir()
    write_documents(folder / "start", CORES, files=CORES)


def print_table(folder: Path, model: Path, *, documents: int, precision: str) -> None:
    """Run each engine on all documents and on two; print a row for each."""
    outputs = iter(range(100))

    def predict(source: Path) -> tuple[float, int]:
        files = sorted(source.glob("jsonl/*"))
        options = (
            "--field",
            "text",
            "--precision",
            precision,
            "--jobs",
            CORES,
            "-o",
            folder / f"{next(outputs)}.jsonl",
        )
        measured = run_textrnn("predict", "-m", model, *options, *files)
        return measured.seconds, measured.peak

    def on_ray(source: Path, *, kills: bool = False) -> tuple[float, int]:
        target = folder / str(next(outputs))
        result = run_ray(model, source / "parquet", target, precision=precision, kills=kills)
        check_rows(target, documents if source == folder else CORES)
        return result

    def by_script(script: str, kind: str) -> Callable[[Path], tuple[float, int]]:
        return lambda source: (
            run_script(script, model, source / kind, folder / str(next(outputs)), precision),
            0,
        )

    engines: dict[str, Callable[[Path], tuple[float, int]]] = {"predict": predict, "Ray, 2 actors": on_ray}
    if importlib.util.find_spec("datatrove"):
        engines["datatrove, 2 tasks"] = by_script(DATATROVE, "jsonl")
    if importlib.util.find_spec("pyspark"):
        engines["Spark, local[2]"] = by_script(SPARK, "parquet")
    print("| | rows | s | start s | rows/s after the start | time after the start to that of predict | peak MiB |")
    print("|---|---|---|---|---|---|---|")
    base = 0.0
    for title, run in engines.items():
        start = run(folder / "start")[0]
        seconds, peak = run(folder)
        rest = seconds - start
        base = base or rest
        shown = f"{peak / 2**20:,.0f}" if peak else ""
        after = f"{documents / rest:,.0f} | {rest / base:.2f}" if rest > 0 else "too few documents | "
        rates = f"{seconds:.1f} | {start:.1f} | {after}"
        print(f"| {title} | {documents:,} | {rates} | {shown} |", flush=True)
    seconds, peak = on_ray(folder, kills=True)
    print(f"| Ray, one actor killed | {documents:,} | {seconds:.1f} | | | | {peak / 2**20:,.0f} |")


if __name__ == "__main__":
    main()
