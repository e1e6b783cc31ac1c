"""Commands for those who write recipes: new, check, plan, explain, schema, recipes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accel_cls.cli.app import Json, Overrides, Processes, RecipePath, app, load, print_json
from accel_cls.completion import complete_override
from accel_cls.errors import UserError
from accel_cls.hub import go_offline_unless
from accel_cls.recipe.canonical import is_encoding
from accel_cls.recipe.places import is_path, missing_folder
from accel_cls.startup import no_garbage_collection

if TYPE_CHECKING:
    from accel_cls.authoring.columns import Choice

recipes_app = typer.Typer(invoke_without_command=True)
app.add_typer(recipes_app, name="recipes")


@app.command()
def new(
    data: Annotated[Path, typer.Argument(help="The examples: a csv, tsv, txt, json, jsonl or parquet file.")],
    validation: Annotated[Path | None, typer.Argument(help="A validation file. Left out: a split.")] = None,
    test: Annotated[
        Path | None, typer.Option(help="Rows to score once, at the end; nothing is chosen by them.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The recipe to write; default: NAME.yaml.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="The text column; twice for text pairs.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="The label column; several: one of 0 and 1 a class.")] = None,
    model: Annotated[str | None, typer.Option(help="A pretrained encoder: a folder or a hub id.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Train the head alone, in seconds; needs --model.")] = False,
    classes: Annotated[Path | None, typer.Option(help="A file with the names of the classes, in order.")] = None,
    name: Annotated[str | None, typer.Option(help="What the run is called; default: the file's name.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a recipe that is there.")] = False,
    encoding: Annotated[str | None, typer.Option(help="Of the files, such as cp1252; found where it can be.")] = None,
) -> None:
    """Look at labelled data and write a recipe that runs as it is.

    Finds text and label columns, classes, languages and lengths; says what it decided and why; asks where in doubt.

    Examples:

      accel-cls new reviews.csv

      accel-cls new train.tsv dev.tsv --test test.tsv --model bert-base-chinese -o recipes/news.yaml

      accel-cls new questions.csv --model sentence-transformers/all-MiniLM-L6-v2 --quick
    """
    if quick and model is None:
        raise UserError("--quick trains the head of a pretrained encoder; expected --model, too")
    if encoding is not None and not is_encoding(encoding):
        raise UserError(f"--encoding: found {encoding!r}; expected an encoding that Python knows, such as cp1252")
    path = os.path.abspath(model) if model is not None and is_path(model, os.path.abspath(model)) else None
    if path is not None and (said := missing_folder(path)) is not None:
        raise UserError(f"--model: {said}")
    go_offline_unless(names_hub=model is not None and path is None)
    with no_garbage_collection():
        from accel_cls.authoring.new import new_recipe

    new_recipe(data, validation, test, out, text, label, model, quick, classes, name, force, encoding, _ask)


@app.command()
def check(
    recipe: RecipePath,
    overrides: Overrides = None,
    processes: Processes = None,
    rows: Annotated[int, typer.Option(min=0, help="Rows to show of each finding.")] = 10,
    as_json: Json = False,
) -> None:
    """Find out all that can be known before training: the recipe, the data's audit, the plan.

    Exit status: 0 nothing found, 1 findings, 2 training would refuse.

    Examples:

      accel-cls check recipes/food.yaml

      accel-cls check recipes/food.yaml data.train=reviews.csv --rows 50

      accel-cls check recipes/food.yaml --json > audit.json
    """
    loaded = load(recipe, overrides)
    with no_garbage_collection():
        from accel_cls.authoring.check import check_recipe, report_as_json, show_report

    report = check_recipe(loaded, processes)
    if as_json:
        print_json(report_as_json(report))
    else:
        from accel_cls.console import Console

        typer.echo(f"accel-cls check · {loaded.name} · {recipe}")
        show_report(report, Console(), rows)
    raise typer.Exit(report.exit_status)


@app.command()
def plan(recipe: RecipePath, overrides: Overrides = None, processes: Processes = None, as_json: Json = False) -> None:
    """Show what a training will take: updates, micro-batches, tokens, learning rate, memory, disk.

    Examples:

      accel-cls plan recipes/food.yaml

      accel-cls plan recipes/food_bert.yaml data.train=food_reviews_10k.csv --processes 8
    """
    loaded = load(recipe, overrides)
    with no_garbage_collection():
        from accel_cls.authoring.check import plan_recipe
        from accel_cls.console import Console
        from accel_cls.recipe.repeats import first_run_of

    corpus, forecast = plan_recipe(loaded, processes)
    if as_json:
        print_json(forecast.as_json())
        return
    console = Console()
    console.section(f"accel-cls plan · {loaded.name} · {recipe}", corpus.describe(first_run_of(loaded).data))
    console.section("plan", forecast.lines(loaded))
    for note in corpus.notes:
        console.note(note)


@app.command()
def explain(
    recipe: RecipePath,
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY",
            help="Keys or sections to explain (default: all), and values to override.",
            autocompletion=complete_override,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show each value in force with its origin: a default, a file's line, an override, the profile.

    Examples:

      accel-cls explain recipes/food_bert.yaml

      accel-cls explain recipes/food_bert.yaml train.learning_rate

      accel-cls explain recipes/food_bert.yaml train train.epochs=5
    """
    from accel_cls.recipe import explain as explaining

    def is_override(text: str) -> bool:
        return "=" in text or text.startswith("~")

    asked = [key for key in keys or () if not is_override(key)]
    settings = explaining.explain(recipe, [text for text in keys or () if is_override(text)], asked)
    if as_json:
        print_json([setting.as_json() for setting in settings])
    elif len(settings) == 1 and asked:
        typer.echo(explaining.in_full(settings[0]))
    else:
        from accel_cls.console import Console

        explaining.show(settings, Console())


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A file to write instead of printing.")] = None,
) -> None:
    """Print the JSON Schema of recipes, for completion and help in editors.

    A recipe names it in its first line:  # yaml-language-server: $schema=recipe.schema.json

    Examples:

      accel-cls schema --out recipe.schema.json
    """
    from accel_cls.recipe.json_schema import schema_text

    if out is None:
        typer.echo(schema_text(), nl=False)
        return
    out = out.expanduser()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(schema_text(), encoding="utf-8")
    typer.echo(f"wrote {out}")


