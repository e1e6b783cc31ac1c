"""Model folders, caches and run folders that were built to harm or do not fit: no code of theirs runs."""

from __future__ import annotations

import csv
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import command, train, write_recipe
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification

from accel_cls.atomic import from_cell, write_csv
from accel_cls.data.corpus import load_corpus
from accel_cls.data.reading import read_file
from accel_cls.data.texts import Texts
from accel_cls.errors import UserError
from accel_cls.inference.classifier import load_classifier
from accel_cls.models.classifier import load_model, outline_model
from accel_cls.predict import main as predict
from accel_cls.recipe import Recipe
from accel_cls.tasks import task_of
from accel_cls.tokenization import cache
from accel_cls.tokenization.encode import encode, encode_cached
from accel_cls.tokenization.tokenizer import load_tokenizer
from accel_cls.tokenization.vocabulary import learn_tokenizer

WORDS = ["good food", "bad food", "good taste", "bad taste"] * 2


class Payload:
    """Leaves a folder where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("HARMED",)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A small model folder in which all is right."""
    folder = tmp_path_factory.mktemp("sound") / "model"
    tokenizer = learn_tokenizer(Texts.of({"text": WORDS}), 100)
    tokenizer.model_max_length = 32
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=32,
        id2label={0: "bad", 1: "good"},
        label2id={"bad": 0, "good": 1},
    )
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def model(sound, tmp_path, monkeypatch) -> Path:
    """A copy of it to tamper with, in an empty current folder; at the end nothing has run code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACCEL_CLS_CACHE", str(tmp_path / "cache"))
    shutil.copytree(sound, "m")
    rows = "".join(f"{text},{text.split()[0]}\n" for text in WORDS)
    Path("a.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    yield Path("m")
    assert not list(Path().rglob("HARMED"))


def recipe_of(**data: Any) -> Recipe:
    values = {"train": "a.csv", "validation": "a.csv", "max_length": 16} | data
    return Recipe.model_validate({"name": "a", "output": "o", "data": values, "model": {"name": "m"}})


def answer() -> str | list[str]:
    """What a recipe's model gives: the reason why it is refused, or the notes."""
    recipe, notes = recipe_of(), []
    task = task_of(recipe)
    corpus = load_corpus(recipe, task)
    try:
        tokenizer = load_tokenizer(recipe, corpus.train)
        outline_model(recipe, tokenizer, corpus.classes, task.problem_type)
        loaded = load_model(recipe, tokenizer, corpus.classes, notes, task.problem_type)
    except UserError as error:
        return str(error)
    ids = torch.tensor([tokenizer("good food")["input_ids"]])
    assert loaded(input_ids=ids).logits.shape == (1, 2)
    return notes


def predicted() -> str | list[str]:
    """What classifying with that folder gives: the reason why not, or the classes."""
    try:
        return [
            prediction.label for prediction in load_classifier("m").predict(["good food", "", "\0 \ud800", "中😀"])
        ]
    except UserError as error:
        return str(error)


