"""Commands that train: train, launch, tune, resume, parity, profile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accel_cls.cli.app import Json, Overrides, Processes, RecipePath, app, load, print_json
from accel_cls.completion import complete_hardware
from accel_cls.recipe.commands import require_one_training, require_updates
from accel_cls.startup import no_garbage_collection


@app.command()
def train(
    recipe: RecipePath,
    overrides: Overrides = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start over; the run that is there is kept, renamed.")
    ] = False,
    join_timeout: Annotated[
        int | None,
        typer.Option(min=1, metavar="SECONDS", help="How long to wait for other processes; default: 300."),
    ] = None,
) -> None:
    """Train a recipe in this process, as `python -m accel_cls.train` does, without a launcher.

    That is one process in fp32, on a GPU where there is one. Where `hardware` asks for anything else it is refused,
    with the command to give: `accel-cls launch` starts several processes and other precisions, too.

    Exit status: 0 trained, 2 a mistake, 75 stopped and saved: the same command goes on.

    Examples:

      accel-cls train recipes/food.yaml

      accel-cls train recipes/food.yaml data.train=reviews.csv train.epochs=5 --fresh
    """
    from accel_cls.train import main

    arguments = [recipe, *(overrides or ()), *(["--fresh"] if fresh else [])]
    if join_timeout is not None:
        arguments += ["--join-timeout", str(join_timeout)]
    raise typer.Exit(main(arguments))


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
    from accel_cls.hardware.start import start

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
def tune(
    recipe: RecipePath,
    overrides: Overrides = None,
    tries: Annotated[
        list[str] | None,
        typer.Option(
            "--try",
            metavar="KEY=VALUE,VALUE",
            help="Values of train.learning_rate, train.head_rate, train.epochs. Left out: rates for the model.",
        ),
    ] = None,
    processes: Processes = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Search again; the search that is there is kept, renamed.")
    ] = False,
) -> None:
    """Search for a learning rate, on a part of the training examples, at about the cost of one training.

    All candidates train for a short time, the better half goes on, and so on (successive halving). The validation
    examples have no part in it. Interrupted and started again it goes on. A recipe with train.learning_rate: auto
    takes what was found, and else searches before it trains.

    Examples:

      accel-cls tune recipes/food.yaml

      accel-cls tune recipes/food.yaml --try train.learning_rate=3e-4,1e-3 --try train.epochs=3,6
    """
    from accel_cls.hardware.start import start
    from accel_cls.tuning.axes import wanted_axes

    loaded = load(recipe, overrides)
    require_one_training(loaded, "accel-cls tune")
    wanted_axes(loaded, tries or (), is_search=True)  # mistakes are told before anything is started
    more = ["--tune", *(word for one in tries or () for word in ("--try", one))]
    status = start(recipe, overrides or (), typer.echo, fresh=fresh, processes=processes, more=more)
    raise typer.Exit(status)


@app.command()
def resume(
    recipe: RecipePath,
    overrides: Overrides = None,
    is_proof: Annotated[
        bool, typer.Option("--prove", help="Train, kill and resume a copy, and compare it with one left in peace.")
    ] = False,
    kills: Annotated[int | None, typer.Option(min=1, help="How often to kill it; default: 3.")] = None,
    processes: Annotated[
        str, typer.Option(help="Such as 1,2: the first trains, the others also go on with it; default: the profile's.")
    ] = "",
    updates: Annotated[int | None, typer.Option(min=2, help="The most updates of each; default: 200.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Draws the instants of the kills; default: 0.")] = None,
    keep: Annotated[Path | None, typer.Option(help="A folder to keep the trainings in, with their logs.")] = None,
    as_json: Json = False,
) -> None:
    """Show where a recipe's run stands and what goes on with it, or prove that going on changes nothing.

    Without --prove nothing is started. With it the recipe is trained in a folder of its own, once without interruption
    and once ended by kill -9 at random instants and resumed; weights, optimizer, metrics and predictions are compared.

    Exit status: 0 the same (without --prove: shown), 1 different, 2 a mistake or a training that failed.

    Examples:

      accel-cls resume recipes/food.yaml

      accel-cls resume --prove recipes/food.yaml

      accel-cls resume --prove recipes/food.yaml data.train=reviews.csv --kills 5 --processes 1,2 --keep proof
    """
    loaded = load(recipe, overrides)
    with no_garbage_collection():
        from accel_cls.console import Console
        from accel_cls.proving.command import parse_options, prove
        from accel_cls.proving.state import show_state, state_of

    if is_proof:
        require_one_training(loaded, "accel-cls resume --prove")
        require_updates(loaded)
    options = parse_options(is_proof, processes, kills, updates, seed, keep)
    console = None if as_json else Console()
    if not is_proof:
        state = state_of(recipe, loaded, overrides or ())
        if console is None:
            print_json(state.as_json())
        else:
            console.section(f"accel-cls resume · {loaded.name} · {recipe}", [])
            show_state(state, console)
        return
    proof_runs = prove(recipe, loaded, overrides or (), options, keep, console)
    if as_json:
        print_json([one.as_json() for one in proof_runs])
    raise typer.Exit(0 if all(one.is_same for one in proof_runs) else 1)


@app.command()
def parity(
    recipe: RecipePath,
    overrides: Overrides = None,
    processes: Annotated[
        str,
        typer.Option(help="Numbers of processes; the first is the reference. Left out: 1,2, or 1 with other lists."),
    ] = "",
    hardware: Annotated[
        str,
        typer.Option(help="Profiles, such as cpu,gpu; the first is the reference.", autocompletion=complete_hardware),
    ] = "",
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
    loaded = load(recipe, overrides)
    require_one_training(loaded, "accel-cls parity")
    require_updates(loaded)
    with no_garbage_collection():
        from accel_cls.console import Console
        from accel_cls.parity.command import compare_trainings
        from accel_cls.parity.options import parse_options

    options = parse_options(processes, hardware, precision, micro_batches, resume, updates)
    console = None if as_json else Console()
    verdicts = compare_trainings(recipe, loaded, overrides or (), options, keep, console)
    if as_json:
        print_json([verdict.as_json() for verdict in verdicts])
    raise typer.Exit(1 if any(verdict.mismatches for verdict in verdicts) else 0)


@app.command()
def profile(
    recipe: RecipePath,
    overrides: Overrides = None,
    processes: Processes = None,
    updates: Annotated[int, typer.Option(min=1, help="Updates to measure, after a few to warm up.")] = 30,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A folder for traces and figures; default: OUTPUT-profile.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show where an update's time goes, what padding costs, which operators take long; write a trace file.

    Trains for some updates as `accel-cls launch` would, without evaluations and checkpoints; a run that is there is
    left alone.

    Examples:

      accel-cls profile recipes/food.yaml

      accel-cls profile recipes/food.yaml train.micro_batch_tokens=512 --processes 2

      accel-cls profile recipes/food_bert.yaml data.train=food_reviews_10k.csv --updates 10 --json > profile.json
    """
    loaded = load(recipe, overrides)
    require_one_training(loaded, "accel-cls profile")
    require_updates(loaded)
    with no_garbage_collection():
        from accel_cls.profiling.command import measure_recipe, out_folder
        from accel_cls.profiling.measurements import PROFILED_UPDATES, WARM_UP_UPDATES
        from accel_cls.profiling.report import heading, show

    folder = out_folder(loaded, out)
    if as_json:
        _, content = measure_recipe(recipe, loaded, overrides or (), processes, updates, folder, lambda _: None)
        print_json(content)
        return
    from accel_cls.console import Console

    console = Console()
    console.section(
        f"accel-cls profile · {loaded.name} · {recipe}", heading(updates, WARM_UP_UPDATES, PROFILED_UPDATES, folder)
    )
    measured, _ = measure_recipe(recipe, loaded, overrides or (), processes, updates, folder, console.print)
    show(measured, folder, console)