@recipes_app.callback()
def recipes(context: typer.Context, as_json: Json = False) -> None:
    """List the recipes that come along, or copy one.

    Examples:

      accel-cls recipes

      accel-cls recipes copy food_bert
    """
    if context.invoked_subcommand is not None:
        return
    from accel_cls.authoring.gallery import shipped_recipes

    found = shipped_recipes()
    if as_json:
        print_json([{key: str(value) for key, value in vars(recipe).items() if key != "commands"} for recipe in found])
        return
    from accel_cls.console import Console

    console = Console()
    for recipe in found:
        lines = [("for", recipe.purpose), ("needs", recipe.needs), ("measured", recipe.measured)]
        console.section(recipe.name, [line for line in lines if line[1]])
    typer.echo("\naccel-cls recipes copy NAME puts one, with what it needs, into ./recipes")


@recipes_app.command("copy")
def copy_recipe(
    name: Annotated[str, typer.Argument(help="A recipe's name, such as food or hardware/gpu.")],
    to: Annotated[Path, typer.Option(help="The folder to copy to.")] = Path("recipes"),
) -> None:
    """Copy a recipe with what it extends, its sample data and the schema.

    Examples:

      accel-cls recipes copy food

      accel-cls recipes copy hardware/multi_gpu --to mine
    """
    from accel_cls.authoring.gallery import copy_recipe as copy

    files = copy(name, to)
    for file in files:
        typer.echo(f"wrote {file}")
    from accel_cls.profiles import shell

    typer.echo(f"\n{shell(['accelerate', 'launch', '-m', 'accel_cls.train', str(files[0])])}")


def _ask(role: str, choice: Choice) -> tuple[str, ...]:
    """Ask for a column where it is in doubt; without a terminal, take the likeliest."""
    if not choice.others or not all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        return choice.columns
    options = [choice.columns, *choice.others]
    typer.echo(f"Which column holds the {role}?")
    for i, columns in enumerate(options, start=1):
        typer.echo(f"  {i}  {' and '.join(columns)}{'  (pairs)' if len(columns) > 1 else ''}")
    while (number := typer.prompt("Number", default=1, type=int)) not in range(1, len(options) + 1):
        typer.echo(f"Please give a number from 1 to {len(options)}")
    return options[number - 1]
