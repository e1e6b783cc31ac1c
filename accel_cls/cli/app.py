"""What all commands of `accel-cls` share: the program, its common arguments, how it ends."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accel_cls.completion import complete_override, complete_recipe
from accel_cls.hub import go_offline_unless
from accel_cls.startup import run_command

if TYPE_CHECKING:
    from accel_cls.recipe import Recipe

app = typer.Typer(
    help="Fine-tune a text classifier from a short YAML recipe, on any hardware.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


RecipePath = Annotated[
    str,
    typer.Argument(metavar="RECIPE", help="A recipe file, such as recipes/food.yaml.", autocompletion=complete_recipe),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Values to override, such as train.epochs=5; ~KEY resets one.",
        autocompletion=complete_override,
    ),
]
Processes = Annotated[int | None, typer.Option(min=1, help="Processes, instead of what the profile says.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def load(recipe: str, overrides: list[str] | None) -> Recipe:
    """A recipe, and no network unless it names a hub id."""
    from accel_cls.recipe import load_to_train
    from accel_cls.recipe.places import names_the_hub

    loaded = load_to_train(recipe, overrides or ())
    go_offline_unless(names_the_hub(loaded))
    return loaded


def print_json(content: Any) -> None:
    """Print for programs, texts as they are."""
    typer.echo(json.dumps(content, ensure_ascii=False, indent=1))


def main() -> None:
    """Entry point of the console script."""
    raise SystemExit(run_command(app, "--json" in sys.argv))
