"""The command line: finds one verb per file in this folder, turns errors into exit codes, and never shows a traceback
for something that a user can act on.

A verb is a module <name>.py with a function <name> whose signature is the command's (underscores in file names become
dashes; names that begin with an underscore are helpers). Modules import nothing heavy at their top: `mcuml --help`
imports them all.
"""

import contextlib
import functools
import importlib
import os
import pkgutil
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
TERMINATED = 143
# The order of `mcuml --help`: the way of the data. A verb that is not named here comes after these.
ORDER = (
    "demo", "bench", "inspect", "compile", "build", "flash", "ports", "monitor", "simulate", "verify", "compare",
    "check", "ci", "tune", "optimize", "boards", "new", "doctor",
)  # fmt: skip


def main() -> None:
    """Entry point of the `mcuml` command; exits with DESIGN's exit codes."""
    # A scheduler's SIGTERM unwinds like Ctrl-C does, so that compilers and simulators end with us.
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    for stream in (sys.stdout, sys.stderr):  # a terminal or pipe whose encoding lacks a character gets a "?"
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        with _errors():
            _app()(prog_name="mcuml")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _app() -> Any:
    import typer

    from mcuml import __version__

    app = typer.Typer(
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich would take half of the time of --help
        help="A trained neural network to a microcontroller, and the truth about it there: how fast, how big, how right.",
        epilog="Start with: mcuml demo",
    )

    def version(wanted: bool) -> None:
        if wanted:
            print(f"mcuml {__version__}")
            raise typer.Exit

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version and stop.")
        ] = False,
    ) -> None:
        pass

    found = [m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")]
    for name in sorted(found, key=lambda n: (ORDER.index(n) if n in ORDER else len(ORDER), n)):
        verb = getattr(importlib.import_module(f"{__name__}.{name}"), name)
        app.command(name.replace("_", "-"))(_guarded(verb))
    return app


def _guarded(verb: Callable[..., None]) -> Callable[..., None]:
    """`verb` with its errors shown here: typer would turn Ctrl-C into its own message and status."""

    @functools.wraps(verb)
    def run(*args: Any, **kwargs: Any) -> None:
        with _errors():
            verb(*args, **kwargs)

    return run


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    from mcuml.errors import UserError

    try:
        yield
        sys.stdout.flush()
    except UserError as error:
        from mcuml.cli._console import show_error

        show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `mcuml boards | head`: the reader has seen enough
        _discard_stdout()
        sys.exit(0)
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        print(f"error: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", file=sys.stderr)
        if not error.filename:  # standard output, most likely: on a full disk
            _discard_stdout()
        sys.exit(2)


def _discard_stdout() -> None:
    """What is still buffered cannot be written; Python would try again at its end, and exit with a status of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
