"""Model folders whose configuration, code or tokenizer is hostile or does not fit; names of no model. No code runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_models import (
    FOUR,
    KEPT,
    MISMATCHED,
    Cases,
    answer,
    change,
    check,
    predicted,
    recipe_of,
    refused,
    remove,
    weights,
    write,
)
from hostile_models import model as model
from hostile_models import sound as sound

from accel_cls.data.loading import load_corpus
from accel_cls.errors import UserError
from accel_cls.tasks import task_of
from accel_cls.tokenization.tokenizer import load_tokenizer


def code(folder: Path, kind: str, name: str = "config.json", **values: Any) -> None:
    (folder / "evil.py").write_text("import os\nos.mkdir('HARMED')\n", encoding="utf-8")
    change(name, auto_map={kind: "evil.Evil"}, **values)(folder)


def all_code(folder: Path, **values: Any) -> None:
    (folder / "evil.py").write_text("import os\nos.mkdir('HARMED')\n", encoding="utf-8")
    kinds = ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification")
    change("config.json", auto_map=dict.fromkeys(kinds, "evil.Evil"), **values)(folder)


def vocabulary(edit: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "tokenizer.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        edit(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    return apply


def more_tokens(content: dict[str, Any]) -> None:
    vocab = content["model"]["vocab"]
    vocab.update({f"extra{i}": len(vocab) + i for i in range(50)})


def gap(content: dict[str, Any]) -> None:
    content["model"]["vocab"]["good"] = 1_000_000


def without_unknown(content: dict[str, Any]) -> None:
    content["model"]["vocab"].pop("[UNK]")
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != "[UNK]"]


def one_output(folder: Path, **values: Any) -> None:
    """What a cross-encoder or a regression saves."""
    change("config.json", id2label={"0": "score"}, label2id={"score": 0}, **values)(folder)
    weights(lambda t: t | {name: t[name][:1].clone() for name in ("classifier.weight", "classifier.bias")})(folder)


NEEDS_CODE = refused("model", "it needs code of its own, which is never run")
NO_WORDS = "the tokenizer of m knows no words; are its files, tokenizer.json, missing?"

CONFIGURATIONS: Cases = [
    ("nothing", lambda m: None, [KEPT], FOUR),
    ("code for the configuration", lambda m: code(m, "AutoConfig"), [KEPT], FOUR),
    ("code for the model", lambda m: code(m, "AutoModelForSequenceClassification"), [KEPT], FOUR),
    ("code for a kind that is unknown", lambda m: all_code(m, model_type="evil"), *NEEDS_CODE),
    ("code for a kind without a name", lambda m: all_code(m, model_type=None), *NEEDS_CODE),
    ("code for the tokenizer", lambda m: code(m, "AutoTokenizer", "tokenizer_config.json"), [KEPT], FOUR),
    (
        "code for a tokenizer that is unknown",
        lambda m: code(m, "AutoTokenizer", "tokenizer_config.json", tokenizer_class="Evil"),
        [KEPT],
        FOUR,
    ),
    (
        "code from elsewhere",
        lambda m: change("config.json", model_type="evil", auto_map={"AutoConfig": "who/what--evil.Evil"})(m),
        *NEEDS_CODE,
    ),
    (
        "kind that is unknown",
        change("config.json", model_type="evil"),
        *refused("model", "model type `evil` but Transformers does not recognize this architecture"),
    ),
    (
        "template with code",
        change("tokenizer_config.json", chat_template="{{ ''.__class__.__mro__ }}"),
        [KEPT],
        FOUR,
    ),
    (
        "configuration that is no JSON",
        write("config.json", "{"),
        *refused("tokenizer", "'m/config.json' is not a valid JSON file"),
    ),
    (
        "configuration that is a list",
        write("config.json", "[1]"),
        *refused("tokenizer", "must be a mapping, not list"),
    ),
    (
        "configuration nested deeply",
        write("config.json", '{"a":' * 100_000),
        *refused("tokenizer", "while decoding a JSON object"),
    ),
    (
        "configuration that is no UTF-8",
        write("config.json", b"\xff\xfe{"),
        *refused("tokenizer", "'m/config.json' is not a valid JSON file"),
    ),
    ("hidden size below 0", change("config.json", hidden_size=-8), *refused("model", "negative dimension -8")),
    (
        "hidden size that is a text",
        change("config.json", hidden_size="x"),
        *refused("tokenizer", "'hidden_size' expected int, got str (value: 'x')"),
    ),
    (
        "no heads",
        change("config.json", num_attention_heads=0),
        *refused("model", "its files make none (ZeroDivisionError: integer modulo by zero)"),
    ),
    (
        "heads that do not divide",
        change("config.json", num_attention_heads=3),
        *refused("model", "hidden size (8) is not a multiple of the number of attention heads (3)"),
    ),
    (
        "vocabulary of a trillion",
        change("config.json", vocab_size=10**12),
        refused("model", "can't allocate memory")[0],
        MISMATCHED,
    ),
    (
        "positions that are a text",
        change("config.json", max_position_embeddings="x"),
        *refused("tokenizer", "'max_position_embeddings' expected int, got str (value: 'x')"),
    ),
    (
        "too few positions",
        change("config.json", max_position_embeddings=4),
        "data.max_length: found 16; m takes at most 4",
        MISMATCHED,
    ),
    (
        "activation with code",
        change("config.json", hidden_act="__import__('os').mkdir('HARMED')"),
        *refused("model", "__import__('os').mkdir('HARMED')"),
    ),
    (
        "dropout above 1",
        change("config.json", hidden_dropout_prob=7.0),
        *refused("model", "dropout probability has to be between 0 and 1, but got 7.0"),
    ),
    (
        "three classes named",
        change("config.json", id2label={"0": "a", "1": "b", "2": "c"}),
        ["the head of m is made anew: its classes are a, b, c, not bad, good"],
        MISMATCHED,
    ),
    (
        "class ids with a gap",
        change("config.json", id2label={"0": "a", "7": "b"}),
        ["the head of m is made anew: its classes are a, b, not bad, good"],
        "names the classes 0, 7; expected 0, 1, 2",
    ),
    *[
        (f"{key} of {value!r}", change("config.json", **{key: value}), [f"{told or key} of m is not used", KEPT], FOUR)
        for key, value, told in (
            ("output_attentions", True, None),
            ("output_hidden_states", True, None),
            ("output_router_logits", True, None),
            ("return_dict", False, None),
            ("torchscript", True, None),
            ("chunk_size_feed_forward", 4, None),
            ("gradient_checkpointing", True, None),
            ("attn_implementation", "flash_attention_2", None),
            ("_attn_implementation", "no such", "attn_implementation"),
        )
    ],
    (
        "several settings that change nothing here",
        change("config.json", return_dict=False, output_attentions=True),
        ["output_attentions, return_dict of m are not used", KEPT],
        FOUR,
    ),
    *[
        (
            f"quantized by {method}",
            change("config.json", quantization_config={"quant_method": method, "load_in_8bit": True}),
            f"model.name: the config.json of m has a quantization_config ({method})",
            f"m: the config.json of m has a quantization_config ({method})",
        )
        for method in ("bitsandbytes", "no such")
    ],
    ("no quantization", change("config.json", quantization_config=None), [KEPT], FOUR),
    (
        "a score in place of classes",
        lambda m: one_output(m, problem_type=None),
        ["the head of m is made anew: it was trained for regression"],
        "m: the model has one output, 'score', which is a score and no choice among classes; expected two",
    ),
    (
        "two numbers a text",
        change("config.json", problem_type="regression"),
        ["the head of m is made anew: it was trained for regression"],
        "m: its config.json has the problem_type 'regression' and 2 outputs; expected classes, or regression with one",
    ),
    (
        "one class that is there or not",
        lambda m: one_output(m, problem_type="multi_label_classification"),
        ["the head of m is made anew: it was trained for multi_label_classification"],
        ["score"] * 4,
    ),
    ("class names with escapes", change("config.json", id2label={"0": "\x1b[31m", "1": "b"}), ["is made anew"], FOUR),
]

TOKENIZERS: Cases = [
    (
        "tokenizer that is no JSON",
        write("tokenizer.json", "{"),
        *refused("tokenizer", "Expecting property name enclosed in double quotes"),
    ),
    (
        "tokenizer nested deeply",
        write("tokenizer.json", "[" * 100_000),
        *refused("tokenizer", "while decoding a JSON array"),
    ),
    (
        "tokenizer of an unknown kind",
        vocabulary(lambda t: t["model"].update(type="Evil")),
        *refused("tokenizer", "data did not match any variant"),
    ),
    (
        "tokenizer with too many tokens",
        vocabulary(more_tokens),
        "m has 19 embeddings, but its tokenizer 69 tokens",
        "m has 19 embeddings, but its tokenizer 69 tokens",
    ),
    (
        "tokenizer whose ids have a gap",
        vocabulary(gap),
        "but its tokenizer 1000001 tokens",
        "but its tokenizer 1000001 tokens",
    ),
    (
        "tokenizer without the unknown",
        vocabulary(without_unknown),
        *refused("tokenizer", "WordPiece error: Missing [UNK]"),
    ),
    (
        "tokenizer that takes a text for a length",
        change("tokenizer_config.json", model_max_length="x"),
        "the tokenizer of m has a model_max_length of 'x'; expected a number",
        "model_max_length of 'x'; expected a number",
    ),
    (
        "no tokenizer",
        remove("tokenizer.json", "tokenizer_config.json"),
        f"model.name: {NO_WORDS}",
        f"m: {NO_WORDS}",
    ),
]
MODELS = CONFIGURATIONS + TOKENIZERS


@pytest.mark.parametrize(
    ("tamper", "trained", "classified"), [case[1:] for case in MODELS], ids=[case[0] for case in MODELS]
)
def test_model_folder(model, tamper, trained, classified):
    tamper(model)
    check(answer(), trained)
    check(predicted(), classified)


# What is no name of a model, and why not.
NAMES = {
    "../m": "Repo id must use alphanumeric chars",
    "no/such": "HF_HUB_OFFLINE is set, and it is not in the cache of this machine",
    "a b": "Repo id must use alphanumeric chars",
    "https://example.org/m": "Repo id must be in the form",
    "/dev/zero": "Repo id must be in the form",
    "m\x1b[2J": "Repo id must use alphanumeric chars",
    "x" * 5000: "Repo id must use alphanumeric chars",
    "a.csv": "'a.csv' is not a valid JSON file",
}


@pytest.mark.parametrize("name", NAMES)
def test_name_that_is_no_model(model, name):
    recipe = recipe_of().model_copy(update={"model": recipe_of().model.model_copy(update={"name": name})})
    task = task_of(recipe)
    corpus = load_corpus(recipe, task)
    with pytest.raises(UserError) as caught:
        load_tokenizer(recipe, corpus.train)
    assert "model.name: the tokenizer of the " in str(caught.value)
    assert NAMES[name] in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000
