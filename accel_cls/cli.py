"""The `accel-cls` command. Imports nothing slow before a command needs it."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accel_cls.errors import UserError

if TYPE_CHECKING:
    from accel_cls.authoring.columns import Choice
    from accel_cls.recipe import Recipe

app = typer.Typer(
    help="Fine-tune a text classifier from a short YAML recipe, on any hardware.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
recipes_app = typer.Typer(invoke_without_command=True)
app.add_typer(recipes_app, name="recipes")


def _complete_key(incomplete: str) -> list[str]:
    """For the shell: the recipe keys that begin with what has been typed."""
    from accel_cls.recipe.schema import all_keys

    start = "~" if incomplete.startswith("~") else ""
    end = "" if start else "="
    return [f"{start}{key}{end}" for key in all_keys() if key.startswith(incomplete.removeprefix("~"))]


RecipePath = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, such as recipes/food.yaml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Values to override, such as train.epochs=5; ~KEY resets one.",
        autocompletion=_complete_key,
    ),
]
Processes = Annotated[int | None, typer.Option(min=1, help="Processes, instead of what the profile says.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command()
def new(
    data: Annotated[Path, typer.Argument(help="The examples: a csv, tsv, txt, json, jsonl or parquet file.")],
    validation: Annotated[Path | None, typer.Argument(help="A second file to judge by. Left out: a split.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The recipe to write; default: NAME.yaml.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="The text column; twice for text pairs.")] = None,
    label: Annotated[str | None, typer.Option(help="The label column.")] = None,
    model: Annotated[str | None, typer.Option(help="A pretrained encoder: a folder or a hub id.")] = None,
    classes: Annotated[Path | None, typer.Option(help="A file with the names of the classes, in order.")] = None,
    name: Annotated[str | None, typer.Option(help="What the run is called; default: the file's name.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a recipe that is there.")] = False,
) -> None:
    """Look at labelled data and write a recipe that runs as it is.

    Finds text and label columns, classes, languages and lengths; says what it decided and why; asks where in doubt.

    Examples:

      accel-cls new reviews.csv

      accel-cls new train.tsv dev.tsv --model bert-base-chinese -o recipes/news.yaml
    """
    _stay_offline(model is None or Path(model).exists())
    from accel_cls.authoring.new import new_recipe

    new_recipe(data, validation, out, text, label, model, classes, name, force, _ask)


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
    loaded = _load(recipe, overrides)
    from accel_cls.authoring.check import check_recipe, report_as_json, show_report

    report = check_recipe(loaded, processes)
    if as_json:
        _print_json(report_as_json(report))
    else:
        from accel_cls.console import Console

        typer.echo(f"accel-cls check · {loaded.name} · {recipe}")
        show_report(report, Console(speaks=True), rows)
    raise typer.Exit(report.exit_status)


@app.command()
def plan(recipe: RecipePath, overrides: Overrides = None, processes: Processes = None, as_json: Json = False) -> None:
    """Show what a training will take: updates, micro-batches, tokens, learning rate, memory, disk.

    Examples:

      accel-cls plan recipes/food.yaml

      accel-cls plan recipes/food_bert.yaml data.train=food_reviews_10k.csv --processes 8
    """
    loaded = _load(recipe, overrides)
    from accel_cls.authoring.check import plan_recipe
    from accel_cls.console import Console

    corpus, forecast = plan_recipe(loaded, processes)
    if as_json:
        _print_json(forecast.as_json())
        return
    console = Console(speaks=True)
    console.section(f"accel-cls plan · {loaded.name} · {recipe}", corpus.describe(loaded.data))
    console.section("plan", forecast.lines(loaded))


@app.command()
def explain(
    recipe: RecipePath,
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY",
            help="Keys or sections to explain (default: all), and values to override.",
            autocompletion=_complete_key,
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
        _print_json([setting.as_json() for setting in settings])
    elif len(settings) == 1 and asked:
        typer.echo(explaining.in_full(settings[0]))
    else:
        from accel_cls.console import Console

        explaining.show(settings, Console(speaks=True))


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
        sys.stdout.write(schema_text())
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
        _print_json(
            [{key: str(value) for key, value in vars(recipe).items() if key != "commands"} for recipe in found]
        )
        return
    from accel_cls.console import Console

    console = Console(speaks=True)
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


@app.command()
def launch(
    recipe: RecipePath,
    overrides: Overrides = None,
    processes: Processes = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over; the run that is there is kept, renamed.")
    ] = False,
    nodes: Annotated[int | None, typer.Option(min=1, help="Machines, instead of what the profile says.")] = None,
    node_rank: Annotated[
        int | None, typer.Option(min=0, help="Which of the machines this one is, from 0; default: the profile's.")
    ] = None,
    main_address: Annotated[
        str | None,
        typer.Option(metavar="HOST[:PORT]", help="Machine 0, as the others reach it; default: the profile's."),
    ] = None,
    join_timeout: Annotated[
        int | None, typer.Option(min=1, metavar="SECONDS", help="How long to wait for other machines; default: 300.")
    ] = None,
    slurm: Annotated[bool, typer.Option("--slurm", help="Print a job script for Slurm's sbatch.")] = False,
    only_print: Annotated[
        bool, typer.Option("--print", help="Show the command, on several machines that of each, without running it.")
    ] = False,
) -> None:
    """Check a recipe, read its hardware profile, and start `accelerate launch` accordingly.

    Examples:

      accel-cls launch recipes/food.yaml

      accel-cls launch recipes/food.yaml hardware=cpu_multi train.epochs=3

      accel-cls launch recipes/food.yaml hardware=multi_node --main-address 10.0.0.1 --node-rank 1

      accel-cls launch recipes/food.yaml hardware=multi_gpu --nodes 4 --slurm > job.sh
    """
    from accel_cls.start import start

    status = start(
        recipe,
        overrides or (),
        typer.echo,
        fresh=fresh,
        processes=processes,
        nodes=nodes,
        node_rank=node_rank,
        main_address=main_address,
        join_timeout=join_timeout,
        slurm=slurm,
        only_print=only_print,
    )
    raise typer.Exit(status)


@app.command()
def parity(
    recipe: RecipePath,
    overrides: Overrides = None,
    processes: Annotated[str, typer.Option(help="Numbers of processes; the first is the reference.")] = "1,2",
    hardware: Annotated[str, typer.Option(help="Profiles, such as cpu,gpu; the first is the reference.")] = "",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16; the first is the reference.")] = "",
    micro_batches: Annotated[str, typer.Option(help="Multiples of train.micro_batch_tokens, such as 1,2,4.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Also stop half-way and go on, on each number.")] = False,
    updates: Annotated[int, typer.Option(min=1, help="The most updates of each training.")] = 200,
    keep: Annotated[Path | None, typer.Option(help="A folder to keep the trainings in, with their logs.")] = None,
    as_json: Json = False,
) -> None:
    """Train a recipe in several ways on this machine, and see whether it is the same training.

    Compares, for each update: examples, micro-batches, loss, gradient norm; at the end weights and predictions.

    Exit status: 0 the same, 1 different, 2 a mistake or a training that failed.

    Examples:

      accel-cls parity recipes/food.yaml --processes 1,2

      accel-cls parity recipes/food.yaml data.train=reviews.csv --processes 1,2,3 --micro-batches 1,2,4 --resume

      accel-cls parity recipes/food_bert.yaml --hardware cpu,gpu --precision fp32 --updates 50 --keep parity
    """
    _load(recipe, overrides)
    from accel_cls.parity.command import compare_trainings, wanted_of

    wanted = wanted_of(processes, hardware, precision, micro_batches, resume, updates)
    same = compare_trainings(recipe, overrides or [], wanted, keep, as_json)
    raise typer.Exit(0 if same else 1)


def _load(recipe: str, overrides: list[str] | None) -> Recipe:
    """A recipe, and no network unless it names a hub id."""
    from accel_cls.recipe import load_recipe
    from accel_cls.recipe.rules import names_the_hub

    loaded = load_recipe(recipe, overrides or ())
    _stay_offline(not names_the_hub(loaded))
    return loaded


def _stay_offline(is_local: bool) -> None:
    """Read by the libraries when they are imported: nothing is fetched unless the user has named a hub id."""
    if is_local:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")


def _ask(role: str, choice: Choice) -> tuple[str, ...]:
    """Ask for a column where it is in doubt; without a terminal, take the likeliest."""
    if not choice.others or not sys.stdin.isatty() or not sys.stdout.isatty():
        return choice.columns
    options = [choice.columns, *choice.others]
    typer.echo(f"Which column holds the {role}?")
    for i, columns in enumerate(options, start=1):
        typer.echo(f"  {i}  {' and '.join(columns)}{'  (pairs)' if len(columns) > 1 else ''}")
    while (number := typer.prompt("Number", default=1, type=int)) not in range(1, len(options) + 1):
        typer.echo(f"Please give a number from 1 to {len(options)}")
    return options[number - 1]


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, ensure_ascii=False, indent=1))


def main() -> None:
    """Entry point of the console script: mistakes of the user end in a message, not in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or file that can't hold every character gets "?"
            stream.reconfigure(errors="replace")
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
            _print_json({"exit_status": 2, "errors": error.as_json()})
        else:
            typer.echo(str(error), err=True)
        raise SystemExit(2) from None
