"""Train the recipe given on the command line.

    accelerate launch -m accel_cls.train recipes/food.yaml [key=value ...] [--fresh] [--join-timeout SECONDS]

Checks the recipe before anything slow is imported; `run.py` puts the parts together, `loop.py` trains.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from accel_cls.errors import ToldElsewhere, UserError
from accel_cls.hardware.environment import settle_environment
from accel_cls.hardware.launcher import how_started
from accel_cls.hardware.nodes import JOIN_TIMEOUT
from accel_cls.profiling.measurements import Request
from accel_cls.recipe import load_to_train, with_values
from accel_cls.recipe.commands import require_one_training
from accel_cls.recipe.keys import RATE
from accel_cls.recipe.places import names_the_hub
from accel_cls.recipe.pretraining import pretraining_of
from accel_cls.recipe.sections.train import DEFAULT_RATE
from accel_cls.startup import check_interpreter, heavy_imports, output_that_outlives_its_reader, tolerate_encoding
from accel_cls.stopping import STOPPED, Stopped, Stopping, leave_status
from accel_cls.tuning.axes import wanted_axes

_USER_ERROR = 2  # exit status for a mistake in a recipe, a data file or a command
_PATIENCE = 3  # seconds that processes other than 0 leave it to tell of a mistake


def command_line() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(
        prog="accel_cls.train",
        description="Train the classifier of a recipe.",
        epilog="Example: accelerate launch -m accel_cls.train recipes/food.yaml train.epochs=5",
    )
    parser.add_argument("recipe", help="a recipe file, such as recipes/food.yaml")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="override a value, such as train.epochs=5; ~key resets it",
    )
    parser.add_argument("--fresh", action="store_true", help="start over; the run that is there is kept, renamed")
    parser.add_argument(
        "--join-timeout",
        type=_seconds,
        default=JOIN_TIMEOUT,
        metavar="SECONDS",
        help="how long processes wait for one another before training begins (default: %(default)s)",
    )
    parser.add_argument(
        "--tune",
        action="store_true",
        help="only search for a learning rate, on training examples; what `accel-cls tune` starts",
    )
    parser.add_argument(
        "--pretrain",
        action="store_true",
        help="train the encoder on texts, without labels; what `python -m accel_cls.pretrain` starts",
    )
    parser.add_argument(
        "--try",
        action="append",
        default=[],
        dest="tries",
        metavar="KEY=VALUE,VALUE",
        help="with --tune: values to try, such as train.learning_rate=1e-4,3e-4; once for each key",
    )
    parser.add_argument(
        "--profiling",
        nargs=2,
        metavar=("FOLDER", "UPDATES"),
        help="measure so many updates into a folder, instead of training to the end; what `accel-cls profile` starts",
    )
    return parser


def _seconds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}; expected a whole number of seconds, 1 or more")
    return int(text)


def _request(folder: str, updates: str) -> Request:
    if not updates.isdecimal() or int(updates) < 1:
        raise UserError(f"--profiling: found {updates!r} updates; expected a whole number, 1 or more")
    return Request(Path(folder), int(updates))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; also what accelerate's TPU launcher calls. Returns the exit status."""
    started = time.monotonic()
    tolerate_encoding()
    options = command_line().parse_intermixed_args(arguments)
    with output_that_outlives_its_reader():
        return _ended(_train(options, started))


