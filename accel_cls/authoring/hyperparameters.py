"""What a first recipe says of the model and its training: by the model, the examples and the classes, and why."""

from __future__ import annotations

from typing import Any

import numpy as np

from accel_cls.authoring.labelling import Labelling
from accel_cls.authoring.survey import Survey
from accel_cls.evaluation.baselines import has_no_spaces

Lines = list[tuple[str, Any, str]]  # of a section: key, value, the reason as a comment

# A bag of n-grams has learned what it can in so many updates for each bit of a label: 9,600 reviews in 2 classes in
# 150 to 300, and more make it worse; 10,000 news titles in 10 classes in 400; 10,000 questions in 77 want 800. That is
# of updates of 128. Of updates of 32, which see less, it is twice as many: 1,920 messages in 6 classes have 0.840
# after 360 and 0.854 after 720 (five seeds).
_UPDATES_A_BIT = {128: 140, 32: 280}
_EPOCHS = (4, 20)  # at least, 1,600 reviews are not learned in 3; and at most
# Of fewer examples updates of 128 are too few: 1,600 reviews 0.8725 with them, 0.8755 with updates of 32.
_SMALL = 4000
# Of 160 pairs of short sentences such a model learns nothing (0.51 to 0.57 on 1,772 others, TF-IDF 0.59).
_FEW = 1000
_TOO_FEW = "examples are too few to learn a language from: name a pretrained encoder, with --model or model.name"
# A pretrained encoder learns from few examples, too. What 3,000 others are answered with, by the head alone and after
# 5 and 10 epochs of updates of 16 (docs/quality.md has more of these):
#   e5-small, 400 reviews in 2 classes 0.874, 0.884, 0.872; 400 news titles in 10 0.789, 0.809, 0.815
#   MiniLM, 400 messages in 2 classes 0.877, 0.935, 0.925; 400 sentences in 3 0.674, 0.733 after 4, 0.741 after 8
_FEW_FOR_ENCODER = 2000
_UPDATES_A_BIT_OF_ENCODER = 120
_EPOCHS_OF_FEW = (5, 10)
# Encoders that stand larger steps: numbers of a token, layers. And classes from which on an epoch more is trained.
_SMALL_ENCODER, _SHALLOW, _MANY_CLASSES = 512, 6, 20
# AdamW moves what few texts have as far as what many have. Classes are told apart by that; of numbers it learns each
# text's own. With this, divided by the texts of an update, in which a rare n-gram's gradient is that much smaller, it
# moves less. Mean absolute errors of ratings from -4 to 4, with 1e-5 and with this: of messages 0.756 and 0.700, of
# sentences on products 1.018 and 0.968, on films 1.138 and 1.124 (ridge regression on TF-IDF 0.739, 0.941, 1.144).
_EPSILON_OF_NUMBERS = 0.32
_AS_NUMBERS = 10  # classes, that take as many updates as numbers


