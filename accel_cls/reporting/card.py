"""The card of a run's model: model/README.md, as the Hugging Face hub reads and shows it.

It holds no time and no speed: two runs of one recipe leave the same bytes. What nobody has said, such as a licence, is
left out, not guessed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from accel_cls.errors import printable, shown
from accel_cls.recipe import Hub, Recipe
from accel_cls.recipe.places import is_hub_id
from accel_cls.reporting.facts import Facts
from accel_cls.reporting.long_texts import what_is_read, what_truncation_does
from accel_cls.reporting.markdown import describe_choice, describe_score, table, verdict_of
from accel_cls.reporting.pretraining import describe_pretraining
from accel_cls.reporting.refit import describe_refit, is_refitted
from accel_cls.reporting.teacher import describe_flattery

_MOST_CLASSES = 100  # that are listed
_LETTER = re.compile(r"[^\W\d_]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA = re.compile("[\u3040-\u30ff]")
_SURELY = 0.8  # of a sample's letters


def model_card(facts: Facts) -> str:
    """YAML for the hub, then what the model does, how to use it, of what data it is, how good, and its limits."""
    front = yaml.safe_dump(_front(facts), allow_unicode=True, sort_keys=False)
    return f"---\n{front}---\n\n{_body(facts)}"


def _front(facts: Facts) -> dict[str, Any]:
    recipe, results = facts.recipe, facts.results
    # The validation scores of a refit are of the model before.
    parts = [] if is_refitted(results) else [("validation", results["scores"])]
    if results.get("test"):
        parts.insert(0, ("test", results["test"]["scores"]))
    front: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["accel_cls", results["task"]],
    }
    if language := _language(facts):
        front["language"] = [language]
    if recipe.model.name is not None and is_hub_id(recipe.model.name):  # a folder may be called like another's model
        front["base_model"] = recipe.model.name
    if hub := _hub_data(recipe):
        front["datasets"] = [hub]
    front["metrics"] = [name for name in results["scores"] if name != "loss"]
    entries = [_entry(recipe, part, scores) for part, scores in parts]
    front["model-index"] = [{"name": recipe.name, "results": entries}]
    return front


def _entry(recipe: Recipe, part: str, scores: dict[str, float | None]) -> dict[str, Any]:
    """One of the results in the hub's model-index."""
    return {
        "task": {"type": "text-classification", "name": "Text Classification"},
        "dataset": {"name": _data_name(recipe), "type": _hub_data(recipe) or "custom", "split": part},
        "metrics": [
            {"type": name, "value": round(value, 6), "name": f"{part} {name}"}
            for name, value in scores.items()
            if value is not None
        ],
    }


def _hub_data(recipe: Recipe) -> str | None:
    """The hub id of the data set; None where it is no such one."""
    train = recipe.data.train
    return train.hub if isinstance(train, Hub) and is_hub_id(train.hub) else None


def _data_name(recipe: Recipe) -> str:
    """The data as others may know them: no folder of whoever has trained."""
    train = recipe.data.train
    if hub := _hub_data(recipe):
        return hub
    files = [train.hub] if isinstance(train, Hub) else [train] if isinstance(train, str) else train
    return ", ".join(Path(file).name for file in files)


def _language(facts: Facts) -> str | None:
    """Chinese where nearly all letters are; any other language is not told by its script."""
    texts = facts.validation.examples.texts["text"][:1000]
    sample = "".join(text[:200] for text in texts)
    letters = len(_LETTER.findall(sample))
    return "zh" if letters and not _KANA.search(sample) and len(_HAN.findall(sample)) > _SURELY * letters else None


def _plain(text: str) -> str:
    """A name as Markdown shows it, whatever it holds."""
    return re.sub(r"([\\`*_<>|\[\]#])", r"\\\1", " ".join(printable(text).split()))


def _body(facts: Facts) -> str:
    recipe, results = facts.recipe, facts.results
    text = f"# {_plain(recipe.name)}\n\n{_what_it_does(facts)}\n\n## How to use it\n\n{_use(facts)}\n\n"
    text += f"## Data\n\n{_data(facts)}\n\n## Scores\n\n{_scores(results)}\n\n## Limits\n\n"
    return text + "".join(f"- {sentence}\n" for sentence in _limits(facts))


