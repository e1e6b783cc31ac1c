"""What a command does before it imports torch: no network, kept memory, threads that yield, no garbage collection.

Imports nothing slow itself.
"""

from __future__ import annotations

import atexit
import gc
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from accel_cls.devices.cpu.allocator import keep_memory
from accel_cls.devices.cpu.threads import limit_spinning
from accel_cls.errors import UserError
from accel_cls.hub import go_offline_unless

# What accelerate takes for on and off in the environment; anything else ends in a traceback.
TRUE, FALSE = ("true", "yes", "on", "1", "y", "t"), ("false", "no", "off", "0", "n", "f")


def check_interpreter() -> None:
    """Raise UserError where Python was started in a way in which transformers can't be imported."""
    if sys.flags.optimize > 1:
        raise UserError(
            "Python was started with -OO (PYTHONOPTIMIZE=2), which takes the docstrings away that transformers makes "
            "its models from; start it without, or with -O (PYTHONOPTIMIZE=1)"
        )


def _check_variables() -> None:
    """Raise UserError where accelerate can't be imported for what stands in the environment."""
    level, levels = os.environ.get("ACCELERATE_LOG_LEVEL"), logging.getLevelNamesMapping()
    if level is not None and level.upper() not in levels:
        wrong = f"ACCELERATE_LOG_LEVEL is {level!r}; expected one of {', '.join(levels)}"
    elif (xla := os.environ.get("USE_TORCH_XLA", "0")).lower() not in TRUE + FALSE:
        wrong = f"USE_TORCH_XLA is {xla!r}; expected true or false"
    else:
        return
    raise UserError(f"the environment variable {wrong}, or unset it")


@contextmanager
def heavy_imports(names_hub: bool) -> Iterator[list[str]]:
    """For a command that computes: all of what follows, in whose block torch and transformers are imported.

    Args:
        names_hub: whether the user has named a hub id, see `hub.go_offline_unless`.

    Yields:
        Notes on what was decided, for the user.

    Raises:
        UserError: where the environment makes that impossible.
    """
    _check_variables()
    go_offline_unless(names_hub)
    if os.environ.get("ACCELERATE_USE_CPU", "").lower() in TRUE:
        # Else accelerate takes torch_xla where it is installed, whatever the profile says.
        os.environ.setdefault("USE_TORCH_XLA", "0")
    # cuBLAS reads it when CUDA starts, and may sum in any order without it; `devices/deterministic.py` needs it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    keep_memory()
    note = limit_spinning()
    with no_garbage_collection():
        yield [] if note is None else [note]


def tolerate_encoding() -> None:
    """Let output to a terminal or file that can't hold every character, such as one in GBK, have a ? in its place."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def run_command(command: Callable[[], None], say_as_json: bool = False) -> int:
    """Run a command of a terminal; returns its exit status. Mistakes of the user's end in a message, no traceback.

    Args:
        command: what it does; it may end in SystemExit.
        say_as_json: whether mistakes are printed for programs, on standard output.
    """
    tolerate_encoding()
    try:
        check_interpreter()
        command()
        sys.stdout.flush()
    except SystemExit as stop:
        return int(stop.code or 0)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a folder where a file should be, no right to write, a full disk
        print(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else error, file=sys.stderr)
        return 2
    except UserError as error:
        if say_as_json:
            print(json.dumps({"exit_status": 2, "errors": error.as_json()}, ensure_ascii=False, indent=1))
        else:
            print(error, file=sys.stderr)
        return 2
    return 0


@contextmanager
def output_that_outlives_its_reader() -> Iterator[None]:
    """For a training, which has better things to do than to end because nobody reads what it prints any more.

    The reader may be `head`, which has seen enough, a terminal whose connection is lost, or a full disk. What comes
    then is dropped; the run folder has it all.
    """
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Outliving(stream) if stream is not None else None for stream in streams)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = streams


class _Outliving:
    """A stream that is written to as long as somebody reads it."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return self._drop(len(text))

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._drop(0)

    def _drop(self, characters: int) -> int:
        """From now on all goes nowhere, also what is left in the stream's buffer: Python flushes it at the exit."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        return characters


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect no garbage while the block imports, nor ever among what it has imported.

    While torch and transformers are imported, which makes a million objects that stay, Python looks for garbage
    among them 1,200 times: 0.7 of 3.8 s, for nothing. It looks through all of them once more at its exit: 1.1 s.
    """
    gc.disable()
    atexit.register(gc.freeze)  # what comes later is not looked through at the exit, either
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
