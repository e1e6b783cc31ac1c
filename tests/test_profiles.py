"""Hardware profiles: found, read as accelerate reads them, turned into a command."""

from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from conftest import cli

from accel_cls.errors import UserError
from accel_cls.profiles import (
    default_config_file,
    find_profile,
    launch_command,
    profile_names,
    read_profile,
    shell,
    write_profile,
)
from accel_cls.shipped import shipped_folder

SHIPPED = sorted(shipped_folder("accelerate_configs").glob("*.yaml"))


def profile_of(text, name="p.yaml"):
    Path(name).write_text(text)
    return read_profile(Path(name))


@pytest.fixture
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


pytestmark = pytest.mark.usefixtures("_own_folder")


# What comes along


def test_names_of_the_shipped_profiles():
    names = ["cpu", "cpu_multi", "deepspeed", "fsdp", "gpu", "mps", "multi_gpu", "multi_node", "tpu"]
    assert profile_names() == names


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_accelerate_reads_a_shipped_profile_as_we_do(path):
    profile, config = read_profile(path), load_config_from_file(str(path))
    assert config.compute_environment.value == "LOCAL_MACHINE"
    assert config.distributed_type.value == profile.distributed_type
    assert config.use_cpu == profile.use_cpu
    assert config.num_processes == profile.processes
    assert config.num_machines == profile.machines
    assert str(config.mixed_precision) == profile.mixed_precision


TABBED = """{
\t"compute_environment": "LOCAL_MACHINE",
\t"distributed_type": "NO",
\t"use_cpu": true,
\t"mixed_precision": "bf16",
\t"num_machines": 1,
\t"num_processes": 1
}"""


def test_json_file_is_read_as_json_as_accelerate_does(capsys):
    """With tabs, it is no YAML."""
    profile, config = profile_of(TABBED, "p.json"), load_config_from_file("p.json")
    assert config.use_cpu
    assert profile.use_cpu
    assert (
        (profile.mixed_precision, profile.processes) == (config.mixed_precision, config.num_processes) == ("bf16", 1)
    )
    assert read_profile(write_profile(profile.changed(mixed_precision="no"), Path("q.yaml")).path).device == "CPU"
    Path("r.yaml").write_text("name: a\noutput: o\ndata: {train: a.csv}\nhardware: ./p.json\n")
    status, said, _ = cli(capsys, "explain", "r.yaml", "profile.mixed_precision")
    assert status == 0
    assert "from      p.json" in said
    with pytest.raises(UserError, match="not readable as a profile: Expecting"):
        profile_of("{", "p.json")


@pytest.mark.parametrize(("written", "is_cpu"), [("true", True), ('"false"', False), ("no", False), ('"True"', True)])
def test_use_cpu_that_was_quoted_means_what_it_says(written, is_cpu):
    assert profile_of(f'distributed_type: "NO"\nuse_cpu: {written}\n').use_cpu is is_cpu


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_profile_says_nothing_of_the_training(path):
    content = yaml.safe_load(path.read_text())
    assert path.read_text().startswith("# ")
    assert not {"gradient_accumulation_steps", "gradient_clipping", "dynamo_config"} & set(content)
    deepspeed = content.get("deepspeed_config", {})
    assert "gradient_clipping" not in deepspeed
    assert deepspeed.get("gradient_accumulation_steps", 1) == 1


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profile_is_found_by_name(name):
    profile = find_profile(name)
    assert profile.name == name
    assert profile.path.is_file()


def test_no_profile_starts_one_process_silently():
    assert all(read_profile(path).distributed_type != "MULTI_CPU" for path in SHIPPED)


# Finding


def test_auto_names_no_profile():
    assert find_profile("auto") is None


def test_profile_by_path():
    profile_of("distributed_type: MULTI_GPU\nnum_processes: 4\n", "mine.yaml")
    profile = find_profile("mine.yaml")
    assert (profile.name, profile.processes) == ("mine", 4)


@pytest.mark.parametrize("hardware", ["gpuu", "", ".", "no/such.yaml", "a\0b"])
def test_unknown_hardware_lists_what_there_is(hardware):
    with pytest.raises(UserError) as caught:
        find_profile(hardware)
    assert str(caught.value).startswith(f"hardware: found {hardware!r}; expected auto, default, ")
    assert ", ".join(profile_names()) in str(caught.value)


def test_default_before_accelerate_config_was_run():
    assert default_config_file() is None
    with pytest.raises(UserError, match="hardware: default means what `accelerate config` wrote"):
        find_profile("default")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("default_config.yaml", "distributed_type: 'NO'\nnum_processes: 1\nuse_cpu: true\n"),
        ("default_config.json", '{"distributed_type": "NO", "num_processes": 1, "use_cpu": true}'),
    ],
)
def test_default_is_what_accelerate_config_wrote(tmp_path, name, content):
    folder = tmp_path / "hf/accelerate"
    folder.mkdir(parents=True)
    (folder / name).write_text(content)
    profile = find_profile("default")
    assert profile.path == folder / name
    assert (profile.distributed_type, profile.use_cpu) == ("NO", True)


