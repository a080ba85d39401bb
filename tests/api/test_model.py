"""The Python API: it returns what the engine returns, and reports wrong arguments."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import joblib
import numpy as np
import pytest

import textrnn
from command import run_command
from samples import SENTENCES, make_config, make_model
from textrnn.api import Model
from textrnn.inference import Precision
from textrnn.inference.engine import Engine
from textrnn.inference.explain import explain
from textrnn.native import library
from textrnn.tokenization.tokenizer import Tokenizer

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "python-api.md"
TEXTS = [*SENTENCES, "", "the parcel " * 90]


@pytest.fixture
def engine(tokenizer: Tokenizer) -> Engine:
    return Engine(make_model(tokenizer, make_config(model__hidden=8)))


@pytest.fixture
def multi_label(tokenizer: Tokenizer) -> Engine:
    model = make_model(tokenizer, make_config(model__hidden=8, data__multi_label=True))
    return Engine(replace(model, thresholds=(0.4, 0.5, 0.6)))


def run_python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


def test_importing_loads_neither_numpy_nor_torch(tmp_path: Path) -> None:
    code = "import sys, textrnn; print(sorted({'numpy', 'torch', 'sentencepiece', 'pydantic'} & set(sys.modules)))"
    assert run_python(code, tmp_path).stdout == "[]\n"


def test_predicting_loads_neither_torch_nor_scipy(trained: Path) -> None:
    code = "import sys, textrnn; textrnn.load().predict(['tea']); print({'torch', 'scipy', 'sklearn'} & {*sys.modules})"
    assert run_python(code, trained).stdout == "set()\n"


def test_the_public_names_exist() -> None:
    for name in textrnn.__all__:
        assert getattr(textrnn, name).__name__ == name
    assert (
        get_type_hints(textrnn.load, vars(textrnn) | {"Model": textrnn.Model, "Precision": Precision})["return"]
        is Model
    )
    assert issubclass(textrnn.ModelError, textrnn.TextrnnError)
    with pytest.raises(AttributeError, match="no attribute 'modle'"):
        textrnn.modle  # type: ignore[attr-defined]  # noqa: B018


def test_predicts_what_the_command_prints(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["green tea", "black coffee", "", "tea and coffee"]
    done = run_command("predict", "--format", "jsonl", "--top-k", 2, cwd=trained, stdin="\n".join(texts).encode())
    rows = [json.loads(line)["top"] for line in done.stdout.splitlines()] or []
    monkeypatch.chdir(trained)
    for path in (None, "runs/small", Path("runs/small"), "runs/small/model.safetensors"):
        model = textrnn.load(path)
        assert model.labels == ("coffee", "tea")
        found = model.predict(iter(texts), top_k=2)
        got = [[(p.label, p.probability) for p in predictions] for predictions in found]
        assert [[label for label, _ in row] for row in got] == [[p["label"] for p in row] for row in rows]
        flat = [p for row in got for _, p in row]
        assert flat == pytest.approx([p["probability"] for row in rows for p in row], abs=1e-5)


def test_it_returns_what_the_engine_returns(engine: Engine, multi_label: Engine) -> None:
    for one in (engine, multi_label):
        model = Model(one)
        assert model.labels == one.labels
        assert model.predict(TEXTS) == one.predict(TEXTS)
        assert model.predict(TEXTS, top_k=2) == one.predict(TEXTS, top_k=2)
        probabilities = model.predict_proba(TEXTS)
        assert (probabilities.dtype, probabilities.shape) == (np.float32, (len(TEXTS), 3))
        np.testing.assert_array_equal(probabilities, np.exp(one.predict_log_probabilities(TEXTS)))
        assert model.explain(TEXTS[0], "b") == explain(one, TEXTS[0], "b")
    assert Model(multi_label).predict(TEXTS, threshold=0.5) == multi_label.predict(TEXTS, threshold=0.5)


def test_no_texts_give_no_predictions(engine: Engine) -> None:
    model = Model(engine)
    assert model.predict([]) == []
    assert model.predict_proba([]).shape == (0, 3)


@pytest.mark.parametrize("texts", ["a text", b"a text"])
def test_one_text_instead_of_a_list_is_refused(engine: Engine, texts: str) -> None:
    for method in (Model(engine).predict, Model(engine).predict_proba):
        with pytest.raises(TypeError, match=r"a list of str, not one (str|bytes); write \[text\]"):
            method(texts)


@pytest.mark.parametrize(
    ("wrong", "name"), [(None, "None"), (float("nan"), "nan"), (7, "int"), (b"bytes", "bytes"), (["a list"], "list")]
)
def test_elements_that_are_no_texts_are_refused_with_place_and_count(engine: Engine, wrong: object, name: str) -> None:
    for method in (Model(engine).predict, Model(engine).predict_proba):
        with pytest.raises(TypeError, match=rf"texts\[1\] should be a str, not {name} \(2 of 4 texts\)"):
            method(["a text", wrong, "another", wrong])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="text should be one str"):
        Model(engine).explain(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("texts", [None, 7, {"text": ["a"]}], ids=repr)
def test_what_holds_no_texts_is_refused(engine: Engine, texts: Any) -> None:
    with pytest.raises(TypeError, match="texts"):
        Model(engine).predict(texts)


def test_columns_are_texts_and_tables_are_refused(engine: Engine) -> None:
    model = Model(engine)
    expected = model.predict(SENTENCES)
    for array in (np.array(SENTENCES), np.array(SENTENCES, object), iter(SENTENCES), tuple(SENTENCES)):
        assert model.predict(array) == expected
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"text": SENTENCES, "id": range(len(SENTENCES))}, index=range(7, 7 + len(SENTENCES)))
    for column in (table["text"], table["text"].astype(object), table["text"].astype("string"), table["text"].array):
        assert model.predict(column) == expected
    for wrong in (table, table[["text"]]):
        with pytest.raises(TypeError, match=r"one column, such as df\['text'\], not a whole DataFrame"):
            model.predict(wrong)
    with pytest.raises(TypeError, match=r"texts\[2\] should be a str.*\(1 of 6 texts\)"):
        model.predict(table["text"].where(table["id"] != 2))


def test_arguments_out_of_range_are_refused(engine: Engine, multi_label: Engine) -> None:
    with pytest.raises(ValueError, match="top_k should be 1 or more, not 0"):
        Model(engine).predict(TEXTS, top_k=0)
    with pytest.raises(ValueError, match="not multi-label"):
        Model(engine).predict(TEXTS, threshold=0.5)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="threshold should be from 0 to 1"):
            Model(multi_label).predict(TEXTS, threshold=wrong)


def test_confidence_thresholds_apply_on_request(engine: Engine) -> None:
    probabilities = np.exp(engine.predict_log_probabilities(TEXTS)).max(axis=1)
    bound = float(np.median(probabilities))
    model = Model(Engine(replace(engine.model, confidence_thresholds=(bound,) * len(engine.labels))))
    plain = model.predict(TEXTS, top_k=2)
    assert plain == Model(engine).predict(TEXTS, top_k=2)
    found = model.predict(TEXTS, top_k=2, unknown_label="?")
    for before, after in zip(plain, found, strict=True):
        assert after[1:] == before[1:]
        assert after[0] == (before[0] if before[0].probability >= bound else replace(before[0], label="?"))
    assert {pair[0].label == "?" for pair in found} == {True, False}
    with pytest.raises(ValueError, match="no confidence thresholds"):
        Model(engine).predict(TEXTS, unknown_label="?")


def test_lone_surrogates_are_read_as_question_marks(engine: Engine) -> None:
    model = Model(engine)
    np.testing.assert_array_equal(model.predict_proba(["a \ud800 b"]), model.predict_proba(["a ? b"]))
    assert model.explain("a \ud800 b") == model.explain("a ? b")


def test_a_missing_model_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(textrnn.ModelError, match="no such model file"):
        textrnn.load("runs/none")
    with pytest.raises(textrnn.TextrnnError, match=r"no model was trained in this folder; .* name one with its path"):
        textrnn.load()


def test_a_folder_as_the_hub_caches_it(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    snapshot = tmp_path / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    shutil.copy(trained / "runs/small/model.safetensors", tmp_path / "blobs/89ef")
    for name, content in (("README.md", "# Drinks"), ("config.json", "{}")):
        (snapshot / name).write_text(content)
    link = snapshot / "drinks.safetensors"
    link.symlink_to("../../blobs/89ef")
    assert textrnn.load(snapshot).labels == ("coffee", "tea")
    link.rename(snapshot / "model.safetensors")
    (snapshot / "other.safetensors").symlink_to("../../blobs/89ef")
    assert textrnn.load(snapshot).labels == ("coffee", "tea")
    (snapshot / "model.safetensors").unlink()
    (snapshot / "third.safetensors").symlink_to("../../blobs/none")
    with pytest.raises(textrnn.ModelError, match=r"contains no model.safetensors; give the folder .* or a model file"):
        textrnn.load(snapshot)


def test_threads_may_share_a_model(engine: Engine) -> None:
    model = Model(engine)
    expected = model.predict_proba(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for probabilities in pool.map(lambda _: model.predict_proba(TEXTS), range(80)):
            np.testing.assert_array_equal(probabilities, expected)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_model_can_be_pickled_and_copied(trained: Path, tmp_path: Path, precision: Precision) -> None:
    try:
        model = textrnn.load(trained / "runs/small", precision=precision)
    except textrnn.BackendError as error:
        pytest.skip(str(error))
    texts = ["green tea", "black coffee", ""]
    expected = model.predict_proba(texts)
    joblib.dump(model, tmp_path / "model.joblib")
    content = pickle.dumps(model)
    copies = [copy.copy(model), copy.deepcopy(model), pickle.loads(content), joblib.load(tmp_path / "model.joblib")]
    for each in copies:
        assert each.labels == model.labels
        np.testing.assert_array_equal(each.predict_proba(texts), expected)
    (tmp_path / "pickled").write_bytes(content)  # all that another machine gets
    code = f"import pickle; print(pickle.load(open('pickled', 'rb')).predict_proba({texts!r}).tolist())"
    assert run_python(code, tmp_path).stdout == f"{expected.tolist()}\n"


FORKS = """
import os, sys, threading, time
import numpy as np, textrnn
os.environ["OMP_NUM_THREADS"] = "2"
model = textrnn.load()
texts = [f"green tea number {i} " * 20 for i in range(200)]
expected = model.predict_proba(texts)
stop = threading.Event()
def predict():
    while not stop.is_set():
        model.predict_proba(texts)
