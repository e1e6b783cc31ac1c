"""Run the table of docs/hardware.md: one recipe on all the kinds of hardware that this machine and environment have.

    python -m tools.parity_matrix

Every environment has the CPU with 1, 2 and 3 processes, FSDP2 over gloo, other micro-batches, and a run continued by
other numbers of processes. With DeepSpeed installed it adds ZeRO-1 and ZeRO-2 over gloo, with a GPU that GPU in fp32
and bf16 and DDP with one process. With torch_xla (where PJRT_DEVICE=CPU makes XLA compile for the CPU) there is XLA
against the CPU only. Prints rows in Markdown, below the environment that they are from. Exit status: that of
`accel-cls parity`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "accelerate_configs"
# The sample's recipe at a fifth of its rate: at 1e-3 rounding noise grows past 1e-5 within 150 updates, on one process
# as on several. 512 tokens make four micro-batches of a typical update.
RECIPE = ["recipes/food.yaml", "train.learning_rate=2e-4", "train.micro_batch_tokens=512"]
UPDATES = 228  # three epochs


def profile(folder: Path, name: str, source: str, **changes: object) -> str:
    """Write a shipped profile with changes; changes in `deepspeed_config` are merged. Returns its path."""
    content = yaml.safe_load((SHIPPED / f"{source}.yaml").read_text(encoding="utf-8"))
    content.pop("gpu_ids", None)
    for key, value in changes.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def parity(*arguments: str) -> tuple[int, list[dict]]:
    """Run `accel-cls parity` on the recipe; its exit status and its pairs."""
    command = [sys.executable, "-m", "accel_cls", "parity", *RECIPE, f"--updates={UPDATES}", "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else []


def comparisons(folder: Path) -> list[list[str]]:
    """The arguments of each call of `accel-cls parity`."""
    cpu = {"use_cpu": True, "mixed_precision": "no"}
    if find_spec("torch_xla"):
        xla = profile(folder, "xla", "tpu", num_processes=1, mixed_precision="no")
        return [["--processes=1", f"--hardware=cpu,{xla}"]]
    hardware = ["cpu", profile(folder, "fsdp", "fsdp", **cpu)]
    if find_spec("deepspeed"):
        for stage in (1, 2):
            changes = {**cpu, "deepspeed_config": {"zero_stage": stage}}
            hardware.append(profile(folder, f"zero_{stage}", "deepspeed", **changes))
    calls = [["--processes=1,2,3", f"--hardware={','.join(hardware)}", "--resume"]]
    # By itself, since with three processes each update is cut into three parts or more, whatever their size; from 256
    # tokens, since above 1,024 these updates are cut no coarser.
    coarser = ["--micro-batches=1,2,4", "train.micro_batch_tokens=256"]
    calls.append(["--processes=1", "--hardware=cpu", "--precision=fp32,bf16", *coarser])

    import torch

    if torch.accelerator.is_available():
        ddp = profile(folder, "ddp", "multi_gpu", num_processes=1)
        calls.append(["--processes=1", f"--hardware=cpu,gpu,{ddp}", "--precision=fp32"])
        calls.append(["--processes=1", "--hardware=gpu", "--precision=fp32,bf16"])
    return calls


def environment() -> str:
    """What the rows are from."""
    names = ("torch", "torch_xla", "transformers", "accelerate", "deepspeed")
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return f"{datetime.date.today()}, {platform.processor() or platform.machine()}, {', '.join(found)}"


def row(pair: dict) -> str:
    """A pair as a row of the table."""
    cells = [
        f"{pair['case']}, against {pair['reference']}",
        "same" if pair["first_other_examples"] is None else f"differ at {pair['first_other_examples']}",
        "same" if pair["first_other_cut"] is None else "others",
        *(f"{pair[key]:.1e}" for key in ("loss", "gradient_norm", "weights", "probability")),
        pair["verdict"],
    ]
    return "| " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all; returns the highest exit status."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(
        arguments
    )
    status = 0
    rows: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        for call in comparisons(Path(place)):
            ended, pairs = parity(*call)
            status = max(status, ended)
            rows += map(row, pairs)
    head = ["training", "examples", "micro-batches", "loss", "gradient norm", "weights", "probability", "verdict"]
    print(f"{environment()}; {UPDATES} updates of {' '.join(RECIPE)}\n")
    print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    print("\n".join(rows))
    return status


if __name__ == "__main__":
    sys.exit(main())
