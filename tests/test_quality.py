"""The quality gauge by its command: it measures, goes on, and publishes. Made reviews and a minute encoder; no score
is judged but those that are known."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import write_reviews
from scipy.stats import chi2
from tiny import write_model
from warm_workshop import warmly

from benchmarks.contestants.ours import told_precision
from benchmarks.processes import python, run
from benchmarks.quality.__main__ import main
from benchmarks.quality.comparison import best_simple, difference, entries, times_as_long
from benchmarks.quality.encoders import NONE, Encoder
from benchmarks.quality.goals import verdicts
from benchmarks.quality.jobs import CONTESTANTS, Job, all_jobs
from benchmarks.quality.kept import Kept, Result
from benchmarks.quality.page import BEGIN, END, PAGE, tables
from benchmarks.quality.sets import DataSet, data_set
from benchmarks.quality.uneven import write_uneven
from benchmarks.workshop import Workshop

ROWS = 60


@pytest.fixture(autouse=True)
def _warm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workshop, "run", warmly)
    monkeypatch.delenv("ACCEL_CLS_REAL_DATA", raising=False)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[str]]]:
    """A folder with results of two sets, and the arguments that gave them."""
    folder = tmp_path_factory.mktemp("quality")
    split, train, judged = (write_reviews(folder / f"{name}.csv", ROWS, len(name)) for name in ("made", "own", "test"))
    write_model(folder / "tiny", max_position_embeddings=512)
    common = ["--results", str(folder / "results"), "--seeds", "3", "--encoders"]
    asked = [
        [str(split), *common, "none", "--contestants", "tfidf", "accel_cls"],
        [f"{train},{judged}", *common, str(folder / "tiny")],
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workshop, "run", warmly)
        assert [main(arguments) for arguments in asked] == [0, 0]
    return folder, asked


def facts(folder: Path, name: str) -> dict:
    return json.loads((folder / "results" / f"{name}.json").read_text(encoding="utf-8"))


def test_a_split_off_part_is_the_same_for_all(measured) -> None:
    simple, ours = (facts(measured[0], f"made/none/{name}-3") for name in ("tfidf", "accel_cls"))
    assert simple["rows"] == ours["rows"]
    assert ours["rows"]["training"] + ours["rows"]["judged"] == ROWS
    assert set(ours["last"]) == {"accuracy"}
    assert simple["last"] is None


def test_a_judged_file_chooses_nothing(measured) -> None:
    """accel_cls splits its validation rows off the training file, and learns these, too, in the end."""
    names = ["none/tfidf-any", "tiny/frozen-any", "tiny/trainer-3", "tiny/accel_cls-3"]
    rows = [facts(measured[0], f"own/{name}")["rows"] for name in names]
    assert [(one["training"], one["judged"]) for one in rows] == [(ROWS, ROWS)] * 4
    assert len({one["digest"] for one in rows}) == 1
    ours = facts(measured[0], "own/tiny/accel_cls-3")
    assert ours["last"] is None
    epochs, chosen_by = zip(*ours["course"], strict=True)
    assert list(epochs) == sorted(epochs)
    assert all(0 <= accuracy <= 1 for accuracy in chosen_by)


def test_scores_are_those_of_the_kept_answers(measured) -> None:
    for path in (measured[0] / "results").glob("*/*/*.json"):
        one = Result(path)
        assert one.are_right.mean() == pytest.approx(one.facts["scores"]["accuracy"])
    majority = facts(measured[0], "own/none/majority-any")["scores"]
    assert majority == {"accuracy": pytest.approx(2 / 3), "f1_macro": pytest.approx(0.4)}


def test_what_is_kept_is_not_computed_again(measured, monkeypatch, capsys) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a command was run")

    folder, asked = measured
    before = {path: path.read_bytes() for path in folder.glob("results/*/*/*")}
    has_quick = any(path.name == "quick-3.json" for path in before)
    monkeypatch.setattr(Workshop, "run", refuse)
    for arguments in asked:
        contestants = [name for name in CONTESTANTS if name != "quick" or has_quick]
        chosen = arguments if "--contestants" in arguments else [*arguments, "--contestants", *contestants]
        assert main(chosen) == 0
    assert {path: path.read_bytes() for path in folder.glob("results/*/*/*")} == before
    assert "failed" not in capsys.readouterr().out


def test_publishing_keeps_what_stands_around_the_figures(measured, tmp_path) -> None:
    page = tmp_path / "quality.md"
    page.write_text(f"above\n\n{BEGIN}\nold\n{END}\n\nbelow\n", encoding="utf-8")
    words = ["-m", "benchmarks.quality", "--publish", "--page", str(page), "--results", str(measured[0] / "results")]
    run(python(*words))  # the real command
    text = page.read_text(encoding="utf-8")
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")
    assert "old" not in text
    assert "| from nothing | majority | 0.6667 |" in text
    assert "| tiny | Trainer | " in text
    assert "python -m benchmarks.quality made --encoders none --contestants tfidf accel_cls --seeds 3 --again" in text
    assert "chosen by these same rows" in text  # of the set that has no judged file
    assert "by which nothing was chosen" in text
    assert "| made | from nothing | under 60 s | 2 s | yes |" in text
    main(words[2:])
    assert page.read_text(encoding="utf-8") == text


def test_the_real_page_has_its_markers(measured, tmp_path) -> None:
    page = tmp_path / "quality.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["--publish", "--page", str(page), "--results", str(measured[0] / "results")]) == 0


def test_what_fails_is_told_and_does_not_end_the_rest(tmp_path, capsys) -> None:
    good, other = (write_reviews(tmp_path / f"{name}.csv", ROWS) for name in ("good", "other"))
    bad, judged = tmp_path / "bad.csv", tmp_path / "judged.csv"  # the smallest files, so the first ones
    bad.write_text("label,review\n0,太慢\n0,太慢了\n", encoding="utf-8")
    judged.write_text("label,review\n7,太慢\n", encoding="utf-8")
    to = ["--results", str(tmp_path / "results"), "--encoders", "none", "--seeds", "1"]
    assert main([str(bad), f"{other},{judged}", str(good), *to, "--contestants", "tfidf"]) == 1
    said = capsys.readouterr().out
    assert "1 of 3: bad, TF-IDF, from nothing, seed 1 failed: accel_cls ended with 2\n    no column looks" in said
    assert "good, TF-IDF, from nothing, seed 1: accuracy " in said
    assert "other, TF-IDF, from nothing failed: data.validation: the label '7' is not among 0, 1" in said


def test_what_is_not_here_is_skipped(tmp_path, capsys) -> None:
    assert main(["reviews", "--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "reviews skipped: ACCEL_CLS_REAL_DATA is not set" in said
    assert "e5 skipped: " in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.csv"], "there is no data set and no file 'nothing.csv'; expected reviews, news"),
        (["tickets", "--encoders", "bert"], "there is no encoder and no folder with a config.json 'bert'"),
        (["tickets", "--contestants", "svm"], "invalid choice: 'svm'"),
    ],
)
def test_a_wrong_command_line_measures_nothing(arguments, message, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_two_sets_of_one_name_are_refused(tmp_path, capsys) -> None:
    (tmp_path / "b").mkdir()
    files = [str(write_reviews(folder / "a.csv", ROWS)) for folder in (tmp_path, tmp_path / "b")]
    with pytest.raises(SystemExit):
        main(files)
    assert "two data sets are called a" in capsys.readouterr().err


def test_publishing_nothing_leaves_the_page(tmp_path, capsys) -> None:
    page = tmp_path / "quality.md"
    page.write_text("prose", encoding="utf-8")
    assert main(["--publish", "--page", str(page), "--results", str(tmp_path / "none")]) == 2
    assert page.read_text(encoding="utf-8") == "prose"
    assert "nothing is kept there" in capsys.readouterr().err


def toy(folder: Path, name: str = "toy", judged: bool = False, language: str | None = None) -> DataSet:
    path = folder / "toy.csv"
    path.write_text("x" * 1000, encoding="utf-8")
    return DataSet(name, "", path, path if judged else None, language)


ENCODER = Encoder("small", Path("/small"), "English")


def test_each_contestant_runs_where_it_means_something(tmp_path) -> None:
    def names(data: DataSet, *encoders: Encoder) -> list[tuple[str, str, int | None]]:
        jobs = all_jobs([data], encoders, [*CONTESTANTS], [0, 1])
        return sorted((job.contestant.name, job.encoder.name, -1 if job.seed is None else job.seed) for job in jobs)

    from_nothing = [("accel_cls", "none", 0), ("accel_cls", "none", 1), ("tfidf", "none", 0), ("tfidf", "none", 1)]
    assert names(toy(tmp_path, language="Chinese"), NONE, ENCODER) == from_nothing
    with_one = names(toy(tmp_path, judged=True, language="English"), ENCODER)
    drawn = [(name, "small", seed) for name in ("accel_cls", "quick", "trainer") for seed in (0, 1)]
    assert with_one == sorted([*drawn, ("frozen", "small", -1), ("tfidf", "none", -1)])


def test_the_cheapest_come_first_and_second_seeds_later(tmp_path) -> None:
    jobs = all_jobs([toy(tmp_path)], [NONE, ENCODER], ["trainer", "accel_cls", "tfidf"], [7, 8])
    assert jobs[0].contestant.name == "tfidf"
    for name in ("trainer", "accel_cls"):
        assert [job.seed for job in jobs if job.contestant.name == name and job.encoder == ENCODER] == [7, 8]
    assert jobs.index(next(job for job in jobs if job.seed == 8)) < len(jobs) - 2


MACHINE = {
    "date": "2030-01-01", "processor": "A CPU", "cores": 2, "flags": [], "memory_bytes": 2**34, "gpu": None,
    "python": "3.11", "versions": {"torch": "2"}, "commit": "abc",
}  # fmt: skip


def keep(
    folder: Path, contestant: str, seed: int | None, right: int, encoder: Encoder = ENCODER, name: str = "toy", **more
) -> None:
    """A result with so many of 100 rows right."""
    job = Job(toy(folder, name=name), encoder, CONTESTANTS[contestant.removesuffix("-balanced")], seed)
    said = {"rows": {"training": 5000, "judged": 100, "digest": "d"}, "judged_file": False, "last": None}
    said |= {"scores": {"accuracy": right / 100, "f1_macro": right / 100}, "machine": MACHINE, "recipe": None}
    said |= {"seconds": 90.0 if contestant == "accel_cls" else 50.0, "cpu_seconds": 9.0, "others_cores": 0.0}
    said |= more
    true = np.zeros(100, np.int64)
    Kept(folder / "results").add(job, contestant, said, true, np.where(np.arange(100) < right, 0, 1))


def kept_in(folder: Path):
    found = entries([*Kept(folder / "results").results()])
    return {entry.contestant: entry for entry in found}, found


def test_differences_are_paired_by_seed(tmp_path) -> None:
    for seed, right in enumerate([80, 84, 85]):
        keep(tmp_path, "accel_cls", seed, right)
    for seed, right in enumerate([79, 81]):  # the third one is still to come
        keep(tmp_path, "frozen", seed, right)
    keep(tmp_path, "tfidf", None, 70, NONE)
    by_name, found = kept_in(tmp_path)
    assert best_simple(by_name["accel_cls"], found) is by_name["frozen"]
    apart = difference(by_name["accel_cls"], by_name["frozen"])
    assert (apart.accuracy.mean, apart.single) == (pytest.approx(0.02), None)
    assert apart.accuracy.deviation == pytest.approx(0.01 * 2**0.5)
    assert difference(by_name["accel_cls"], by_name["tfidf"]).accuracy.mean == pytest.approx(0.13)


def test_a_single_seed_has_an_interval(tmp_path) -> None:
    keep(tmp_path, "accel_cls", 0, 80)
    keep(tmp_path, "tfidf", None, 70, NONE)
    by_name, _ = kept_in(tmp_path)
    apart = difference(by_name["accel_cls"], by_name["tfidf"])
    assert apart.accuracy.deviation is None
    assert apart.single is not None
    assert apart.single.low < 0.1 < apart.single.high
    assert apart.single.p == pytest.approx(chi2.sf(10, 1))  # McNemar, ten rows to none


def test_goals_stand_beside_what_was_reached(tmp_path) -> None:
    keep(tmp_path, "accel_cls", 0, 91, Encoder("e5", Path("/e5")), name="reviews")
    keep(tmp_path, "frozen", 0, 90, Encoder("e5", Path("/e5")), name="reviews")
    keep(tmp_path, "trainer", 0, 80, Encoder("e5", Path("/e5")), name="reviews")
    _, found = kept_in(tmp_path)
    assert [(one.goal, one.reached, one.is_met) for one in verdicts(found)] == [
        ("accuracy 0.915 or more", "0.9100", False),
        ("better than TF-IDF and the frozen encoder", "+1.0 points to frozen + LR", True),
        ("1.5 × the Trainer's time or less", "1.80 ×", False),
    ]


def test_uneven_sets_are_held_against_macro_f1(tmp_path) -> None:
    """By the simple contestant that is best by it, here another one than by accuracy."""
    scores = {"accel_cls": (90, 0.7), "tfidf": (92, 0.5), "tfidf-balanced": (88, 0.72)}
    for contestant, (right, macro) in scores.items():
        of_both = {"accuracy": right / 100, "f1_macro": macro}
        keep(tmp_path, contestant, 0, right, NONE, "news-uneven", scores=of_both)
    found = entries([*Kept(tmp_path / "results").results()])
    assert ("macro F1 as good as that of what is simple, or better", "-2.0 points to TF-IDF balanced", False) in [
        (one.goal, one.reached, one.is_met) for one in verdicts(found)
    ]
    assert "| -2.0 to TF-IDF balanced |" in tables([*Kept(tmp_path / "results").results()])


def test_uneven_sets_are_the_same_each_time_and_in_both_files(tmp_path) -> None:
    train, judged = tmp_path / "train.csv", tmp_path / "judged.txt"
    rows = [(f"text {i}", "abc"[i % 3]) for i in range(600)]
    train.write_text("topic,title\n" + "".join(f"{label},{text}\n" for text, label in rows), encoding="utf-8")
    judged.write_text("".join(f"{text}\t{label}\n" for text, label in rows[:300]), encoding="utf-8")
    first, again = (write_uneven([train, judged], ("title", "topic")) for _ in range(2))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    for path, sizes in zip(first, ([200, 45, 10], [100, 22, 5]), strict=True):  # 1, 20^-0.5, 1/20
        found = [tuple(row.split(",")) for row in path.read_text(encoding="utf-8").splitlines()[1:]]
        assert {*found} <= {*rows}
        assert len({*found}) == len(found)
        assert [sum(label == name for _, label in found) for name in "abc"] == sizes


def test_sets_of_few_examples_are_the_same_500_each_time(tmp_path, monkeypatch) -> None:
    (tmp_path / "data").mkdir()
    write_reviews(tmp_path / "data" / "food_reviews_10k.csv", 540)
    monkeypatch.setenv("ACCEL_CLS_REAL_DATA", str(tmp_path))
    few, again = (data_set("reviews-few") for _ in range(2))
    assert (few.name, few.about) == ("reviews-few", "takeaway reviews, good or bad, 500 of them to learn from")
    assert few.judged is not None
    assert [len(path.read_text(encoding="utf-8").splitlines()) for path in (few.train, few.judged)] == [501, 41]
    assert few.train.read_bytes() == again.train.read_bytes()


def test_seconds_are_held_against_the_trainers_on_the_same_kind_of_machine(tmp_path) -> None:
    other = MACHINE | {"processor": "Another CPU"}
    keep(tmp_path, "accel_cls", 0, 91, seconds=90.0, precision="bf16")
    keep(tmp_path, "accel_cls", 1, 91, seconds=10.0, machine=other)
    keep(tmp_path, "trainer", 0, 80, seconds=60.0, precision="fp32")
    by_name, _ = kept_in(tmp_path)
    assert times_as_long(by_name["accel_cls"], by_name["trainer"]) == 1.5
    shown = tables([*Kept(tmp_path / "results").results()])
    assert "| A abc bf16, B abc |" in shown
    keep(tmp_path, "trainer", 0, 80, machine=other | {"at_once": 5})
    by_name, _ = kept_in(tmp_path)
    assert times_as_long(by_name["accel_cls"], by_name["trainer"]) is None  # beside four others


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("  train it      accelerate launch --mixed_precision bf16 -m accel_cls.train a.yaml\n", "bf16"),
        ("  train it      accelerate launch -m accel_cls.train a.yaml\n", None),
    ],
)
def test_precision_is_that_of_the_command_that_new_tells(said: str, told: str | None) -> None:
    assert told_precision(said) == told
