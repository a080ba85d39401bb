"""The run of a command line, and the one place that turns errors into messages and exit codes."""

from __future__ import annotations

import gc
import signal
import sys

from textrnn.cli import plain_parser
from textrnn.cli.commands import COMMANDS, load_command, load_summary
from textrnn.cli.terminal import exit_on_broken_pipe, flush_stdout, print_message, replace_closed_stderr
from textrnn.errors import BackendError, ConfigError, StoppedError, TextrnnError
from textrnn.extras import describe_missing

EXIT_DATA, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def main() -> None:
    """Run the command line; print an error as one line on stderr, and exit with its code."""
    replace_closed_stderr()
    exit_on_broken_pipe()
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    status = _run([argument for argument in arguments if argument != "--debug"], debug=debug)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback if Ctrl-C comes during shutdown
    gc.freeze()  # the end of the process frees everything: no search for garbage first
    sys.exit(status)


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        result = _call(arguments)
        flush_stdout()
        status = result if isinstance(result, int) else 0
    except KeyboardInterrupt:  # commands say what they lost
        status = EXIT_INTERRUPTED
    except Exception as error:  # the outermost boundary
        if debug:
            import traceback

            traceback.print_exc()
        messages, status = _explain(error)
        for message in messages:
            print_message(message)
    return status


def _call(arguments: list[str]) -> object:
    """Run the command that ``arguments`` name, and return what it returns."""
    words = next((count for count in (1, 2) if " ".join(arguments[:count]) in COMMANDS), 0)
    if words:
        name = " ".join(arguments[:words])
        command = load_command(name)
        values = plain_parser.parse(command, arguments[words:])
        if values is not None:
            gc.enable()
            return command(**values)
        commands = {name: command}
    else:
        # --help and --version need no parameters; without arguments it may be a completion, which does
        only_options = bool(arguments) and all(word.startswith("-") and word != "--" for word in arguments)
        commands = {name: (load_summary if only_options else load_command)(name) for name in COMMANDS}
    from textrnn.cli.typer_app import make_app

    app = make_app(commands)
    gc.enable()
    return app(args=arguments, prog_name="textrnn", standalone_mode=False)


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
