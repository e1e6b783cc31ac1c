"""Commands that judge data and finished runs: suspects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accel_cls.cli.app import Json, Overrides, app, print_json
from accel_cls.completion import complete_run
from accel_cls.errors import UserError
from accel_cls.hub import go_offline_unless
from accel_cls.startup import no_garbage_collection


@app.command()
def suspects(
    path: Annotated[
        str,
        typer.Argument(
            metavar="RUN|RECIPE",
            help="A run folder, best of a run with folds, or a recipe.",
            autocompletion=complete_run,
        ),
    ],
    overrides: Overrides = None,
    by: Annotated[
        str, typer.Option(metavar="auto|ngrams|encoder", help="Who judges; auto: a run's folds, else ngrams.")
    ] = "auto",
    top: Annotated[int, typer.Option(min=1, help="How many to show.")] = 20,
    outliers: Annotated[int, typer.Option(min=0, help="How many texts to name that are like no other.")] = 10,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A csv file for all of them.")] = None,
    as_json: Json = False,
) -> None:
    """Find labels that are likely wrong, so that somebody looks at them first.

    Each row is judged by a model that has not seen it: those of a run with folds (repeat.folds), else naive Bayes in
    ten folds, made in seconds. Also told: the same or nearly the same text with another label; texts like no other.
    Of a run, all suspects are also in its suspects.csv. Test rows are left out.

    Examples:

      accel-cls suspects recipes/food.yaml --out suspects.csv

      accel-cls suspects runs/food_folds --top 50

      accel-cls suspects recipes/food_bert.yaml --by encoder --json
    """
    if by not in ("auto", "ngrams", "encoder"):
        raise UserError(f"--by: found {by!r}; expected auto, ngrams or encoder")
    if out is not None and out.suffix.lower() != ".csv":
        raise UserError(f"--out {out}: expected a file that ends in .csv")
    go_offline_unless(names_hub=_names_hub(path, overrides))
    with no_garbage_collection():
        from accel_cls.console import Console
        from accel_cls.suspecting.answering import answered
        from accel_cls.suspecting.find import find_suspects
        from accel_cls.suspecting.report import as_json as to_json
        from accel_cls.suspecting.report import show, write_suspects

    given = answered(path, overrides or (), by)  # type: ignore[arg-type]
    found = find_suspects(given, outliers)
    places = [*([] if given.folder is None else [given.folder.path / "suspects.csv"]), *([] if out is None else [out])]
    for place in places:
        write_suspects(place, found)
    if as_json:
        print_json(to_json(found))
        return
    console = Console()
    show(found, console, top)
    for place in places:
        console.print(f"\n{len(found.suspects):,} rows in {place}")


def _names_hub(path: str, overrides: list[str] | None) -> bool:
    from accel_cls.recipe import load_to_train
    from accel_cls.recipe.rules import names_the_hub

    return not Path(path).is_dir() and names_the_hub(load_to_train(path, overrides or ()))
