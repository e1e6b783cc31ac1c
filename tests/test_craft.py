"""The table "what helps" by its command: choices beside the plain recipe. Made reviews; no score is judged."""

import json
from pathlib import Path

import pytest
from conftest import ROOT, write_reviews
from warm_workshop import warmly

from accel_cls.recipe import load_recipe
from benchmarks.craft.__main__ import main
from benchmarks.craft.choices import CHOICES, PLAIN
from benchmarks.craft.page import BEGIN, END
from benchmarks.craft.settings import PRETRAINED
from benchmarks.quality.rows import Row, read_rows
from benchmarks.quality.sets import DataSet, draw
from benchmarks.workshop import Workshop

SEED = 3


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of two choices."""
    folder = tmp_path_factory.mktemp("craft")
    (folder / "real" / "data").mkdir(parents=True)
    write_reviews(folder / "real" / "data" / "food_reviews_10k.csv", 60, SEED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workshop, "run", warmly)
        patch.setenv("ACCEL_CLS_REAL_DATA", str(folder / "real"))
        wanted = ["reviews-bert", "news-bert", "--choices", "smoothing", "--seeds", str(SEED)]
        assert main([*wanted, "--results", str(folder / "results")]) == 0
    return folder


def facts(folder: Path, name: str) -> dict:
    return json.loads((folder / "results" / "reviews" / "bert" / f"{name}-{SEED}.json").read_text(encoding="utf-8"))


def test_a_choice_stands_beside_the_plain_recipe_on_the_same_rows(measured) -> None:
    plain, smoothing = facts(measured, "plain"), facts(measured, "smoothing")
    assert plain["rows"] == smoothing["rows"]
    assert plain["rows"]["training"] + plain["rows"]["judged"] == 60
    assert plain["overrides"] == []
    assert smoothing["overrides"] == ["train.label_smoothing=0.1"]
    assert not (measured / "results" / "news").exists()  # whose rows are not there


def test_what_is_kept_is_not_computed_again(measured, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a command was run")

    monkeypatch.setattr(Workshop, "run", refuse)
    monkeypatch.setenv("ACCEL_CLS_REAL_DATA", str(measured / "real"))
    wanted = ["reviews-bert", "--choices", "smoothing", "--seeds", str(SEED)]
    assert main([*wanted, "--results", str(measured / "results")]) == 0


def test_the_page_has_the_differences(measured, tmp_path) -> None:
    page = tmp_path / "craft.md"
    page.write_text(f"above\n\n{BEGIN}\nold\n{END}\n\nbelow\n", encoding="utf-8")
    assert main(["--publish", "--page", str(page), "--results", str(measured / "results")]) == 0
    text = page.read_text(encoding="utf-8")
    right = [facts(measured, name)["scores"]["accuracy"] for name in ("smoothing", "plain")]
    points = f"{100 * (right[0] - right[1]):+.1f} ("
    assert f"| smoothing | `train.label_smoothing=0.1` | {points}" in text.replace("**", "")
    assert f"| reviews-bert | {right[1]:.4f} |" in text
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")


@pytest.mark.parametrize("name", [name for name in CHOICES if name != PLAIN.name])
def test_each_choice_is_a_recipe(name: str, tmp_path) -> None:
    """On each of its starts."""
    rows = write_reviews(tmp_path / "rows.csv", 10, 0)
    of_start: dict[str, list[str]] = {
        "bert": [],
        "ngrams": ["model.scratch.architecture=ngrams"],
    } | {one: [f"model.name={tmp_path}", "model.scratch=null"] for one in PRETRAINED}
    for start in CHOICES[name].starts:
        load_recipe(ROOT / "recipes" / "food.yaml", [f"data.train={rows}", *of_start[start], *CHOICES[name].overrides])


@pytest.mark.parametrize("has_judged", [False, True])
def test_a_draw_has_other_rows_to_judge_than_to_learn_and_the_seed_says_which(has_judged: bool, tmp_path) -> None:
    train = write_reviews(tmp_path / "all.csv", 40, 0)
    judged = write_reviews(tmp_path / "judged.csv", 20, 1) if has_judged else None
    data = DataSet("reviews", "", train, judged, None)

    def drawn(seed: int) -> list[list[Row]]:
        of_seed = draw(data, 25, 10, seed)
        assert of_seed.judged is not None
        return [[*read_rows(path, ("text", "label"))] for path in (of_seed.train, of_seed.judged)]

    learned, asked = drawn(3)
    assert (len(learned), len(asked)) == (25, 10)
    of_train, of_judged = ([*read_rows(path, ("review", "label"))] for path in (train, judged or train))
    assert len({*of_train}) == 40, "else rows can't be told from each other"
    assert {*learned} <= {*of_train}
    assert {*asked} <= {*of_judged}
    assert has_judged or not {*learned} & {*asked}
    assert drawn(3) == [learned, asked]
    assert drawn(4)[0] != learned


def test_a_setting_that_there_is_not_is_told(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["reviews-gpt"])
    assert "there is no setting 'reviews-gpt'; expected some of reviews-ngrams" in capsys.readouterr().err