def from_scratch(found: Survey, count: int, decisions: list[tuple[str, str]]) -> tuple[Lines, Lines]:
    """The sections `model` and `train` for a model learned from nothing; arguments as `pretrained` has them."""
    batch_size = 32 if count < _SMALL else 128
    updates = -(-count // batch_size)
    told = f"{len(found.counts)} classes" if found.has_classes else "numbers"
    wanted = round(_UPDATES_A_BIT[batch_size] * _bits(found))
    epochs = int(np.clip(round(wanted / updates), *_EPOCHS))
    longest = 3 if has_no_spaces(found.corpus.train) else 5
    decisions.append(
        (
            "model",
            f"a bag of n-grams of 1 to {longest} characters, learned from nothing in seconds; needs no download; "
            "--model takes a pretrained encoder",
        )
    )
    if count < _FEW:
        decisions.append(("few examples", f"{count:,} {_TOO_FEW}"))
    decisions.append(("epochs", f"{epochs} of {updates:,} updates of {batch_size} examples"))
    scratch = {"architecture": "ngrams", "longest_ngram": longest, "hidden": 64, "dropout": 0.4}
    model: Lines = [
        ("name", None, f"a hub id or a folder; {_suggestion(found.language)} null builds the model below"),
        ("scratch", scratch, f"{count:,} {_TOO_FEW}" if count < _FEW else ""),
    ]
    train: Lines = [
        ("epochs", epochs, f"{epochs * updates:,} updates; {told} want some {wanted:,}"),
        ("batch_size", batch_size, "examples per update, over all devices together"),
        ("micro_batch_tokens", 16_384, "characters that go through the model at once: it is small"),
        ("learning_rate", 4e-3, "for a bag of n-grams; a small Transformer wants 1e-3, a pretrained one 2e-5 to 5e-5"),
        ("adam_epsilon", *_epsilon(found, batch_size)),
        *([("label_smoothing", 0.05, "")] if found.has_classes else []),
        ("warmup", 0.1, ""),
    ]
    return model, train


def _epsilon(found: Survey, batch_size: int) -> tuple[float, str]:
    """AdamW's epsilon for a bag of n-grams, and why."""
    if found.has_classes:
        return 1e-5, "keeps rounding noise small at this rate"
    return _EPSILON_OF_NUMBERS / batch_size, "what few texts have moves less than what many have, or it fits each text"


def when_to_evaluate(is_frozen: bool, count: int, decisions: list[tuple[str, str]]) -> Lines:
    """What the section `evaluate` says of when; nothing where each epoch is judged.

    Of 128 pairs in 20 epochs, judged by 32: with the epoch that these 32 like best 0.546 of 1,772 others are right,
    with the last 0.601 (means of 8 seeds, whose standard deviations are 0.037 and 0.006).
    """
    if is_frozen or count >= _FEW:
        return []
    why = "so few validation examples can't tell one epoch from the next: the last weights are kept"
    decisions.append(("evaluation", f"at the end: {why}"))
    return [("every", "end", why)]


def pretrained(
    found: Survey, labelling: Labelling, count: int, name: str, quick: bool, decisions: list[tuple[str, str]]
) -> tuple[Lines, Lines, Lines]:
    """The sections `model`, `train` and `average` for a pretrained encoder.

    Args:
        found: the data, and the encoder.
        labelling: what is learned.
        count: examples to train on.
        name: the encoder, as the recipe names it.
        quick: whether the head alone is to be trained.
        decisions: takes what was decided, and why.
    """
    decisions.append(("model", f"{name}, {_size(found)}"))
    model: Lines = [("name", name, "a hub id or a folder")]
    if (why := _why_frozen(found, count, quick)) is not None:
        how = f"{why}; the head alone is trained: logistic regression on what the encoder makes of each text"
        decisions.append(("freeze", f"encoder: {how}"))
        return [*model, ("freeze", "encoder", f"{how}. Without this line all is trained")], [], []
    # Validation rows decide about it, by a point: of the 500 and less that fewer examples come with, that is chance.
    # And a quarter of the way back costs 0.6 points of 3,000 news titles, where 800 are learned.
    average = _averaging(decisions) if count >= _FEW_FOR_ENCODER else []
    return model, _fine_tuning(found, labelling, count, decisions), average


def _why_frozen(found: Survey, count: int, quick: bool) -> str | None:
    """Why an encoder is left as it is; None where it is not.

    Of 128 pairs of short sentences e5-small answers 0.670 of 1,772 others right with its head alone, after 5 and 10
    epochs 0.679 and 0.669; of 400 pairs of questions MiniLM 0.582 of 1,500, after these 0.584 and 0.593.
    """
    if quick:
        return "as you said"
    is_pair = "pair" in found.corpus.train.texts.column_names
    return f"{count:,} pairs are few to change an encoder by" if is_pair and count < _FEW else None


def _averaging(decisions: list[tuple[str, str]]) -> Lines:
    """What is averaged where the whole of an encoder is trained, from a head fitted to it."""
    why = "halfway back to where it began, where that is about as good: a fine-tuning loses some of what was known"
    decisions.append(("average", f"start auto: {why}"))
    return [("start", "auto", why)]


def _fine_tuning(found: Survey, labelling: Labelling, count: int, decisions: list[tuple[str, str]]) -> Lines:
    """How the whole of a pretrained encoder is trained."""
    batch_size = 16 if count < 20_000 else 32
    # One seed each, 10,000 questions in 77 classes and 9,600 reviews in 2: the former were still getting better.
    many = found.has_classes and len(found.counts) > _MANY_CLASSES
    epochs, why = _epochs_of_encoder(found, count, batch_size, many)
    is_single = labelling.task == "single_label"
    rate, size = _rate(found), _size(found)
    decisions.append(("learning rate", f"{rate:g}, for {size}; {epochs} epochs, {batch_size} examples an update"))
    return [
        ("epochs", epochs, why),
        ("batch_size", batch_size, "examples per update, over all devices together"),
        ("learning_rate", rate, f"for a pretrained encoder, {size}; or auto, which tries some"),
        ("head_init", "probe", "begins with a head that is fitted to the encoder as it is"),
        *([("label_smoothing", 0.1, "of so many classes some are close")] if is_single and many else []),
        ("warmup", 0.1, ""),
    ]


def _epochs_of_encoder(found: Survey, count: int, batch_size: int, many: bool) -> tuple[int, str]:
    """Passes over the examples, and why so many; one more for many classes."""
    if count >= _FEW_FOR_ENCODER:
        return 3 + many, f"{len(found.counts)} classes take one more than few do" if many else ""
    wanted = _UPDATES_A_BIT_OF_ENCODER * _bits(found)
    return int(np.clip(round(wanted / (count / batch_size)), *_EPOCHS_OF_FEW)) + many, "few examples take more"


def _bits(found: Survey) -> float:
    """Of a label: what is to be learned."""
    return float(np.log2(max(2, len(found.counts) if found.has_classes else _AS_NUMBERS)))


def _rate(found: Survey) -> float:
    """The learning rate of a pretrained encoder: the smaller and the shallower it is, the larger steps it stands.

    MiniLM (384 numbers, 6 layers) on banking77: 0.9370 at 1e-4, 0.9347 at 3e-5; e5-small (384, 12 layers) on the
    reviews: 0.8991 at 1e-4, 0.9049 at 5e-5 and fewer epochs. Both with one seed.
    """
    if found.hidden_size is None or found.hidden_size > _SMALL_ENCODER:
        return 2e-5
    return 1e-4 if (found.layers or _SHALLOW + 1) <= _SHALLOW else 5e-5


def _size(found: Survey) -> str:
    """Of an encoder, in words."""
    parts = [(found.hidden_size, "hidden size {}"), (found.layers, "{} layers")]
    return ", ".join(text.format(number) for number, text in parts if number is not None) or "of unknown size"


def _suggestion(language: str) -> str:
    if language.startswith("Chinese"):
        return "for Chinese bert-base-chinese;"
    if language.startswith("English"):
        return "for English bert-base-uncased;"
    return "for many languages xlm-roberta-base;"
