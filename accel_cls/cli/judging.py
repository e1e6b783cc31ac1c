"""Commands that judge finished runs: report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from accel_cls.cli.app import app
from accel_cls.completion import complete_run
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

    Needs neither the data nor the model.

    Examples:

      accel-cls report runs/food
    """
    go_offline_unless(names_hub=False)
    with no_garbage_collection():
        from accel_cls.reporting.write import write_anew
        from accel_cls.runs.folder import RunFolder, disk_errors_explained

    folder = RunFolder(run)
    with disk_errors_explained(folder):
        written = write_anew(folder)
    for path in written:
        typer.echo(f"wrote {os.path.relpath(path)}")
