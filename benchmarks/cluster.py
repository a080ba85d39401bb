"""Documents a second on Ray, datatrove and Spark, compared with plain ``predict`` on the same files.

    TEXTRNN_TEST_DATA=FOLDER python benchmarks/cluster.py [--documents 2000] [--files 8] [--turns 1] [--model RUN]
        [--engines predict,ray,killed,datatrove,spark]

writes Parquet files of documents of about 3.6 KB (texts of the data set mr joined) into a temporary folder, and labels
them on two cores with each engine in turn. Without ``--model`` it trains one of two epochs. The engine *killed* is Ray
with an actor killed by its number when the first part is there. After each run the benchmark fails if a document is
missing or there twice.

Prints seconds and the processor time of all processes, of a run on two documents (the start) and of the whole one; what
is left without the start, as documents a second and relative to ``predict`` in the same turn; and the peak memory of a
worker. With several turns all figures are medians. Ray and Spark take 5 to 40 s to start, so give so many documents
that the work takes minutes. Ray's actors run without their niceness of 15, by which other work on the machine would
slow them alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from process import read_texts, run_textrnn
from process_tree import ProcessTree, watch_processes
from pyarrow import parquet

BYTES = 3600
CORES = 2
ACTOR = "ray::MapWorker"
DATATROVE = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from textrnn.integrations.datatrove import TextRNNAnnotator

model, source, target, precision = sys.argv[1:]
if __name__ == "__main__":
    steps = [ParquetReader(source), TextRNNAnnotator(model, precision=precision), ParquetWriter(target)]
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


@dataclass(frozen=True)
class Engine:
    """An engine: its name in the table, what runs it on a folder, and a part of its workers' command lines."""

    title: str
    run: Callable[[Path, Path], None]  # source, target
    worker: str
    package: str = "textrnn"


@dataclass(frozen=True)
class Figures:
    """Seconds and processor seconds of the start and of the whole run, and the peak memory of a worker."""

    start: float
    start_processor: float
    seconds: float
    processor: float
    peak: int

    @property
    def rest(self) -> tuple[float, float]:
        """Seconds and processor seconds without the start."""
        return self.seconds - self.start, self.processor - self.start_processor


def write_documents(folder: Path, count: int, *, files: int) -> Path:
    """Write ``files`` Parquet files; return the folder."""
    texts = read_texts(Path(os.environ["TEXTRNN_TEST_DATA"], "mr/train.tsv"))
    rng = random.Random(0)
    folder.mkdir()
    for number in range(files):
        rows = []
        for identity in range(number, count, files):
            text = ""
            while len(text) < BYTES:
                text += rng.choice(texts) + " "
            rows.append({"id": str(identity), "text": text[:BYTES]})
        table = pa.Table.from_pylist(rows, schema=pa.schema({"id": pa.string(), "text": pa.string()}))
        parquet.write_table(table, folder / f"{number:05}.parquet")
    return folder


def list_engines(model: Path, precision: str) -> dict[str, Engine]:
    """Return the engines by the names that ``--engines`` takes."""
    options = ("-m", model, "--precision", precision, "--jobs", CORES, "-o")

    def predict(source: Path, target: Path) -> None:
        target.mkdir()
        run_textrnn("predict", *options, target / "all.parquet", source)

    def run_ray(source: Path, target: Path) -> None:
        run_textrnn("predict", "--engine", "ray", *options, target, source, environment={"RAY_worker_niceness": "0"})

    def by_script(script: str) -> Callable[[Path, Path], None]:
        return lambda source, target: run_script(script, model, source, target, precision)

    return {
        "predict": Engine("predict", predict, "textrnn predict"),
        "ray": Engine("Ray, 2 actors", run_ray, ACTOR, "ray"),
        "killed": Engine("Ray, one actor killed", run_ray, ACTOR, "ray"),
        "datatrove": Engine("datatrove, 2 tasks", by_script(DATATROVE), "python", "datatrove"),
        "spark": Engine("Spark, local[2]", by_script(SPARK), "pyspark.daemon", "pyspark"),
    }


