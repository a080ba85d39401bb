"""Manifests: a run is finished with the same model, inputs and settings only."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from textrnn.errors import ConfigError, DataError
from textrnn.integrations.addresses import Input
from textrnn.integrations.manifest import Manifest, check_empty, hash_file
from textrnn.integrations.part_files import PartCounts

INPUTS = {"a.jsonl": Input("in/a.txt", "a.txt", 5), "b.jsonl": Input("in/b.txt", "b.txt", 9)}


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """One of two parts is done."""
    own = Manifest(str(tmp_path), "abc", {"top_k": None}, INPUTS, {"a.jsonl": PartCounts(3, 3, Counter(tea=3))})
    own.save()
    (tmp_path / "a.jsonl").touch()
    return own


def test_parts_that_are_done_are_not_repeated(manifest: Manifest) -> None:
    resumed = replace(manifest, done={})
    assert resumed.rest == ["b.jsonl", "a.jsonl"]  # the largest first
    resumed.resume()
    assert resumed.rest == ["b.jsonl"]
    assert resumed.done == manifest.done


def test_a_part_that_is_gone_is_written_again(manifest: Manifest) -> None:
    Path(manifest.folder, "a.jsonl").unlink()
    resumed = replace(manifest, done={})
    resumed.resume()
    assert resumed.done == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_sha256": "other"}, "another model"),
        ({"settings": {"top_k": 2}}, "with top_k None"),
        ({"inputs": {**INPUTS, "b.jsonl": Input("in/b.txt", "b.txt", 8)}}, "in/b.txt has changed"),
        ({"inputs": {"a.jsonl": INPUTS["a.jsonl"]}}, "in/b.txt is no longer given"),
        ({"inputs": {**INPUTS, "c.jsonl": Input("in/c.txt", "c.txt", 8)}}, "in/c.txt is not an input"),
    ],
)
def test_another_run_is_refused(manifest: Manifest, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(manifest, done={}, **changes).resume()


def test_a_folder_of_other_files_is_refused(manifest: Manifest) -> None:
    folder = Path(manifest.folder)
    with pytest.raises(ConfigError, match="is not empty; add --resume"):
        check_empty(str(folder))
    (folder / "_manifest.json").write_text('{"parts": 1}')
    with pytest.raises(DataError, match="is damaged"):
        manifest.resume()
    (folder / "_manifest.json").unlink()
    with pytest.raises(ConfigError, match="no _manifest"):
        manifest.resume()


def test_a_new_folder_is_ready(tmp_path: Path, manifest: Manifest) -> None:
    check_empty(str(tmp_path / "new"))
    new = replace(manifest, folder=str(tmp_path / "new"), done={})
    new.resume()
    assert len(new.rest) == 2


def test_a_file_is_known_by_its_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert hash_file(tmp_path / "a").startswith("ba7816bf8f01cfea")