others = [threading.Thread(target=predict) for _ in range(2)]
for thread in others:
    thread.start()
children = []
for _ in range(8):
    time.sleep(0.01)
    child = os.fork()
    if child == 0:
        fresh = textrnn.load()  # which has not predicted yet
        same = all(np.array_equal(one.predict_proba(texts), expected) for one in (model, fresh))
        os._exit(0 if same else 1)
    children.append(child)
stop.set()
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.skipif(not library.supports_dtype(np.dtype(np.float32)), reason="OpenBLAS cannot fork while it multiplies")
def test_forked_children_predict_what_the_parent_predicts(trained: Path) -> None:
    command = [sys.executable, "-c", FORKS]
    done = subprocess.run(command, cwd=trained, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == f"{[0] * 8}\n", done.stderr


def test_the_examples_of_the_docs_run(trained: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"(?:^ {4}.*\n|^\n)+", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    predict, train = (textwrap.dedent(block) for block in blocks if "import textrnn" in block)
    done = run_python(
        train.replace("train__epochs=2", "train__epochs=1, model__hidden=8, model__embedding=8"), tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.9
    assert textrnn.load(tmp_path / "drinks.safetensors").labels == ("coffee", "tea")
    done = run_python(predict.replace('"runs/first"', '"runs/small"'), trained)
    assert done.returncode == 0, done.stderr
    labels, shape, *rows = done.stdout.splitlines()
    assert labels == "('coffee', 'tea')"
    assert shape == "(2, 2)"
    assert [row.split()[0] for row in rows] == ["green", "tea", "please"]
    assert all(-1 <= float(row.split()[1]) <= 1 for row in rows)


def test_precisions_and_labels_are_checked(trained: Path) -> None:
    with pytest.raises(ValueError, match="fp32, bf16, int8, not 'fp16'"):
        textrnn.load(trained / "runs/small", precision="fp16")  # type: ignore[arg-type]
    assert textrnn.load(trained / "runs/small", precision="float32").labels == ("coffee", "tea")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one label"):
        textrnn.load(trained / "runs/small").explain("tea", label=[])


def test_a_model_of_scores_predicts_numbers(scored: Path) -> None:
    model = textrnn.load(scored / "runs/small")
    found = model.predict_scores(TEXTS)
    assert (found.shape, found.dtype) == ((len(TEXTS),), np.float64)
    assert found == pytest.approx(model.predict_proba(TEXTS) @ np.array([1, 4.5, 10]))
    assert pickle.loads(pickle.dumps(model.map_fn()))({"text": TEXTS}) == {"score": found.tolist()}
    assert model.is_score
    assert model.evaluate(TEXTS, found).to_dict()["mae"] == 0
    explained = model.explain(TEXTS[0])
    assert explained.score == pytest.approx(found[0])
    assert explained.parts[0].effects[0] == pytest.approx(
        found[0] - model.predict_scores([TEXTS[0].split(" ", 1)[1]])[0], abs=1e-5
    )


def test_calls_for_another_target_are_refused(scored: Path, engine: Engine) -> None:
    model = textrnn.load(scored / "runs/small")
    with pytest.raises(ValueError, match="use predict_scores"):
        model.predict(TEXTS)
    with pytest.raises(ValueError, match="predicts scores; leave it out"):
        model.explain("text", "10")
    with pytest.raises(ValueError, match=r"'labels\[1\]' should be a number, not 'good'"):
        model.evaluate(["a", "b"], [1, "good"])
    with pytest.raises(ValueError, match="predicts labels"):
        Model(engine).predict_scores(TEXTS)