def change(name: str, **values: Any) -> Callable[[Path], None]:
    """Set keys of a JSON file."""

    def apply(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")

    return apply


def write(name: str, content: str | bytes) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return apply


def remove(*names: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return apply


def weights(edit: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        save_file(edit(load_file(path)), path, metadata={"format": "pt"})

    return apply


def pickled(content: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Weights in the old format, a pickle, instead of safetensors."""

    def apply(folder: Path) -> None:
        torch.save(content(folder), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()

    return apply


def raw_pickle(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Payload()))
    (folder / "model.safetensors").unlink()


def beside(folder: Path) -> None:
    """A pickle that nobody has asked for, beside safetensors."""
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pt", "x.pkl"):
        (folder / name).write_bytes(pickle.dumps(Payload()))


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


def halved(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = "bert.embeddings.word_embeddings.weight"
    return tensors | {name: tensors[name][:5].clone()}


def renamed(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"other.{name}": tensor for name, tensor in tensors.items()}


def not_a_number(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.full_like(tensor, float("nan")) for name, tensor in tensors.items()}


def three_classes(folder: Path) -> None:
    weights(lambda t: t | {"classifier.weight": torch.zeros(3, 8), "classifier.bias": torch.zeros(3)})(folder)


FOUR = [""] * 4  # the classes of four texts, whatever they are
KEPT = "the head of m is kept: its classes are these"
FRESH = "weights that m does not have start fresh: classifier.bias, classifier.weight"
HEADLESS = weights(lambda t: {name: tensor for name, tensor in t.items() if "classifier" not in name})
SAFETENSORS_OF_A_TERABYTE = (1 << 40).to_bytes(8, "little") + b"{}"

# name, what is done to the folder, what training says of it, what classifying says of it; a list: it is taken.
MODELS: list[tuple[str, Callable[[Path], Any], str | list[str], str | list[str]]] = [
    ("nothing", lambda m: None, [KEPT], FOUR),
    (
        "pickle with code only",
        raw_pickle,
        "can't be loaded: its weights are a pickle with code in it",
        "its weights are a pickle with code",
    ),
    (
        "pickle of torch with code",
        pickled(lambda m: {"x": Payload()}),
        "its weights are a pickle with code in it",
        "its weights are a pickle with code",
    ),
    ("pickle of tensors", pickled(lambda m: load_file(m / "model.safetensors")), [KEPT], FOUR),
    ("pickles beside safetensors", beside, [KEPT], FOUR),
    ("no weights", remove("model.safetensors"), "model.name: the model of the folder", "the model of the folder"),
    ("code for the configuration", lambda m: code(m, "AutoConfig"), [KEPT], FOUR),
    ("code for the model", lambda m: code(m, "AutoModelForSequenceClassification"), [KEPT], FOUR),
    (
        "code for a kind that is unknown",
        lambda m: all_code(m, model_type="evil"),
        "it needs code of its own, which is never run",
        "it needs code of its own, which is never run",
    ),
    ("code for a kind without a name", lambda m: all_code(m, model_type=None), "model.name: the ", "m: the "),
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
        "it needs code of its own",
        "it needs code of its own",
    ),
    ("kind that is unknown", change("config.json", model_type="evil"), "model.name: the ", "m: the "),
    (
        "template with code",
        change("tokenizer_config.json", chat_template="{{ ''.__class__.__mro__ }}"),
        [KEPT],
        FOUR,
    ),
    ("configuration that is no JSON", write("config.json", "{"), "model.name: the ", "m: the "),
    ("configuration that is a list", write("config.json", "[1]"), "model.name: the ", "m: the "),
    ("configuration nested deeply", write("config.json", '{"a":' * 100_000), "model.name: the ", "m: the "),
    ("configuration that is no UTF-8", write("config.json", b"\xff\xfe{"), "model.name: the ", "m: the "),
    ("hidden size below 0", change("config.json", hidden_size=-8), "model.name: the ", "m: the "),
    ("hidden size that is a text", change("config.json", hidden_size="x"), "model.name: the ", "m: the "),
    ("no heads", change("config.json", num_attention_heads=0), "model.name: the ", "m: the "),
    ("heads that do not divide", change("config.json", num_attention_heads=3), "model.name: the ", "m: the "),
    ("vocabulary of a trillion", change("config.json", vocab_size=10**12), "model.name: ", "m: the "),
    ("positions that are a text", change("config.json", max_position_embeddings="x"), "model.name: ", "m: "),
    (
        "too few positions",
        change("config.json", max_position_embeddings=4),
        "data.max_length: found 16; m takes at most 4",
        "m: ",
    ),
    (
        "activation with code",
        change("config.json", hidden_act="__import__('os').mkdir('HARMED')"),
        "model.name: the ",
        "m: the ",
    ),
    ("dropout above 1", change("config.json", hidden_dropout_prob=7.0), "model.name: the ", "m: the "),
    (
        "other number of classes",
        three_classes,
        ["the head of m is made anew: its weights are not for the 2 classes that its config.json names"],
        "m: the model of the folder",
    ),
    (
        "three classes named",
        change("config.json", id2label={"0": "a", "1": "b", "2": "c"}),
        ["the head of m is made anew: its classes are a, b, c, not bad, good"],
        "m: the model of the folder",
    ),
    (
        "class ids with a gap",
        change("config.json", id2label={"0": "a", "7": "b"}),
        ["the head of m is made anew: its classes are a, b, not bad, good"],
        "names the classes 0, 7; expected 0, 1, 2",
    ),
    ("class names with escapes", change("config.json", id2label={"0": "\x1b[31m", "1": "b"}), ["is made anew"], FOUR),
    (
        "without a head",
        HEADLESS,
        [FRESH],
        "no trained classifier, its weights lack classifier.bias, classifier.weight; train it first",
    ),
    (
        "weights of another model",
        weights(renamed),
        "the weights of m are those of another model",
        "no trained classifier",
    ),
    (
        "too small an embedding",
        weights(halved),
        "embeddings.word_embeddings.weight of m have the shape (5, 8), its config.json says",
        "m: the model",
    ),
    (
        "too small an embedding, as configured",
        lambda m: (weights(halved)(m), change("config.json", vocab_size=5)(m)),
        "m has 5 embeddings, but its tokenizer",
        "has 5 embeddings, but its tokenizer",
    ),
    ("weights that are no numbers", weights(not_a_number), [KEPT], "the model answers with what is no number"),
    (
        "weights cut in the middle",
        lambda m: os.truncate(m / "model.safetensors", 500),
        "model.name: the model of the folder 'm' can't be loaded",
        "can't be loaded",
    ),
    ("weights that are empty", write("model.safetensors", b""), "can't be loaded", "can't be loaded"),
    (
        "header of a terabyte",
        write("model.safetensors", SAFETENSORS_OF_A_TERABYTE),
        "can't be loaded",
        "can't be loaded",
    ),
    (
        "header nested deeply",
        write("model.safetensors", (100_000).to_bytes(8, "little") + b"[" * 100_000),
        "can't be loaded",
        "can't be loaded",
    ),
    (
        "weights that are a Git LFS pointer",
        write("model.safetensors", "version https://git-lfs.github.com/spec/v1\n"),
        "can't be loaded",
        "can't be loaded",
    ),
    (
        "index that leads out",
        lambda m: (
            remove("model.safetensors")(m),
            write(
                "model.safetensors.index.json",
                json.dumps({"metadata": {}, "weight_map": {"x": "../../../etc/passwd"}}),
            )(m),
        ),
        "can't be loaded",
        "can't be loaded",
    ),
    (
        "tokenizer that is no JSON",
        write("tokenizer.json", "{"),
        "model.name: the tokenizer of the folder 'm' can't be loaded",
        "the tokenizer of the folder",
    ),
    (
        "tokenizer nested deeply",
        write("tokenizer.json", "[" * 100_000),
        "the tokenizer of the folder",
        "the tokenizer of the folder",
    ),
    (
        "tokenizer of an unknown kind",
        vocabulary(lambda t: t["model"].update(type="Evil")),
        "the tokenizer of the folder",
        "the tokenizer of the folder",
    ),
    (
        "tokenizer with too many tokens",
        vocabulary(more_tokens),
        "embeddings, but its tokenizer",
        "embeddings, but its tokenizer",
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
        "the tokenizer of the folder 'm' can't be loaded: WordPiece error: Missing [UNK]",
        "the tokenizer of the folder 'm' can't be loaded: WordPiece error: Missing [UNK]",
    ),
    (
        "tokenizer that takes a text for a length",
        change("tokenizer_config.json", model_max_length="x"),
        "the tokenizer of m has a model_max_length of 'x'; expected a number",
        "model_max_length of 'x'",
    ),
    (
        "tokenizer without padding",
        change("tokenizer_config.json", pad_token=None),
        "has no padding token; choose an encoder",
        "has no padding token",
    ),
    (
        "no tokenizer",
        remove("tokenizer.json", "tokenizer_config.json"),
        "model.name: the tokenizer of ",
        "the tokenizer of ",
    ),
    (
        "folder in place of the weights",
        lambda m: (remove("model.safetensors")(m), (m / "model.safetensors").mkdir()),
        "can't be loaded",
        "can't be loaded",
    ),
    (
        "link to itself in place of the weights",
        lambda m: (remove("model.safetensors")(m), (m / "model.safetensors").symlink_to("model.safetensors")),
        "can't be loaded",
        "can't be loaded",
    ),
]


def _check(found: str | list[str], expected: str | list[str]) -> None:
    if isinstance(expected, list):
        assert isinstance(found, list), found
        assert len(found) == len(expected)
        assert all(part in note for part, note in zip(expected, found, strict=True)), found
    else:
        assert isinstance(found, str), found
        assert expected in found
        assert len(found) <= 600
        assert "trust_remote_code" not in found


@pytest.mark.parametrize(
    ("tamper", "trained", "classified"), [case[1:] for case in MODELS], ids=[case[0] for case in MODELS]
)
def test_model_folder(model, tamper, trained, classified):
    tamper(model)
    _check(answer(), trained)
    _check(predicted(), classified)


def test_payload_would_run_if_it_were_unpickled(tmp_path, monkeypatch):
    """Else a test that nothing has run would prove nothing."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Payload()))
    assert Path("HARMED").is_dir()


@pytest.mark.parametrize(
    "name", ["../m", "no/such", "a b", "https://example.org/m", "/dev/zero", "m\x1b[2J", "x" * 5000, "a.csv"]
)
def test_name_that_is_no_model(model, name):
    recipe = recipe_of().model_copy(update={"model": recipe_of().model.model_copy(update={"name": name})})
    task = task_of(recipe)
    corpus = load_corpus(recipe, task)
    with pytest.raises(UserError) as caught:
        load_tokenizer(recipe, corpus.train)
    assert "model.name: the tokenizer of the " in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000


# The cache of tokens and vocabularies: whoever can write there can write its checksums, too


def _manifest(entry: Path) -> None:
    (entry / "manifest.json").write_text(json.dumps(cache._digests(entry)), encoding="utf-8")


def tokens_file(name: str, content: np.ndarray | bytes) -> Callable[[Path], None]:
    def apply(entry: Path) -> None:
        (entry / name).write_bytes(content if isinstance(content, bytes) else content.tobytes())
        _manifest(entry)

    return apply


def _linked(entry: Path) -> None:
    (entry / "ids").unlink()
    (entry / "ids").symlink_to("/dev/zero")


def _piped(entry: Path) -> None:
    (entry / "ids").unlink()
    os.mkfifo(entry / "ids")


def _lacking(entry: Path) -> None:
    (entry / "offsets").unlink()
    _manifest(entry)


ENTRIES: list[tuple[str, Callable[[Path], Any]]] = [
    ("ids that do not exist", tokens_file("ids", np.full(1000, 2**31 - 1, np.int32))),
    ("ids below 0", lambda e: tokens_file("ids", -np.fromfile(e / "ids", np.int32))(e)),
    (
        "offsets that fall",
        lambda e: tokens_file("offsets", np.fromfile(e / "offsets", np.int64)[[0, 2, 1, 3, 4, 5, 6, 7, 8]])(e),
    ),
    ("offsets beyond the end", lambda e: tokens_file("offsets", np.fromfile(e / "offsets", np.int64) * 10**12)(e)),
    ("too few offsets", lambda e: tokens_file("offsets", np.fromfile(e / "offsets", np.int64)[:-1])(e)),
    ("half a number", tokens_file("ids", b"abc")),
    ("types for other tokens", tokens_file("types", b"\0")),
    ("pickle", tokens_file("ids", pickle.dumps(Payload()))),
    ("count that is none", tokens_file("truncated", b"-x")),
    ("file that is missing", _lacking),
    ("link to a device", _linked),
    ("pipe", _piped),
    ("manifest nested deeply", lambda e: (e / "manifest.json").write_text("[" * 100_000, encoding="utf-8")),
    ("manifest that is no UTF-8", lambda e: (e / "manifest.json").write_bytes(b"\xff")),
    ("folder more", lambda e: (e / "more").mkdir()),
]


@pytest.mark.parametrize("tamper", [case[1] for case in ENTRIES], ids=[case[0] for case in ENTRIES])
def test_entry_of_tokens_is_made_anew(model, tamper):
    tokenizer = learn_tokenizer(Texts.of({"text": WORDS}), 100)
    texts = Texts.of({"text": WORDS})
    first = encode_cached(tokenizer, texts, 16, [])
    expected = first.ids.tolist()
    (entry,) = Path("cache/tokens").glob("[0-9a-f]*")
    tamper(entry)
    notes: list[str] = []
    for from_cache in (False, True):
        again = encode_cached(tokenizer, texts, 16, notes)
        assert (again.ids.tolist(), again.from_cache, notes) == (expected, from_cache, [])
    assert expected == encode(tokenizer, texts, 16).ids.tolist()


@pytest.mark.parametrize("content", ["[", "{}", "[1, 2]", "[" * 100_000, '["[PAD]"]', json.dumps(["a"] * 50)])
def test_entry_of_a_vocabulary_is_made_anew(model, content):
    texts = Texts.of({"text": WORDS})
    expected = learn_tokenizer(texts, 100, []).get_vocab()
    (entry,) = Path("cache/vocabularies").glob("[0-9a-f]*")
    (entry / "entries.json").write_text(content, encoding="utf-8")
    _manifest(entry)
    assert learn_tokenizer(texts, 100, []).get_vocab() == expected


# What is written


HARD = [
    "=cmd|' /C calc'!A0", "@SUM(1)", "a\rb", "a\r\nb", "a\nb", 'say "hi"', "a,b;c\td", "\0", "\x1b[31mred\x1b[0m",
    "مرحبا\u202e", "e\u0301", "😀👩‍👩‍👧", "\U00020000\U0010fffd", "  spaces  ", "<b>|x|</b>", "x" * 200_000,
]  # fmt: skip


def test_csv_holds_any_text(tmp_path):
    write_csv(tmp_path / "p.csv", ["text", "p"], iter([[text, 1] for text in HARD]))
    with open(tmp_path / "p.csv", encoding="utf-8-sig", newline="") as file:
        csv.field_size_limit(1 << 30)
        assert [from_cell(row["text"]) for row in csv.DictReader(file)] == HARD


CLASSES = ["=1+1", "a|b\nc", "\x1b[31mred"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a run of these texts and classes."""
    folder = tmp_path_factory.mktemp("trained")
    records = [{"text": text, "label": CLASSES[i % 3]} for i, text in enumerate(HARD * 2)]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "a.jsonl").write_text(lines, encoding="utf-8")
    write_recipe(folder, data="{train: a.jsonl, validation: a.jsonl, max_length: 32}")
    done = train(folder, "train.epochs=1")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return folder


def test_trained_predictions_hold_texts_and_classes_unchanged(trained):
    csv.field_size_limit(1 << 30)
    with open(trained / "run" / "predictions.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [from_cell(row["text"]) for row in rows] == HARD * 2
    assert [from_cell(row["label"]) for row in rows] == [CLASSES[i % 3] for i in range(len(rows))]
    report = (trained / "run" / "report.md").read_text(encoding="utf-8")
    assert "| a\\|b c |" in report


def test_classified_file_holds_texts_unchanged(trained):
    done = command("python", "-m", "accel_cls.predict", "run", "--file", "a.jsonl", "--out", "o.csv", cwd=trained)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    csv.field_size_limit(1 << 30)
    with open(trained / "o.csv", encoding="utf-8-sig", newline="") as file:
        assert [from_cell(row["text"]) for row in csv.DictReader(file)] == HARD * 2


def test_tab_separated_output_is_read_back_unchanged(model):
    texts = ['"open', "=1+1", 'say ""hi""', "\x1b[31m"]
    Path("b.tsv").write_text("text\n" + "\n".join(texts) + "\n", encoding="utf-8")
    assert predict(["m", "--file", "b.tsv", "--out", "o.tsv"]) == 0
    assert read_file(Path("o.tsv"), ["text"], None, None, [])["text"] == texts


def test_text_that_no_tab_separated_file_holds_is_refused(model, capsys):
    Path("b.jsonl").write_text('{"text": "a"}\n{"text": "b\\tc"}\n', encoding="utf-8")
    assert predict(["m", "--file", "b.jsonl", "--out", "o.tsv"]) == 2
    assert "--out o.tsv: text 2 holds a tab or a line end" in capsys.readouterr().err
    assert not Path("o.tsv").exists()


def test_text_and_class_are_shown_without_their_controls(model, capsys):
    change("config.json", id2label={"0": "\x1b[31mred", "1": "\u202egreen"})(model)
    assert predict(["m", "--text", "\x1b[2Ja", "--text", "b\udcff"]) == 0
    said = capsys.readouterr().out
    assert r"\x1b[2Ja" in said
    assert "b\ufffd" in said
    assert not {"\x1b", "\u202e"} & set(said)


def test_error_of_the_command_line_shows_no_controls_and_no_traceback(tmp_path):
    (tmp_path / "a\x1b[2J.csv").write_text("text,label\na,x\n,y\n", encoding="utf-8")
    write_recipe(tmp_path, data='{train: "*.csv"}')
    done = train(tmp_path)
    assert done.returncode == 2
    assert r"the text is empty in 1 row: a\x1b[2J.csv:2" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
