"""Keys that exclude, need or disable each other."""

from __future__ import annotations

import pytest

from exp_yaml import faults_of, load
from textrnn.config import Config, Override, load_config
from textrnn.errors import ConfigError

SIZES = "cannot be combined with train.batch_size; remove one of them, or use --set train.batch_size=null"
SEPARATOR = "needs data.multi_label=true; set that too, or remove the separator"
VECTORS = "needs embedding.vectors; name a file of word vectors too"
NO_SAMPLES = "cannot sample; use a unigram or bpe tokenizer"
NO_WORDS = "accepts no new words; remove this key"
HOLDS_OUT = "holds out its own validation set; remove data.valid (exp.yaml:3), or use --set data.valid=null"


@pytest.mark.parametrize(
    ("text", "sets", "fault"),
    [
        ("train:\n  batch_size: 8\n  batch_tokens: 512\n", "", f"exp.yaml:3: train.batch_tokens: {SIZES}"),
        (
            "train:\n  batch_size: 8\n",
            "train.batch_tokens=9",
            f"--set train.batch_tokens=9: train.batch_tokens: {SIZES}",
        ),
        ("data:\n  train: a\n  valid: b\n", "data.fold=2/5", f"--set data.fold=2/5: data.fold: {HOLDS_OUT}"),
        ('data:\n  label_separator: "|"\n', "", f"exp.yaml:2: data.label_separator: {SEPARATOR}"),
        ("", "data.label_separator=|", f"--set data.label_separator=|: data.label_separator: {SEPARATOR}"),
        ("", "embedding.freeze=true", f"--set embedding.freeze=true: embedding.freeze: {VECTORS}"),
        ("", "embedding.words=5", f"--set embedding.words=5: embedding.words: {VECTORS}"),
        (
            "embedding: {vectors: v.txt, words: 5}\ntokenizer: {model: m.model}\n",
            "",
            f"exp.yaml:1: embedding.words: the tokenizer of tokenizer.model {NO_WORDS}",
        ),
        (
            "embedding: {vectors: v.txt, words: 5}\n",
            "tokenizer.model_type=bpe",
            f"exp.yaml:1: embedding.words: a bpe tokenizer {NO_WORDS}",
        ),
        (
            "embedding: {vectors: v.txt, words: 5}\n",
            "tokenizer.model_type=char",
            f"exp.yaml:1: embedding.words: a char tokenizer {NO_WORDS}",
        ),
        (
            "tokenizer: {model_type: word}\n",
            "tokenizer.alpha=0.1",
            f"--set tokenizer.alpha=0.1: tokenizer.alpha: a word tokenizer {NO_SAMPLES}",
        ),
        (
            "tokenizer: {model_type: char}\n",
            "tokenizer.alpha=0.1",
            f"--set tokenizer.alpha=0.1: tokenizer.alpha: a char tokenizer {NO_SAMPLES}",
        ),
    ],
)
def test_keys_that_exclude_or_need_each_other(text: str, sets: str, fault: str) -> None:
    assert faults_of(text, *sets.split()) == [fault]


@pytest.mark.parametrize(
    "sets",
    [
        ["train.batch_size=null", "train.batch_tokens=9"],
        ["data.train=a", "data.valid=null", "data.fold=2/5"],
        ["embedding.words=0"],
        ["embedding.words=20000", "tokenizer.model_type=char"],
        ["embedding.vectors=v.txt", "embedding.freeze=true", "embedding.words=5", "tokenizer.model_type=word"],
        ["embedding.vectors=v.txt", "tokenizer.model_type=bpe"],
        ["embedding.vectors=v.txt", "tokenizer.model=m.model"],
        ["tokenizer.alpha=0.1", "tokenizer.model=m.model"],
    ],
)
def test_keys_that_can_be_combined(sets: list[str]) -> None:
    assert load("", *sets) != Config()


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        ("6/5", "there is no fold 6 of 5"),
        ("1/1", "there is no fold 1 of 1"),
        ("0/5", "should be K/N, such as 2/5"),
        ("half", "should be K/N"),
        (2, "should be K/N"),
    ],
)
def test_an_invalid_fold_is_a_fault(fold: object, message: str) -> None:
    (fault,) = faults_of("", f"data.fold={fold}")
    assert fault.startswith(f"--set data.fold={fold}: data.fold: ")
    assert message in fault


def test_a_flag_is_named_without_its_key() -> None:
    overrides = [Override("data.train", "a", "--train a"), Override("data.valid", "b", "--valid b")]
    with pytest.raises(ConfigError, match=r"^--kfold 5: holds out its own validation set; remove --valid b$"):
        load_config(overrides=[*overrides, Override("data.fold", "2/5", "--kfold 5")])


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        ("data.train=a data.valid=v data.valid_share=0.2", "data.valid_share: has no effect with data.valid='v'"),
        ("data.train=a data.fold=1/2 data.valid_share=0.1", "data.valid_share: has no effect with data.fold='1/2'"),
        ("data.valid_share=0.2", "data.valid_share: has no effect with data.train='demo'"),
        ("tokenizer.model=m tokenizer.vocab_size=9", "tokenizer.vocab_size: has no effect with tokenizer.model='m'"),
        ("tokenizer.model_type=bpe tokenizer.model=m", "tokenizer.model_type: has no effect with tokenizer.model='m'"),
        ("model.highway_bias=-1 model.cell=gru", "model.highway_bias: has no effect with model.cell='gru'"),
        (
            "model.dropout=0 model.variational_dropout=false",
            "model.variational_dropout: has no effect with model.dropout=0",
        ),
        ("ngrams.share=0 ngrams.penalty=2", "ngrams.penalty: has no effect with ngrams.share=0"),
    ],
)
def test_a_key_of_the_command_line_without_effect_is_a_fault(sets: str, reason: str) -> None:
    (fault,) = faults_of("", *sets.split())
    key = reason.partition(":")[0]
    assert fault.startswith(f"--set {key}=")
    assert fault.endswith(f": {reason}; leave it out")


def test_a_file_may_hold_keys_without_effect() -> None:
    assert load("ngrams: {share: 0, penalty: 2}\nmodel: {cell: gru, highway_bias: -1}\n", "model.hidden=3")
    assert faults_of("ngrams: {share: 0}\n", "ngrams.penalty=2")