def _train(options: argparse.Namespace, started: float) -> int:
    """Train as the command line says; returns the exit status."""
    recipe = None
    stopping = Stopping()
    try:
        stopping.listen()
        check_interpreter()
        recipe = load_to_train(options.recipe, options.overrides)
        if options.pretrain and (options.tune or options.profiling):
            raise UserError("a pre-training is neither searched nor measured; leave out --tune and --profiling")
        if options.pretrain:
            recipe = pretraining_of(recipe)
        if options.tune or options.profiling:
            require_one_training(recipe, "accel-cls tune" if options.tune else "accel-cls profile")
        axes = wanted_axes(recipe, options.tries, options.tune)
        notes = settle_environment()  # refuses one that makes no sense before seconds are spent on imports
        with heavy_imports(names_the_hub(recipe)) as cpu_notes:
            import accel_cls.training.run as run
            from accel_cls.repeating.command import repeat
            from accel_cls.searching.command import search_values
            from accel_cls.training.pretraining.run import pretrain
            from accel_cls.tuning.search import find_rate, search
        loop = None
        if options.profiling:
            from accel_cls.profiling.measure import measure

            request = _request(*options.profiling)
            loop = functools.partial(measure, request=request)
            # What is measured is no run, and leaves the recipe's own alone. No update takes longer for its rate.
            rate = DEFAULT_RATE if recipe.train.learning_rate == "auto" else recipe.train.learning_rate
            recipe = with_values(recipe, {"output": str(request.folder / "run"), RATE: rate, "train.trackers": []})
        asked = (recipe, options.recipe, options.overrides, options.fresh, options.join_timeout, started)
        again = ["accel-cls", "launch", options.recipe, *options.overrides]
        only = functools.partial(search, asked=axes, fresh=options.fresh, train=again)
        searching = only if options.tune else find_rate, options.tune
        several = repeat if recipe.repeat is not None else search_values if recipe.search is not None else None
        command = run.Command(*asked, *searching, notes, cpu_notes, loop, pretrain if options.pretrain else several)
        run.run_command(command, stopping)
    except UserError as error:
        stopping.restore_signals()
        _explain(error)
        if recipe is None and os.environ.get("RANK", "0") != "0":
            _tell_others(error)
        torch = sys.modules.get("torch")
        if torch is not None and torch.distributed.is_initialized():
            # Others may be waiting for this process in a collective operation, and what libraries do at a normal
            # exit may wait for theirs. The launcher ends the others as soon as this one is gone.
            print(end="", flush=True)  # what it prints to standard error is flushed; either may be closed
            leave_status(_USER_ERROR)
            os._exit(_USER_ERROR)
        return _USER_ERROR
    except Stopped as stop:
        return _print_stopped(stop)
    except Exception:
        stopping.restore_signals()
        raise
    return 0


def _print_stopped(stop: Stopped) -> int:
    """What is to be said of a run that has stopped, where the loop has not said it; returns the exit status."""
    if not stop.is_told and os.environ.get("RANK", "0") == "0":
        print(f"\n{stop} before training began; the same command starts again", file=sys.stderr, flush=True)
    launch = how_started()
    if launch.adds_traceback and os.environ.get("RANK", "0") == "0" and multiprocessing.parent_process() is None:
        print(f"(That is all. What {launch.by} prints below is a traceback of its own.)", file=sys.stderr, flush=True)
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_initialized():
        print(end="", flush=True)
        leave_status(STOPPED)
        os._exit(STOPPED)  # others may be in a collective operation that this process has left
    return STOPPED


def _ended(status: int) -> int:
    """An exit status to return; in a process of the TPU launcher, which drops what this module returns, to raise."""
    leave_status(status)
    if status and multiprocessing.parent_process() is not None:
        raise SystemExit(status)
    return status


def _explain(error: UserError) -> None:
    """Print a user's mistake once, however many processes run into it."""
    rank = os.environ.get("RANK", "0")
    process = int(rank) if rank.isdecimal() else 0
    if process:
        # The launcher ends all processes when the first one fails. Most mistakes are found by all of them:
        # then process 0 has spoken, and this one does not live to. What it alone has found, it says.
        time.sleep(_PATIENCE)
    if isinstance(error, ToldElsewhere):
        return
    print(f"\n[process {process}] {error}" if process else f"\n{error}", file=sys.stderr, flush=True)
    launch = how_started()
    if launch.adds_traceback and multiprocessing.parent_process() is None:
        print(f"(That is all. What {launch.by} prints below is a traceback of its own.)", file=sys.stderr, flush=True)


def _tell_others(error: UserError) -> None:
    """Where only this machine's recipe is wrong, the other machines' processes have gone on, and wait for this one."""
    from accel_cls.hardware.rendezvous import join_rendezvous

    with suppress(UserError), join_rendezvous(seconds=30).announcing_failure():
        raise error


if __name__ == "__main__":
    sys.exit(main())
