"""Wiring of the commands, and the one place that turns errors into messages and exit codes."""

from __future__ import annotations

import signal
import sys
import traceback
from typing import Annotated

import typer

import textrnn
from textrnn.cli.command_class import use_command_class
from textrnn.cli.commands import (
    bench,
    config,
    data,
    demo,
    doctor,
    evaluate,
    init,
    optimize,
    predict,
    spm_filter,
    spm_train,
    train,
    tune,
)
from textrnn.cli.commands.filter import filter_command
from textrnn.cli.terminal import exit_on_broken_pipe, flush_stdout, print_message, replace_closed_stderr, write_data
from textrnn.errors import BackendError, ConfigError, StoppedError, TextrnnError
from textrnn.extras import describe_missing

EXIT_DATA, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="textrnn",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("spm-train")(spm_train.spm_train)
app.command("spm-encode")(spm_filter.spm_encode)
app.command("spm-decode")(spm_filter.spm_decode)
app.command("train")(train.train_command)
app.command("tune")(tune.tune_command)
app.command("evaluate")(evaluate.evaluate_command)
app.command("predict")(predict.predict_command)
app.command("optimize")(optimize.optimize_command)
app.command("filter")(filter_command)
app.command("demo")(demo.demo_command)
app.command("init")(init.init_command)
app.command("bench")(bench.bench_command)
app.command("doctor")(doctor.doctor_command)
app.add_typer(data.app, name="data")
app.add_typer(config.app, name="config")
use_command_class(app)


def _show_version(value: bool) -> None:
    if value:
        write_data(f"textrnn {textrnn.__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of an error; allowed anywhere in the command.")
    ] = False,
) -> None:
    """Classify text with SRU, GRU and LSTM networks.

    \b
      textrnn demo                                try everything on demo data
      textrnn spm-train --input corpus.txt        train a tokenizer
      textrnn train --train train.tsv             train a classifier
      textrnn tune config.yaml --trials 30        search for better settings
      textrnn evaluate test.tsv                   evaluate the latest model
      textrnn optimize -o small.safetensors v.tsv make it smaller
      zcat crawl.txt.gz | textrnn predict         label each line
      textrnn filter --label refund < mails.txt   print the lines with a label

    Exit status: 0 success, 1 error in data or model, 2 error in command or config, 130 interrupted.
    """
    del version, debug  # handled by _show_version and main()
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(EXIT_USAGE)


def main() -> None:
    """Run the command line; print an error as one line on stderr, and exit with its code."""
    replace_closed_stderr()
    exit_on_broken_pipe()
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    status = _run([argument for argument in arguments if argument != "--debug"], debug=debug)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback if Ctrl-C comes during shutdown
    sys.exit(status)


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        result = app(args=arguments, prog_name="textrnn", standalone_mode=False)
        flush_stdout()
        status = result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        print_message("interrupted")
        status = EXIT_INTERRUPTED
    except Exception as error:  # the outermost boundary
        if debug:
            traceback.print_exc()
        messages, status = _explain(error)
        for message in messages:
            print_message(message)
    return status


def _explain(error: Exception) -> tuple[list[str], int]:
    if isinstance(error, ConfigError):
        return error.faults, EXIT_USAGE
    if isinstance(error, StoppedError):
        return [str(error)], 128 + error.number
    if isinstance(error, TextrnnError):
        return [str(error)], EXIT_USAGE if isinstance(error, BackendError) else EXIT_DATA
    if hasattr(error, "format_message"):  # a usage error of Typer
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "textrnn"
        message = " ".join(error.format_message().split()).rstrip(".")
        return [f"{message[0].lower()}{message[1:]}; see '{command} --help'"], EXIT_USAGE
    if isinstance(error, OSError):
        return [f"{error.filename or 'input or output'}: {error.strerror or error}"], EXIT_DATA
    if isinstance(error, MemoryError):
        return ["out of memory"], EXIT_DATA
    if isinstance(error, ModuleNotFoundError) and (missing := describe_missing(error)):
        return [missing], EXIT_USAGE
    return [
        f"internal error: {type(error).__name__}: {error}; run again with --debug, and report the traceback"
    ], EXIT_DATA
