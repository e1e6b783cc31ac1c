"""Commands that look at finished runs and at labels: report, compare, suspects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from accel_cls.cli.app import Json, Overrides, app, print_json
from accel_cls.completion import complete_run
from accel_cls.errors import UserError
from accel_cls.hub import go_offline_unless
from accel_cls.startup import no_garbage_collection

RunPath = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="The folder of a finished run, such as runs/food.", autocompletion=complete_run
    ),
]


@app.command()
def report(run: RunPath) -> None:
    """Write the reports on a finished run anew, from its folder alone: report.html, report.md, the model's card.

    Needs neither the data nor the model. Of runs of a recipe with repeat, and of a search: the page of all of them.

    Examples:

      accel-cls report runs/food
    """
    go_offline_unless(names_hub=False)
    with no_garbage_collection():
        from accel_cls.repeating.page import write_reports_anew
        from accel_cls.runs.folder import RunFolder
        from accel_cls.searching.page import write_pages_anew

    folder = RunFolder(run)
    for path in write_pages_anew(folder) or write_reports_anew(folder):
        typer.echo(f"wrote {os.path.relpath(path)}")


@app.command()
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN RUN…", help="Folders of finished runs.", autocompletion=complete_run),
    ],
    test: Annotated[bool, typer.Option("--test", help="On the test rows, instead of the validation rows.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A csv file for all rows whose answers changed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show how finished runs differ on the same rows, and whether that may be chance.

    Scores with 95% intervals; differences from the first run with interval and p; how great a difference these rows
    can tell; curves; what differs between the recipes; which texts went from right to wrong and from wrong to right.

    Runs that were scored on other rows are refused. Exit status: 0 shown, 2 a mistake.

    Examples:

      accel-cls compare runs/food runs/food_bert

      accel-cls compare runs/seed_0 runs/seed_1 runs/seed_2 --test --out changed.csv
    """
    go_offline_unless(names_hub=False)
    with no_garbage_collection():
        from accel_cls.comparing.changes import write_changes
        from accel_cls.comparing.command import as_json as to_json
        from accel_cls.comparing.command import check_csv, compare_folders
        from accel_cls.comparing.report import show
        from accel_cls.console import Console

    if out is not None:
        check_csv(out)
    comparison = compare_folders(runs, "test" if test else "validation")
    written = None if out is None else write_changes(comparison, out)
    if as_json:
        print_json(to_json(comparison))
        return
    console = Console()
    show(comparison, console)
    if out is not None:
        console.section("written", [(str(out), f"{written:,} rows whose answers changed")])


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
    Of a run, all are also in its suspects.csv and, where it is finished, in report.html. Test rows are left out.

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
        from accel_cls.repeating.page import write_reports_anew
        from accel_cls.suspecting.answering import answered
        from accel_cls.suspecting.find import find_suspects
        from accel_cls.suspecting.report import as_json as to_json
        from accel_cls.suspecting.report import show, write_found

    given = answered(path, overrides or (), by)  # type: ignore[arg-type]
    found = find_suspects(given, outliers)
    places = [*([] if given.folder is None else [given.folder.suspects]), *([] if out is None else [out])]
    for place in places:
        write_found(place, found)
    if given.folder is not None and given.folder.is_finished:
        write_reports_anew(given.folder)
    if as_json:
        print_json(to_json(found))
        return
    console = Console()
    show(found, console, top)
    for place in places:
        console.print(f"\n{len(found.suspects):,} rows in {place}")


def _names_hub(path: str, overrides: list[str] | None) -> bool:
    from accel_cls.recipe import load_to_train
    from accel_cls.recipe.places import names_the_hub

    return not Path(path).is_dir() and names_the_hub(load_to_train(path, overrides or ()))
