"""``textrnn data``: check labelled files, and split one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from textrnn.cli.options import LABELLED_KEYS, JsonOption, parse_data_settings
from textrnn.cli.parameters import Argument, Option
from textrnn.cli.tables import format_counts
from textrnn.cli.terminal import announce_keyboard_input, print_message, write_data
from textrnn.config import DEMO, as_list, load_config
from textrnn.data.reading.io import STDIN, check_readable
from textrnn.errors import ConfigError, pluralize
from textrnn.files import shipped

_MAX_LABELS = 10
_CHECK_KEYS = (
    *(*LABELLED_KEYS, "data.weight", "data.target", "data.multi_label"),
    *("data.on_error", "data.max_length", "data.long_texts"),
)
_SPLIT_KEYS = (*LABELLED_KEYS, "data.target", "data.multi_label", "data.group", "data.on_error")

SettingsOption = Annotated[
    list[str] | None,
    Option("--set", metavar="data.KEY=VALUE", help="How to read the files, as in --set data.label=class."),
]


def check_command(
    files: Annotated[list[str] | None, Argument(metavar="FILE", help="More labelled files.")] = None,
    train: Annotated[str | None, Option(metavar="FILE", help="The training set.")] = None,
    valid: Annotated[str | None, Option(metavar="FILE", help="The validation set.")] = None,
    test: Annotated[str | None, Option(metavar="FILE", help="The test set.")] = None,
    tokenizer: Annotated[
        Path | None,
        Option(metavar="FILE", help="Count lengths in pieces of this tokenizer.  [default: in characters]"),
    ] = None,
    config: Annotated[
        Path | None, Option(metavar="CONFIG.yaml", help="Check the files of this training config.")
    ] = None,
    show: Annotated[int, Option(metavar="N", min=0, help="Lines to print of each kind and file.")] = 5,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> int:
    """Check labelled files before training.

    Prints sizes, text lengths and label counts of each file, then problems as file:line. Faults are what train would
    refuse; all of them are listed. Warnings are empty, cut, repeated and similar texts, texts shared between files, and
    suspicious labels. With --set data.target=score, numbers are checked instead of labels. The exit status is 1 if
    there are faults, otherwise 0.

    \b
      textrnn data check train.tsv
      textrnn data check --train train.tsv --valid valid.tsv --test test.tsv
      textrnn data check --config exp.yaml
      textrnn data check crawl.csv --set data.label=class --json
    """
    overrides = parse_data_settings(settings, command="data check", keys=_CHECK_KEYS)
    resolved = load_config(config, overrides=overrides)
    roles = {"train": train, "valid": valid, "test": test}
    if config is not None:
        named = {role: getattr(resolved.data, role) for role in roles}
        if named["train"] == DEMO:
            named |= {role: str(shipped("demo") / f"{role}.tsv") for role in ("train", "valid")}
        roles = {role: path or named[role] for role, path in roles.items()}
        tokenizer = tokenizer or (Path(resolved.tokenizer.model) if resolved.tokenizer.model else None)
    checked: list[tuple[str, str | None]] = [(path, role) for role, paths in roles.items() for path in as_list(paths)]
    checked += [(path, None) for path in files or ()]
    paths = [path for path, _ in checked]
    if not paths:
        raise ConfigError("data check: name a file, as in textrnn data check train.tsv")
    # one file in two roles is worth checking; the same argument twice is a mistake
    if repeated := next((path for path in files or () if paths.count(path) > 1), None):
        raise ConfigError(f"{repeated}: given twice; name each file once")
    for path in paths:
        check_readable(path)
    from textrnn.cli.commands.data.data_report import format_report
    from textrnn.data.check import check_files
    from textrnn.tokenization.tokenizer import Tokenizer

    count_pieces = None if tokenizer is None else Tokenizer.read(tokenizer).count_pieces
    announce_keyboard_input(paths)
    report = check_files(checked, resolved.data, max_shown=show, count_pieces=count_pieces)
    write_data(json.dumps(report.to_dict(), ensure_ascii=False) + "\n" if as_json else format_report(report))
    return 1 if report.findings.count(faults=True) else 0


def split_command(
    file: Annotated[str, Argument(metavar="FILE", help="Labelled text, plain or compressed.")],
    out: Annotated[Path, Option(metavar="FOLDER", help="Folder for the train, valid and test files.")],
    valid_share: Annotated[
        float, Option(metavar="SHARE", min=0.0, max=1.0, help="Share of the texts for valid; 0 writes none.")
    ] = 0.1,
    test_share: Annotated[
        float, Option(metavar="SHARE", min=0.0, max=1.0, help="Share of the texts for test; 0 writes none.")
    ] = 0.1,
    seed: Annotated[int, Option(metavar="N", min=0, max=2**32 - 1, help="Random seed of the split.")] = 42,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace existing files.")] = False,
    config: Annotated[
        Path | None, Option(metavar="CONFIG.yaml", help="Read the file as this training config says.")
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Split a labelled file into train, valid and test.

    The split is stratified by label, that of scores (data.target=score) by their deciles. Texts that differ only in
    case, spaces and punctuation stay together. Lines are copied unchanged, with the header of a CSV file in each part.
    Prints the paths of the new files.

    \b
      textrnn data split all.tsv --out data
      textrnn data split crawl.csv.gz --out data --set data.label=class
    """
    if valid_share + test_share >= 1:
        raise ConfigError(f"--valid-share {valid_share} --test-share {test_share}: nothing is left to train on")
    overrides = parse_data_settings(settings, command="data split", keys=_SPLIT_KEYS)
    data = load_config(config, overrides=overrides).data
    if file == STDIN:
        raise ConfigError("data split -: standard input cannot be read twice; put the text into a file")
    check_readable(file)
    from textrnn.data.split import split_file

    shares = {"valid": valid_share, "test": test_share}
    split = split_file(file, out, data, shares=shares, seed=seed, overwrite=overwrite)
    for line in split.notes:
        print_message(line)
    for part, path in split.paths.items():
        texts = pluralize(sum(split.counts[part].values()), "text", "texts")
        counts = split.counts[part]
        shown = _describe_scores(counts) if data.target == "score" else format_counts(counts, limit=_MAX_LABELS)
        print_message(f"{path}: {texts} ({shown})")
    if split.together:
        rule = "similar texts (same except for case, spaces and punctuation)"
        print_message(
            f"{pluralize(split.together, 'text', 'texts')} stayed with others: {rule}"
            + (f" and equal values of '{data.group}' are in one file" if data.group else " are in one file")
            + f"; list them with: textrnn data check {file}"
        )
    write_data("".join(f"{path}\n" for path in split.paths.values()))


def _describe_scores(counts: Mapping[str, int]) -> str:
    """Return the range and the mean of scores, given the number of texts with each."""
    pairs = [(float(score), count) for score, count in counts.items() if count]
    mean = sum(score * count for score, count in pairs) / max(1, sum(count for _, count in pairs))
    return f"scores from {min(pairs)[0]:g} to {max(pairs)[0]:g}, on average {mean:.4g}" if pairs else "no scores"
