"""What comes along with the package: recipes, profiles, sample data, generated docs."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

from accel_cls.recipe import load_recipe
from accel_cls.recipe.reference import reference


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_right(path: Path) -> None:
    assert load_recipe(path).name == path.stem


def test_reference_page_is_fresh() -> None:
    assert (ROOT / "docs" / "recipe-reference.md").read_text(encoding="utf-8") == reference()


def test_sample_comes_out_of_its_generator(tmp_path: Path) -> None:
    shutil.copy(ROOT / "recipes" / "data" / "generate_food_reviews.py", tmp_path)
    subprocess.run([sys.executable, "generate_food_reviews.py"], cwd=tmp_path, check=True)
    made = (tmp_path / "food_reviews.csv").read_bytes()
    assert made == (ROOT / "recipes" / "data" / "food_reviews.csv").read_bytes()


def test_sample_is_what_the_readme_says() -> None:
    with open(ROOT / "recipes" / "data" / "food_reviews.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3000
    assert all(2 <= len(row["review"].strip()) <= 300 for row in rows)
    assert 0.3 < sum(row["label"] == "1" for row in rows) / len(rows) < 0.4


def test_wheel_carries_recipes_and_profiles(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for kind, folder in (("recipes", "recipes"), ("accelerate_configs", "accelerate_configs")):
        for path in (ROOT / folder).glob("*.yaml"):
            assert f"accel_cls/shipped/{kind}/{path.name}" in names
    assert "accel_cls/shipped/recipes/data/food_reviews.csv" in names