def run_script(script: str, *arguments: object) -> None:
    """Run Python code in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYSPARK_PYTHON": sys.executable}
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(script)
        file.flush()
        command = [sys.executable, file.name, *map(str, arguments)]
        done = subprocess.run(command, check=False, capture_output=True, env=environment)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())


def kill_actor(output: Path, tree: ProcessTree, ended: threading.Event) -> None:
    """Kill an actor as soon as ``output`` has a part; exit if the run ends first."""
    while not ended.wait(0.1):
        actors = tree.find(ACTOR)
        if actors and any(output.glob("*.parquet")):
            os.kill(min(actors), signal.SIGKILL)
            return
    print("no actor was killed: give more documents", file=sys.stderr)
    os._exit(1)


def measure(engine: Engine, source: Path, target: Path, *, kills: bool = False) -> tuple[float, float, int]:
    """Run an engine; return seconds, processor seconds of all processes and the peak memory of a worker."""
    ended = threading.Event()
    with watch_processes() as tree:
        start = time.perf_counter()
        if kills:
            threading.Thread(target=kill_actor, args=(target, tree, ended), daemon=True).start()
        engine.run(source, target)
        seconds = time.perf_counter() - start
        ended.set()
    return seconds, tree.seconds, tree.peak(engine.worker)


def check_rows(target: Path, expected: int) -> None:
    """Exit if the Parquet files of ``target`` lack documents or have some twice."""
    paths = sorted(target.glob("*.parquet"))
    found = [identity for path in paths for identity in parquet.read_table(path, columns=["id"])["id"].to_pylist()]
    if len(found) != expected or len(set(found)) != expected:
        sys.exit(f"{target}: {len(found)} rows, {len(set(found))} documents instead of {expected}")


def run_turn(engines: dict[str, Engine], folder: Path, documents: int) -> dict[str, Figures]:
    """Run all engines one after the other."""
    figures = {}
    for name, engine in engines.items():
        with tempfile.TemporaryDirectory(dir=folder) as output:
            start, start_processor, _ = measure(engine, folder / "start", Path(output, "start"))
            target = Path(output, "all")
            seconds, processor, peak = measure(engine, folder / "all", target, kills=name == "killed")
            check_rows(target, documents)
        figures[name] = Figures(start, start_processor, seconds, processor, peak)
        print(f"{engine.title}: {figures[name]}", file=sys.stderr, flush=True)
    return figures


def tabulate(turns: Sequence[dict[str, Figures]], engines: dict[str, Engine], documents: int) -> list[str]:
    """Return the table, a row for each engine."""
    lines = [
        "| | s, start | processor s, start | documents/s | time | processor time | peak MiB of a worker |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, engine in engines.items():
        own = [turn[name] for turn in turns]
        times = [
            f"{statistics.median(each.seconds for each in own):.1f}, {statistics.median(e.start for e in own):.1f}",
            f"{statistics.median(each.processor for each in own):.1f}, "
            f"{statistics.median(each.start_processor for each in own):.1f}",
        ]
        if min(each.rest[0] for each in own) <= 0:
            cells = [*times, "too few documents", "", ""]
        else:
            ratios = [[x / y for x, y in zip(t[name].rest, t["predict"].rest, strict=True)] for t in turns]
            medians = [f"{statistics.median(each):.2f}" for each in zip(*ratios, strict=True)]
            cells = [*times, f"{documents / statistics.median(each.rest[0] for each in own):,.0f}", *medians]
        lines.append(f"| {' | '.join([engine.title, *cells])} | {max(e.peak for e in own) / 2**20:,.0f} |")
    return lines


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
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--engines", default="predict,ray,killed,datatrove,spark", help="predict comes first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = options.model.resolve() if options.model else train(folder)
        known = list_engines(model, options.precision)
        engines = {each: known[each] for each in ("predict", *options.engines.split(","))}
        engines = {name: engine for name, engine in engines.items() if importlib.util.find_spec(engine.package)}
        write_documents(folder / "all", options.documents, files=options.files)
        write_documents(folder / "start", CORES, files=CORES)
        turns = [run_turn(engines, folder, options.documents) for _ in range(options.turns)]
    print(*tabulate(turns, engines, options.documents), sep="\n")


if __name__ == "__main__":
    main()
