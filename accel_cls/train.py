"""Train the recipe given on the command line.

    accelerate launch -m accel_cls.train recipes/food.yaml [key=value ...] [--fresh]

Checks the recipe before anything slow is imported; `run.py` puts the parts together, `loop.py` trains.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from accel_cls.errors import UserError
from accel_cls.launcher import how_started
from accel_cls.recipe import load_recipe
from accel_cls.recipe.rules import names_the_hub

_USER_ERROR = 2  # exit status for a mistake in a recipe, a data file or a command
_INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it


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
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; also what accelerate's TPU launcher calls. Returns the exit status."""
    started = time.monotonic()
    options = command_line().parse_intermixed_args(arguments)
    try:
        recipe = load_recipe(options.recipe, options.overrides)
        if not names_the_hub(recipe):
            # Read by the libraries when they are imported: nothing is fetched unless the recipe says so.
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from accel_cls.run import run_recipe

        run_recipe(recipe, options.recipe, options.overrides, options.fresh, started)
    except UserError as error:
        _explain(error)
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            # Others may be waiting for this process in a collective operation, and what libraries do at a normal
            # exit may wait for theirs. The launcher ends the others as soon as this one is gone.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(_USER_ERROR)
        return _USER_ERROR
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the newest checkpoint", file=sys.stderr, flush=True)
        return _INTERRUPTED
    return 0


def _explain(error: UserError) -> None:
    """Print a user's mistake once, however many processes run into it."""
    process = int(os.environ.get("RANK", "0"))
    if process:
        # The launcher ends all processes when the first one fails. Most mistakes are found by all of them:
        # then process 0 has spoken, and this one does not live to. What it alone has found, it says.
        time.sleep(3)
    print(f"\n[process {process}] {error}" if process else f"\n{error}", file=sys.stderr, flush=True)
    launch = how_started()
    if launch.adds_traceback:
        print(f"(That is all. What {launch.by} prints below is a traceback of its own.)", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