def _what_it_does(facts: Facts) -> str:
    names = [_plain(shown(name)) for name in facts.names]
    more = f" and {len(names) - _MOST_CLASSES} more" if len(names) > _MOST_CLASSES else ""
    listed = ", ".join(names[:_MOST_CLASSES]) + more
    columns = facts.recipe.data.text
    of = "a text" if isinstance(columns, str) else "a pair of texts"
    name = facts.recipe.model.name
    base = "built from its recipe and learned from nothing" if name is None else f"fine-tuned from {_base(name)}"
    what = f"one or more of {len(names)} classes" if _has_several(facts) else f"{len(names)} classes"
    does = f"Classifies {of}: {what}, {listed}." if names else f"Gives {of} a number."
    distill = facts.recipe.distill
    taught = "" if distill is None else f", taught by {_base(_run_name(distill.teacher))}"
    before = "" if (told := describe_pretraining(facts.results)) is None else f" {_plain(told)}."
    return f"{does} {base[:1].upper()}{base[1:]}{taught}.{before}"


def _run_name(folder: str) -> str:
    """A run's folder, of a path to its model perhaps."""
    path = Path(folder)
    return str(path.parent if path.name == "model" else path)


def _has_several(facts: Facts) -> bool:
    """Whether a text may have several classes, by the word that tells `pipeline` so."""
    return facts.task.problem_type == "multi_label_classification"


def _base(name: str) -> str:
    """A hub id, or the last part of a folder's path."""
    return _plain(name if is_hub_id(name) else Path(name).name)


def _use(facts: Facts) -> str:
    several = ", top_k=None" if _has_several(facts) else ""
    asked = '"a text"' if isinstance(facts.recipe.data.text, str) else '{"text": "one", "text_pair": "the other"}'
    return (
        "```python\nfrom transformers import pipeline\n\n"
        f'classify = pipeline("text-classification", model="FOLDER"{several})\n'
        f"classify({asked}, truncation=True)\n```\n\n" + what_truncation_does(facts.recipe.data)
    )


def _data(facts: Facts) -> str:
    rows, data = facts.results["rows"], facts.recipe.data
    columns = [data.text] if isinstance(data.text, str) else list(data.text)
    labels = [data.label] if isinstance(data.label, str) else list(data.label)
    parts = ", ".join(f"{rows[part]:,} for {part}" for part in ("training", "validation", "test") if part in rows)
    read = f"text {' and '.join(map(_plain, columns))}, label {', '.join(map(_plain, labels[:5]))}"
    return f"{_plain(_data_name(facts.recipe))} ({read}): {parts} examples."


def _scores(results: dict[str, Any]) -> str:
    test, metrics = results.get("test"), list(results["scores"])

    def cells(judged: dict[str, Any]) -> list[str]:
        return [describe_score(name, judged) for name in metrics]

    rows = [["test", *cells(test)]] if test else []
    text = table(["", *metrics], [*rows, ["validation", *cells(results)]])
    of_test = "Nothing was chosen by the test rows." if test else "There were no test rows."
    said = f"\n{describe_choice(results)} {of_test}"
    verdict, refit = verdict_of(results), describe_refit(results) or ""
    return f"{text}{said} {verdict[:1].upper()}{verdict[1:]}." + (f" {_plain(refit)}." if refit else "")


def _limits(facts: Facts) -> list[str]:
    results = facts.results
    sentences = [
        "The scores are of texts like those it has learned from; of others nothing is known.",
        what_is_read(facts.recipe.data),
    ]
    sentences += [f"{said[:1].upper()}{said[1:]}." for said in describe_flattery(results.get("teacher"))]
    weak = [one["name"] for one in results.get("classes", ()) if one["examples"] and not one["predicted"]]
    if weak:
        sentences.append(f"Never predicted: {', '.join(_plain(shown(name)) for name in weak[:_MOST_CLASSES])}.")
    return sentences
