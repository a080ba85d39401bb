"""``textrnn data``: look labelled files over, and split one, before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from textrnn.cli.terminal import hint_at_terminal, say, write_data
from textrnn.config import DEMO, Config, DataConfig, load_config, parse_overrides
from textrnn.data.io import STDIN, check_readable
from textrnn.errors import ConfigError, pluralize
from textrnn.files import shipped

app = typer.Typer(help="Look labelled files over, or split one.", rich_markup_mode=None)

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="data.KEY=VALUE", help="How files are written, as in --set data.label=class; data.max_length."
    ),
]
TrainFile = Annotated[str | None, typer.Option(metavar="FILE", help="The training text.")]
ValidFile = Annotated[str | None, typer.Option(metavar="FILE", help="The text to stop on.")]
TestFile = Annotated[str | None, typer.Option(metavar="FILE", help="The text to score on.")]
_LABELS_SHOWN = 10
_NOT_TAKEN = {
    "train",
    "valid",
    "test",
    "valid_share",
    "fold",
    "cache",
}  # keys of data that say nothing of how a file is written


@app.callback(invoke_without_command=True)
def data(context: typer.Context) -> None:
    """Look labelled files over, or split one."""
    if context.invoked_subcommand is None:
        raise ConfigError("data: name a command: textrnn data check or textrnn data split")


@app.command("check")
def check_command(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="More labelled files.")] = None,
    train: TrainFile = None,
    valid: ValidFile = None,
    test: TestFile = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Count lengths in its pieces.  [default: count characters; train none]"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="CONFIG.yaml", help="Check what this config of train names.")
    ] = None,
    show: Annotated[int, typer.Option(metavar="N", min=0, help="Lines shown of each kind in a file.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    settings: Settings = None,
) -> None:
    """Look labelled files over before training.

    Each is checked by itself, and all against one another. Prints numbers and lengths, and what is odd as
    file:line: faults that train refuses (all of them, where train stops at the first), empty, cut and repeated texts,
    texts of one file in another, labels. Status 1 where there are faults, 0 with mere warnings.

    \b
      textrnn data check train.tsv
      textrnn data check --train train.tsv --valid valid.tsv --test test.tsv --tokenizer m.uni.model
      textrnn data check --config exp.yaml
      textrnn data check crawl.csv --set data.label=class --json
    """
    settled = _read_settings(settings, "check", config)
    roles = {"train": train, "valid": valid, "test": test}
    if config is not None:
        roles = {role: path or named for (role, path), named in zip(roles.items(), _name_files(settled), strict=True)}
        tokenizer = tokenizer or (Path(settled.tokenizer.model) if settled.tokenizer.model else None)
    named = [(path, role) for role, path in roles.items() if path is not None]
    wanted: list[tuple[str, str | None]] = [*named, *((path, None) for path in files or ())]
    paths = [path for path, _ in wanted]
    if not paths:
        raise ConfigError("data check: name a file, as in textrnn data check train.tsv")
    # one file for training and stopping is what a check should show; else it is a slip
    if twice := next((path for path in files or () if paths.count(path) > 1), None):
        raise ConfigError(f"{twice}: given twice; name each file once")
    for path in paths:
        check_readable(path)
    from textrnn.cli.data_report import format_report
    from textrnn.data.check import check_files
    from textrnn.tokenization.tokenizer import Tokenizer

    count_pieces = None if tokenizer is None else Tokenizer.read(tokenizer).count_pieces
    hint_at_terminal(paths)
    report = check_files(wanted, settled.data, max_shown=show, count_pieces=count_pieces)
    write_data(json.dumps(report.to_dict(), ensure_ascii=False) + "\n" if as_json else format_report(report))
    if report.findings.count(faults=True):
        raise typer.Exit(1)


@app.command("split")
def split_command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Labelled text, compressed or not.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where train, valid and test are written.")],
    valid_share: Annotated[
        float, typer.Option(metavar="SHARE", min=0.0, max=1.0, help="Share of each label's texts for valid; 0: none.")
    ] = 0.1,
    test_share: Annotated[
        float, typer.Option(metavar="SHARE", min=0.0, max=1.0, help="Share of each label's texts for test; 0: none.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=2**32 - 1, help="Fixes what is drawn.")] = 42,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    settings: Settings = None,
) -> None:
    """Split a labelled file into train, valid and test.

    Each label has its share in each part, and texts that are equal but for case, blanks and punctuation are in one
    part only. Lines stay as they are; a header stands in each part. Prints the paths.

    \b
      textrnn data split all.tsv --out data
      textrnn data split crawl.csv.gz --out data --test-share 0 --set data.label=class
    """
    if valid_share + test_share >= 1:
        raise ConfigError(f"--valid-share {valid_share} --test-share {test_share}: nothing is left to train on")
    config = _read_settings(settings, "split").data
    if file == STDIN:
        raise ConfigError("data split -: standard input would be read twice; put the text into a file")
    check_readable(file)
    from textrnn.data.split import split_file

    shares = {"valid": valid_share, "test": test_share}
    done = split_file(file, out, config, shares=shares, seed=seed, overwrite=overwrite)
    for part, path in done.paths.items():
        counts = done.counts[part]
        shown = ", ".join(f"{label} {count:,}" for label, count in [*counts.items()][:_LABELS_SHOWN])
        left = len(counts) - _LABELS_SHOWN
        more = f", and {pluralize(left, 'label', 'labels')} more" if left > 0 else ""
        say(f"{path}: {pluralize(sum(counts.values()), 'text', 'texts')} ({shown}{more})")
    if done.together:
        say(
            f"{pluralize(done.together, 'text', 'texts')} equal to one before but for case, spaces and punctuation "
            f"went to the part of that one; 'textrnn data check {file}' shows which"
        )
    write_data("".join(f"{path}\n" for path in done.paths.values()))


def _name_files(config: Config) -> tuple[str | None, str | None, str | None]:
    """Return the files that ``train`` would read: train, valid and test."""
    if config.data.train == DEMO:
        return str(shipped("demo") / "train.tsv"), str(shipped("demo") / "valid.tsv"), config.data.test
    return config.data.train, config.data.valid, config.data.test


def _read_settings(settings: list[str] | None, command: str, config: Path | None = None) -> Config:
    overrides = parse_overrides(settings or ())
    taken = [f"data.{key}" for key in DataConfig.model_fields if key not in _NOT_TAKEN]
    if wrong := [o for o in overrides if o.key not in taken]:
        raise ConfigError([f"{o.origin}: data {command} takes {', '.join(taken)}" for o in wrong])
    return load_config(config, overrides=overrides)
