"""What all commands of `accel-cls` share: the program, its common arguments, how it ends."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accel_cls.errors import UserError
from accel_cls.startup import stay_offline, tolerate_encoding

if TYPE_CHECKING:
    from accel_cls.recipe import Recipe

app = typer.Typer(
    help="Fine-tune a text classifier from a short YAML recipe, on any hardware.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def complete_key(incomplete: str) -> list[str]:
    """For the shell: the recipe keys that begin with what has been typed."""
    from accel_cls.recipe.keys import all_keys

    start = "~" if incomplete.startswith("~") else ""
    end = "" if start else "="
    return [f"{start}{key}{end}" for key in all_keys() if key.startswith(incomplete.removeprefix("~"))]


RecipePath = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, such as recipes/food.yaml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Values to override, such as train.epochs=5; ~KEY resets one.",
        autocompletion=complete_key,
    ),
]
Processes = Annotated[int | None, typer.Option(min=1, help="Processes, instead of what the profile says.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def load(recipe: str, overrides: list[str] | None) -> Recipe:
    """A recipe, and no network unless it names a hub id."""
    from accel_cls.recipe import load_recipe
    from accel_cls.recipe.rules import names_the_hub

    loaded = load_recipe(recipe, overrides or ())
    stay_offline(names_the_hub(loaded))
    return loaded


def print_json(content: Any) -> None:
    """Print for programs, texts as they are."""
    typer.echo(json.dumps(content, ensure_ascii=False, indent=1))


def main() -> None:
    """Entry point of the console script: mistakes of the user end in a message, not in a traceback."""
    tolerate_encoding()
    try:
        app()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a folder where a file should be, no right to write, a full disk
        reason = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        typer.echo(reason, err=True)
        raise SystemExit(2) from None
    except UserError as error:
        if "--json" in sys.argv:
            print_json({"exit_status": 2, "errors": error.as_json()})
        else:
            typer.echo(str(error), err=True)
        raise SystemExit(2) from None