def test_default_follows_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    written = tmp_path / "cache/huggingface/accelerate/default_config.yaml"
    written.parent.mkdir(parents=True)
    written.write_text("distributed_type: 'NO'\n")
    assert default_config_file() == written


# Reading


def test_left_out_keys():
    profile = profile_of("distributed_type: 'NO'\n")
    assert (profile.use_cpu, profile.processes, profile.machines) == (False, 1, 1)
    assert profile.mixed_precision == "no"


@pytest.mark.parametrize(
    ("written", "meant"),
    [("NO", "NO"), ("'NO'", "NO"), ("no", "NO"), ("multi_gpu", "MULTI_GPU"), ("TPU", "XLA"), ("XLA", "XLA")],
)
def test_distributed_type_as_written(written, meant):
    assert profile_of(f"distributed_type: {written}\n").distributed_type == meant


@pytest.mark.parametrize(("written", "meant"), [("no", "no"), ("'no'", "no"), ("BF16", "bf16"), ("fp16", "fp16")])
def test_precision_as_written(written, meant):
    assert profile_of(f"distributed_type: 'NO'\nmixed_precision: {written}\n").mixed_precision == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "distributed_type: MULTI_GPU\nnum_processes: 2\nuse_cpu: true\n",
            "2 processes on CPU, precision fp32",
        ),
        ("distributed_type: 'NO'\nmixed_precision: bf16\n", "1 process on GPU, precision bf16"),
        ("distributed_type: FSDP\nnum_processes: 4\n", "4 processes on GPUs with FSDP, precision fp32"),
        (
            "distributed_type: MULTI_GPU\nnum_processes: 16\nnum_machines: 2\n",
            "16 processes on GPUs over 2 machines, precision fp32",
        ),
    ],
)
def test_profile_in_words(text, words):
    assert str(profile_of(text)) == words


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just text\n",
        "- a list\n",
        "num_processes: 2\n",
        "a: b: c\n",
        "distributed_type: 'NO'\nnum_processes: many\n",
        "distributed_type: 'NO'\nnum_machines: [2]\n",
        "distributed_type: DEEPSPEED\ndeepspeed_config: 3\n",
    ],
)
def test_file_that_is_no_profile(text):
    with pytest.raises(UserError, match=r"^p\.yaml: "):
        profile_of(text)


def test_file_that_is_not_utf_8():
    Path("p.yaml").write_bytes(b"distributed_type: \xff\n")
    with pytest.raises(UserError, match=r"p\.yaml: not readable as a profile"):
        read_profile(Path("p.yaml"))


def test_gradient_accumulation_is_the_recipes_business():
    text = "distributed_type: DEEPSPEED\ndeepspeed_config: {gradient_accumulation_steps: 4}\n"
    with pytest.raises(UserError, match=r"gradient_accumulation_steps is 4; expected 1.*micro_batch_tokens"):
        profile_of(text)


@pytest.mark.parametrize("steps", ["1", "auto"])
def test_no_gradient_accumulation_is_taken(steps):
    text = f"distributed_type: DEEPSPEED\ndeepspeed_config: {{gradient_accumulation_steps: {steps}}}\n"
    assert profile_of(text).distributed_type == "DEEPSPEED"


# The command


def test_command_with_a_profile():
    profile = profile_of("distributed_type: 'NO'\n")
    assert launch_command(profile, "r.yaml", ["train.epochs=1", "name=a b"]) == [
        *("accelerate", "launch", "--config_file", "p.yaml"),
        *("-m", "accel_cls.train", "r.yaml", "train.epochs=1", "name=a b"),
    ]


def test_command_without_a_profile():
    assert launch_command(None, "r.yaml", []) == ["accelerate", "launch", "-m", "accel_cls.train", "r.yaml"]


def test_command_with_a_number_of_processes():
    assert launch_command(None, "r.yaml", [], 3)[2:4] == ["--num_processes", "3"]


def test_command_takes_the_shorter_path(tmp_path, monkeypatch):
    profile = find_profile("cpu")
    monkeypatch.chdir(profile.path.parent)
    assert "cpu.yaml" in launch_command(profile, "r.yaml", [])
    deep = tmp_path.joinpath(*"abcdefghijklmnopqrstuvwxyz" * 3)
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert str(profile.path) in launch_command(profile, "r.yaml", [])


def test_command_as_a_user_would_type_it():
    assert shell(["accel-cls", "name=a b", "data.labels={0: x}"]) == ("accel-cls 'name=a b' 'data.labels={0: x}'")
