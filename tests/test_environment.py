"""What other launchers and `accelerate config` leave in the environment: told by its name, never a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import command, train

from accel_cls.errors import UserError
from accel_cls.hardware.environment import settle_environment

ALONE = "but WORLD_SIZE is not set, or 1"
PRECISIONS = "expected no, fp16, bf16 or fp8"
WITHOUT = "Unset it; where accelerate launch sets it, leave it out of its flags and its config file"

REFUSED = {
    "PMI_SIZE=2 PMI_RANK=0": f"PMI_SIZE is 2, as MPI's launchers set it, {ALONE}",
    "OMPI_COMM_WORLD_SIZE=4 WORLD_SIZE=1": f"OMPI_COMM_WORLD_SIZE is 4, as MPI's launchers set it, {ALONE}",
    "MV2_COMM_WORLD_SIZE=2": f"MV2_COMM_WORLD_SIZE is 2, as MPI's launchers set it, {ALONE}",
    "PMI_SIZE=two": "the environment variable PMI_SIZE is 'two'; expected a whole number",
    "LOCAL_RANK=1": f"LOCAL_RANK is '1', {ALONE}",
    "LOCAL_RANK=x": f"LOCAL_RANK is 'x', {ALONE}",
    "WORLD_SIZE=2": "WORLD_SIZE is 2, but RANK, MASTER_ADDR, MASTER_PORT are not set",
    "ACCELERATE_MIXED_PRECISION=float16": f"ACCELERATE_MIXED_PRECISION is 'float16'; {PRECISIONS}",
    "ACCELERATE_MIXED_PRECISION=fp8": "precision fp8 was asked for (ACCELERATE_MIXED_PRECISION), which takes one of",
    "ACCELERATE_DYNAMO_BACKEND=INDUCTOR": "ACCELERATE_DYNAMO_BACKEND is 'INDUCTOR'; expected no: models are not",
    "ACCELERATE_TORCH_DEVICE=cuda:0": "ACCELERATE_TORCH_DEVICE is 'cuda:0'; expected nothing: the profile says",
    "ACCELERATE_USE_MEGATRON_LM=true": "ACCELERATE_USE_MEGATRON_LM is 'true'; expected false: ",
    "ACCELERATE_USE_PARALLELISM_CONFIG=true": "ACCELERATE_USE_PARALLELISM_CONFIG is 'true'; expected false: ",
    "ACCELERATE_USE_SAGEMAKER=1": "ACCELERATE_USE_SAGEMAKER is '1'; expected false: ",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS=4": "ACCELERATE_GRADIENT_ACCUMULATION_STEPS is '4'; expected 1: ",
    "ACCELERATE_USE_CPU=maybe": "ACCELERATE_USE_CPU is 'maybe'; expected true or false",
    "ACCELERATE_USE_FSDP=1": "ACCELERATE_USE_FSDP is '1'; expected true or false",
}
TAKEN = (
    "",
    "PMI_SIZE=1 PMI_RANK=0",
    "LOCAL_RANK=-1",
    "LOCAL_RANK= PMI_SIZE= WORLD_SIZE= ACCELERATE_MIXED_PRECISION= ACCELERATE_TORCH_DEVICE=",
    "LOCAL_RANK=0 RANK=0 WORLD_SIZE=1 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500",  # torchrun's, of one process
    "LOCAL_RANK=1 RANK=1 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 PMI_SIZE=4",
    "ACCELERATE_DYNAMO_BACKEND=NO ACCELERATE_GRADIENT_ACCUMULATION_STEPS=auto ACCELERATE_USE_FSDP=False",
)


@pytest.fixture
def leave(monkeypatch: pytest.MonkeyPatch):
    """Set variables that are written NAME=value."""

    def apply(variables: str) -> None:
        for name, value in variables_of(variables).items():
            monkeypatch.setenv(name, value)

    return apply


def variables_of(text: str) -> dict[str, str]:
    return dict(variable.split("=") for variable in text.split())


@pytest.mark.parametrize("variables", REFUSED)
def test_what_can_not_run_is_refused_by_its_name(leave, variables: str) -> None:
    leave(variables)
    with pytest.raises(UserError) as caught:
        settle_environment()
    assert REFUSED[variables] in str(caught.value)


@pytest.mark.parametrize("variables", TAKEN)
def test_what_changes_nothing_is_taken(leave, variables: str) -> None:
    leave(variables)
    assert settle_environment() == []
    assert "" not in [os.environ.get(name, "-") for name in variables_of(variables)]


@pytest.mark.parametrize("asked", ["BF16"])  # which accelerate itself takes for fp32, silently
def test_a_leftover_rank_is_told_and_precision_is_what_the_banner_says(work: Path, asked: str) -> None:
    env = {"LOCAL_RANK": "0", "ACCELERATE_MIXED_PRECISION": asked}
    done = train(work, "train.max_updates=1", env=env)
    assert done.returncode == 0, done.stderr
    assert "; precision bf16\n" in done.stdout
    assert "LOCAL_RANK, which is 0 in the environment, is not used: WORLD_SIZE" in done.stdout


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ("ACCELERATE_MIXED_PRECISION=fp16 ACCELERATE_USE_CPU=true", "on cpu accelerate computes in fp32, silently"),
        ("ACCELERATE_DYNAMO_BACKEND=INDUCTOR", WITHOUT),
        ("ACCELERATE_LOG_LEVEL=verbose", "ACCELERATE_LOG_LEVEL is 'verbose'; expected "),
        ("USE_TORCH_XLA=maybe", "USE_TORCH_XLA is 'maybe'; expected true or false"),
        ("PYTHONOPTIMIZE=2", "Python was started with -OO (PYTHONOPTIMIZE=2)"),
    ],
)
def test_a_run_ends_in_a_line_and_no_traceback(work: Path, variables: str, told: str) -> None:
    refused = train(work, env=variables_of(variables))
    assert refused.returncode == 2, refused.stderr
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (work / "run").exists()


HARMFUL = 'open("HARMED", "a").write(__file__)\nraise RuntimeError("no library")\n'
# Of the libraries that the commands import: at once, while they compute, by others; a folder; Python's own.
LIBRARIES = ("yaml", "psutil", "datasets", "evaluate", "tokenizers", "numpy", "regex", "queue", "statistics")


@pytest.fixture
def harmful(work: Path) -> Path:
    """A folder with files that have the names of libraries, and with the data and the recipe."""
    for name in LIBRARIES:
        (work / f"{name}.py").write_text(HARMFUL, encoding="utf-8")
    (work / "sklearn").mkdir()
    (work / "sklearn" / "__init__.py").write_text(HARMFUL, encoding="utf-8")
    return work


# With a variable, so that no warm Python runs them: that has imported everything.
@pytest.mark.parametrize(
    "launcher", [("python", "-m", "accel_cls.train"), ("accel-cls", "launch"), ("accelerate", "launch")], ids=" ".join
)
def test_files_with_names_of_libraries_are_not_run(harmful: Path, launcher: tuple[str, ...]) -> None:
    module = ("-m", "accel_cls.train") if launcher[0] == "accelerate" else ()
    done = command(*launcher, *module, "recipe.yaml", "train.max_updates=1", cwd=harmful, env={"A": ""})
    assert done.returncode == 0, done.stderr
    assert not (harmful / "HARMED").exists()


def test_files_with_names_of_libraries_are_not_run_by_predict_either(harmful: Path) -> None:
    done = train(harmful, "train.max_updates=1")
    assert done.returncode == 0, done.stderr
    asked = command("python", "-m", "accel_cls.predict", "run", "--text", "好吃", cwd=harmful, env={"A": ""})
    assert asked.returncode == 0, asked.stderr
    assert not (harmful / "HARMED").exists()


def test_code_of_the_users_keeps_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("import accel_cls\nimport helper\n", encoding="utf-8")
    (tmp_path / "mine" / "__main__.py").write_text("import helper\nprint(helper.__name__)\n", encoding="utf-8")
    (tmp_path / "helper.py").write_text("", encoding="utf-8")
    done = command("python", "-m", "mine", cwd=tmp_path)
    assert done.stdout == "helper\n", done.stderr


@pytest.mark.parametrize("program", [("accel-cls", "check"), ("python", "-m", "accel_cls.predict")], ids=" ".join)
def test_python_without_docstrings_is_told(work: Path, program: tuple[str, ...]) -> None:
    refused = command(*program, "recipe.yaml", cwd=work, env={"PYTHONOPTIMIZE": "2"})
    assert refused.returncode == 2
    assert refused.stderr.startswith("Python was started with -OO (PYTHONOPTIMIZE=2)")
