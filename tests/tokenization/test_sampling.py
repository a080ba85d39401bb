"""Subword sampling: the distribution of SentencePiece, fixed by the seed, different in each epoch."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from samples import SENTENCES
from textrnn.data.batch import PackedBatch, pack
from textrnn.errors import ConfigError
from textrnn.tokenization.sampling import SegmentSampler
from textrnn.tokenization.spm_trainer import train_tokenizer
from textrnn.tokenization.tokenizer import Tokenizer

TEXTS = ["the kettle boils in two minutes", "my parcel is late", "", "환불은 언제 되나요 my \u2603 parcel", "x" * 90]
LINES = [sentence.encode() for sentence in SENTENCES * 3] + [b"xxxx yyyy", b"minute late parcels"]
ALPHA = {"unigram": 0.2, "bpe": 0.3}


def make(kind: str) -> Tokenizer:
    return train_tokenizer(LINES, model_type=kind, vocab_size=120, hard_vocab_limit=False).tokenizer


def encode(tokenizer: Tokenizer) -> PackedBatch:
    return pack(tokenizer.encode_all(TEXTS, max_length=200), [0, 1, 0, 1, 1])


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_the_key_changes_the_pieces_and_not_the_text(kind: str) -> None:
    tokenizer = make(kind)
    assert tokenizer.kind == kind
    batch = encode(tokenizer)
    sampler = SegmentSampler(tokenizer, alpha=ALPHA[kind], seed=1)
    drawn = [sampler.resample(batch, [epoch, 0], max_length=500) for epoch in range(6)]
    for result in drawn:
        assert len(result) == len(batch)
        assert result.classes.tolist() == batch.classes.tolist()
        for index in (0, 1):
            ids = result.ids[result.offsets[index] : result.offsets[index + 1]]
            assert tokenizer.decode(ids.tolist()) == TEXTS[index]
        assert result.ids[result.offsets[2] : result.offsets[3]].tolist() == [tokenizer.unknown_id]
        unknown = [int((part.ids == tokenizer.unknown_id).sum()) for part in (result, batch)]
        assert unknown[0] == unknown[1]
    assert len({result.ids.tobytes() for result in drawn}) == 6
    again = SegmentSampler(tokenizer, alpha=ALPHA[kind], seed=1).resample(batch, [3, 0], max_length=500)
    assert again.ids.tobytes() == drawn[3].ids.tobytes()
    other = SegmentSampler(tokenizer, alpha=ALPHA[kind], seed=2).resample(batch, [3, 0], max_length=500)
    assert other.ids.tobytes() != drawn[3].ids.tobytes()


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_another_process_draws_the_same_pieces(kind: str, tmp_path: Path) -> None:
    tokenizer = make(kind)
    (tmp_path / "t.model").write_bytes(tokenizer.model)
    code = f"""
import sys
from pathlib import Path
from textrnn.data.batch import pack
from textrnn.tokenization.tokenizer import Tokenizer
from textrnn.tokenization.sampling import SegmentSampler
tokenizer = Tokenizer.read(Path(sys.argv[1]))
batch = pack(tokenizer.encode_all({TEXTS!r}, max_length=200))
print(SegmentSampler(tokenizer, alpha={ALPHA[kind]}, seed=5).resample(batch, [2, 7], max_length=500).ids.tolist())
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "t.model")], capture_output=True, check=True)
    ours = SegmentSampler(tokenizer, alpha=ALPHA[kind], seed=5).resample(encode(tokenizer), [2, 7], max_length=500)
    assert done.stdout.decode().strip() == str(ours.ids.tolist())


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_the_distribution_is_that_of_sentencepiece(kind: str) -> None:
    tokenizer = make(kind)
    word, draws = "minutes", 4000
    batch = pack(tokenizer.encode_all([word], max_length=99))
    ours = Counter(
        SegmentSampler(tokenizer, alpha=ALPHA[kind], seed=seed).resample(batch, [0], max_length=99).ids.tobytes()
        for seed in range(draws // 4)
    )
    theirs = Counter(
        np.array(tokenizer.sample(word, ids=True, nbest_size=-1, alpha=ALPHA[kind]), np.int32).tobytes()
        for _ in range(draws)
    )
    for pieces, count in theirs.most_common(4):
        share = count / draws
        assert ours[pieces] / (draws // 4) == pytest.approx(share, abs=5 * (share / (draws // 4)) ** 0.5)


def test_alpha_0_keeps_bpe_pieces_and_texts_are_truncated() -> None:
    tokenizer = make("bpe")
    batch = encode(tokenizer)
    assert (
        SegmentSampler(tokenizer, alpha=0.0, seed=1).resample(batch, [0], max_length=500).ids.tolist()
        == batch.ids.tolist()
    )
    cut = SegmentSampler(tokenizer, alpha=0.9, seed=1).resample(batch, [0], max_length=7)
    full = SegmentSampler(tokenizer, alpha=0.9, seed=1).resample(batch, [0], max_length=500)
    assert cut.lengths.tolist() == np.minimum(full.lengths, 7).tolist()
    assert cut.ids[:7].tolist() == full.ids[:7].tolist()


@pytest.mark.parametrize("kind", ["char", "word"])
def test_char_and_word_tokenizers_are_refused(kind: str) -> None:
    tokenizer = train_tokenizer(LINES, model_type=kind, vocab_size=60, hard_vocab_limit=False).tokenizer
    with pytest.raises(ConfigError, match=r"tokenizer.alpha: a word or char tokenizer cannot sample"):
        SegmentSampler(tokenizer, alpha=0.1, seed=1)
