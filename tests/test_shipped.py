"""What comes along with the package: recipes, profiles, sample data, generated docs; from a checkout and a wheel."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from conftest import ROOT, cli

from accel_cls.authoring.check import check_recipe
from accel_cls.authoring.gallery import shipped_recipes
from accel_cls.profiles import profile_names
from accel_cls.recipe import load_recipe
from accel_cls.recipe.reference import reference

RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
GENERATORS = sorted((ROOT / "recipes" / "data").glob("generate_*.py"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT / "recipes")))
def test_shipped_recipe_is_right_and_says_what_it_is_for(path: Path) -> None:
    recipe = load_recipe(path)
    assert Path(recipe.output).name == recipe.name
    line, *_ = path.read_text(encoding="utf-8").splitlines()
    schema = line.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / schema).resolve() == ROOT / "recipes" / "recipe.schema.json"
    (shipped,) = [recipe for recipe in shipped_recipes() if recipe.path == path]
    assert shipped.purpose.endswith(".")
    assert shipped.needs.endswith(".")
    assert shipped.measured.endswith(".")
    assert "MEASURE" not in shipped.measured
    assert shipped.commands
    assert any(path.name in command for command in shipped.commands)


def test_there_is_a_recipe_for_each_profile() -> None:
    assert {path.stem for path in (ROOT / "recipes" / "hardware").glob("*.yaml")} == set(profile_names())
    for path in (ROOT / "recipes" / "hardware").glob("*.yaml"):
        assert load_recipe(path).hardware == path.stem


def test_reference_page_is_fresh() -> None:
    assert (ROOT / "docs" / "recipe-reference.md").read_text(encoding="utf-8") == reference()


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda path: path.stem)
def test_sample_comes_out_of_its_generator(generator: Path, tmp_path: Path) -> None:
    shutil.copy(generator, tmp_path)
    subprocess.run([sys.executable, generator.name], cwd=tmp_path, check=True)
    (made,) = tmp_path.glob("*.csv")
    assert made.read_bytes() == (generator.parent / made.name).read_bytes()


def test_sample_is_what_the_readme_says() -> None:
    with open(ROOT / "recipes" / "data" / "food_reviews.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3000
    assert all(2 <= len(row["review"].strip()) <= 300 for row in rows)
    assert 0.3 < sum(row["label"] == "1" for row in rows) / len(rows) < 0.4


@pytest.mark.parametrize("name", ["food", "tickets", "pairs"])
def test_samples_can_be_trained_on(name: str) -> None:
    """No error, no leak; the pretrained model of two of them is left aside."""
    recipe = load_recipe(ROOT / "recipes" / f"{name}.yaml", ["~model.name"])
    report = check_recipe(recipe)
    assert report.exit_status < 2
    assert not {"leak", "encoding", "markup", "missing-class", "alike-classes"} & {f.kind for f in report.findings}


def test_recipes_are_listed(capsys: pytest.CaptureFixture) -> None:
    status, out, _ = cli(capsys, "recipes")
    assert status == 0
    for path in RECIPES:
        assert f"\n{path.relative_to(ROOT / 'recipes').with_suffix('')}\n" in f"\n{out}"
    _, out, _ = cli(capsys, "recipes", "--json")
    assert {recipe["name"] for recipe in json.loads(out)} == {recipe.name for recipe in shipped_recipes()}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT / "recipes")))
def test_copied_recipe_is_whole(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    name = str(path.relative_to(ROOT / "recipes").with_suffix(""))
    status, out, _ = cli(capsys, "recipes", "copy", name, "--to", "mine")
    assert status == 0
    copied = Path("mine") / f"{name}.yaml"
    original = load_recipe(path)
    recipe = load_recipe(copied)
    assert recipe.train == original.train
    data = Path(str(original.data.train))
    if data.is_file():
        assert Path(str(recipe.data.train)) == tmp_path / "mine" / "data" / data.name
        assert Path(str(recipe.data.train)).is_file()
    assert (tmp_path / "mine" / "recipe.schema.json").is_file()
    assert out.rstrip().endswith(f"accelerate launch -m accel_cls.train {copied}")


def test_copy_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli(capsys, "recipes", "copy", "food")[0] == 0
    assert cli(capsys, "recipes", "copy", "food_bert")[0] == 0  # food.yaml, which it extends, is the same
    Path("recipes/food.yaml").write_text("mine")
    status, _, err = cli(capsys, "recipes", "copy", "food_bert")
    assert (status, err) == (2, "recipes/food.yaml is there already, and different; copy to another folder\n")
    assert Path("recipes/food.yaml").read_text() == "mine"
    status, _, err = cli(capsys, "recipes", "copy", "nope")
    assert (status, err) == (2, "nope: there is no such shipped recipe; `accel-cls recipes` lists them\n")


def test_installed_wheel_carries_recipes_and_profiles(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    # An environment of its own for the package, this one's libraries for the rest.
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    site = next((tmp_path / "env").glob("lib/python*/site-packages"))
    shutil.unpack_archive(wheel, site, "zip")
    (site / "libraries.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")) + "\n")

    def run(*arguments: str) -> str:
        code = "import sys; from accel_cls.cli import main; sys.argv[0] = 'accel-cls'; main()"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [str(python), "-c", code, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = json.loads(run("recipes", "--json"))
    assert {recipe["name"] for recipe in listed} == {recipe.name for recipe in shipped_recipes()}
    assert all(Path(recipe["path"]).is_relative_to(site) for recipe in listed)
    assert "profile.num_processes" in run("explain", listed[0]["path"], "hardware=cpu_multi", "--json")
    run("recipes", "copy", "food")
    assert '"updates": 456' in run("plan", "recipes/food.yaml", "--json")
    assert (tmp_path / "recipes" / "data" / "food_reviews.csv").is_file()
    templates = Path("accel_cls", "reporting", "html", "templates")
    assert {path.name for path in (site / templates).iterdir()} == {path.name for path in (ROOT / templates).iterdir()}
