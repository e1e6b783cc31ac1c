"""The recipe: every key, its type, default, range and meaning. The only source of truth for all of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from accel_cls.recipe.data_section import Data
from accel_cls.recipe.decide_section import Decide
from accel_cls.recipe.metrics import DISTANCE_METRICS, METRICS, Metric, Task
from accel_cls.recipe.section import Section, setting
from accel_cls.recipe.trackers import TRACKERS, Tracker

# How the strings under these keys become paths: "input" is relative to the recipe that says it (on the
# command line: to the current folder), "output" always to the current folder, and "input or name" is an
# input path only where such a file or folder exists, where the folder exists that it would lie in (models/x), or where
# it is written like a path (./x, ../x, /x, ~/x, models\x).
PATHS: dict[tuple[str, ...], Literal["input", "output", "input or name"]] = {
    ("output",): "output",
    ("hardware",): "input or name",
    ("data", "train"): "input",
    ("data", "validation"): "input",
    ("data", "test"): "input",
    ("data", "train", "hub"): "input or name",
    ("data", "validation", "hub"): "input or name",
    ("data", "test", "hub"): "input or name",
    ("model", "name"): "input or name",
}

DROPOUT = "at 1 nothing gets through"
DEFAULT_RATE = 2e-5  # of train.learning_rate


class Scratch(Section):
    """The model that is built when `model.name` is null; its vocabulary is learned from the texts.

    layers and heads are for a bert; longest_ngram and ngrams are for ngrams.
    """

    architecture: Literal["bert", "ngrams"] = setting(
        "bert",
        "'bert' or 'ngrams'",
        "'bert' is a Transformer; 'ngrams' adds up the embeddings of a text's character n-grams, weighted by how rare "
        "they are, which trains in seconds and was the better one of 10,000 short texts",
    )
    layers: int = setting(
        2,
        "a whole number, 1 or more",
        "transformer layers",
        "an encoder without layers learns no order of words",
        ge=1,
    )
    hidden: int = setting(
        128,
        "a whole number, 8 or more",
        "hidden size; a multiple of `heads`; of ngrams, numbers of an n-gram's embedding",
        "fewer numbers can't tell words apart",
        ge=8,
    )
    heads: int = setting(2, "a whole number, 1 or more", "attention heads", "without one no word sees another", ge=1)
    vocabulary: int = setting(
        5000,
        "a whole number, 100 or more",
        "most entries of the learned vocabulary; of ngrams, characters",
        "the letters and signs of one script take that many",
        ge=100,
    )
    longest_ngram: int = setting(
        3,
        "a whole number from 1 to 8",
        "characters of the longest n-grams: 3 where the script has no spaces, as Chinese, 5 where it has",
        "longer ones hardly ever stand in two texts",
        ge=1,
        le=8,
    )
    ngrams: int = setting(
        65_536,
        "a whole number, 1 or more",
        "most n-grams, those that most of the training texts have; each is in two texts or more",
        "without one a text is nothing",
        ge=1,
    )
    dropout: float = setting(
        0.1,
        "a number from 0 up to, not including, 1",
        "all dropout rates, unless model.dropout is set",
        DROPOUT,
        ge=0,
        lt=1,
    )


class Model(Section):
    """What is trained."""

    name: str | None = setting(
        None, "a hub id or a folder", "a pretrained encoder; null builds the one under `scratch`"
    )
    scratch: Scratch | None = setting(
        None,
        "a mapping of architecture, layers, hidden, heads, vocabulary, longest_ngram, ngrams, dropout",
        "used only where `name` is null",
    )
    pooling: Literal["auto", "first", "mean", "max", "attention"] = setting(
        "auto",
        "'auto', 'first', 'mean', 'max' or 'attention'",
        "which vector of a text the head reads: its first token's, the mean or the greatest of all tokens', or a mean "
        "whose weights are learned; 'auto' takes what sentence-transformers' files beside the model say, else the "
        "family's habit",
    )
    freeze: Literal["encoder"] | None = setting(
        None,
        "null or 'encoder'",
        "'encoder' trains the head alone, in seconds: logistic regression on what the encoder makes of each text, "
        "which is computed once and kept",
    )
    dropout: float | None = setting(
        None,
        "a number from 0 up to, not including, 1",
        "all the model's dropout rates; null keeps the model's own (from scratch: scratch.dropout)",
        DROPOUT,
        ge=0,
        lt=1,
    )


class Train(Section):
    """How it is trained."""

    epochs: int = setting(
        3, "a whole number, 1 or more", "passes over the training examples", "with none, nothing is learned", ge=1
    )
    max_updates: int | None = setting(
        None,
        "a whole number, 1 or more",
        "stop after so many updates, the schedule unchanged: for trials and measurements",
        "with none, nothing is learned",
        ge=1,
    )
    batch_size: int = setting(
        32,
        "a whole number, 1 or more",
        "examples per update, over all devices together",
        "an update needs an example",
        ge=1,
    )
    micro_batch_tokens: Literal["auto"] | Annotated[int, Field(ge=8)] = setting(
        4096,
        "a whole number of tokens, data.max_length or more, or 'auto'",
        "the most tokens, padding included, that go through the model at once on one device; "
        "bounds memory, never changes what is learned but for dropout's draws. "
        "'auto' takes the most that fits where the run begins",
        "the longest text must fit",
    )
    packing: bool = setting(
        True,
        "true or false",
        "whether the texts of a micro-batch lie in one row, without padding, where the model's family allows it; "
        "changes nothing that is learned but for rounding and dropout's draws",
        "",
    )
    kernels: Literal["fast", "plain"] = setting(
        "fast",
        "'fast' or 'plain'",
        "what computes dropout, linear layers and attention: 'fast' has backward passes and modules of its own where "
        "torch's are slower, 'plain' is torch's own; changes nothing that is learned but for rounding and dropout's "
        "draws",
    )
    deterministic: bool = setting(
        True,
        "true or false",
        "whether CUDA devices take algorithms that give the same bits each time, which may be slower; with false two "
        "runs of one command differ in the last digits, and so does a run that goes on. A CPU always repeats itself",
    )
    min_micro_batches: int = setting(
        1,
        "a whole number, 1 or more",
        "an update is cut into at least so many micro-batches: with as many as there are processes, or more, not even "
        "dropout's draws depend on the number of processes",
        "an update is one micro-batch or more",
        ge=1,
    )
    learning_rate: Annotated[float, Field(gt=0, lt=10)] | Literal["auto"] = setting(
        DEFAULT_RATE,
        "a number above 0 and below 10, or 'auto'",
        "the schedule's highest rate; 'auto' searches for it on a part of the training examples before the run begins",
        "at 0 nothing is learned, and AdamW moves each weight by about the rate in every update",
    )
    head_rate: float = setting(
        1.0,
        "a number above 0, 1000 at most",
        "the head's learning rate, as a multiple of the encoder's",
        "at 0 the head would stay as it began",
        gt=0,
        le=1000,
    )
    head_init: Literal["random", "probe"] = setting(
        "random",
        "'random' or 'probe'",
        "how the head's last layer begins: at random, or as logistic regression on what the encoder makes of the "
        "training texts (linear probing, then fine-tuning: Kumar et al. 2022)",
    )
    weight_decay: float = setting(
        0.01,
        "a number from 0 to 1",
        "AdamW's decay; biases and norms have none",
        "weights shrink by rate × decay in every update",
        ge=0,
        le=1,
    )
    adam_epsilon: float = setting(
        1e-8,
        "a number above 0 and below 1",
        "added to the root of AdamW's second moment; what is far smaller than it in a gradient moves nothing",
        "at 0 a gradient of 0 divides by 0, and from 1 on hardly any gradient moves anything",
        gt=0,
        lt=1,
    )
    warmup: Annotated[float, Field(ge=0, lt=1)] | Annotated[int, Field(ge=0)] = setting(
        0.1,
        "a fraction of all updates below 1, or a whole number of updates",
        "the rate rises linearly from 0 over this part of the run; "
        "a fraction leaves one update or more at the full rate",
        "at 1.0 the rate would never reach its height; whole numbers count updates",
    )
    schedule: Literal["linear", "cosine", "constant"] = setting(
        "linear", "'linear', 'cosine' or 'constant'", "how the rate falls to 0 after the warm-up"
    )
    max_grad_norm: float = setting(
        1.0,
        "a number, 0 or more",
        "gradients are scaled down to this norm; 0 turns it off",
        "a norm is never negative",
        ge=0,
    )
    non_finite: Literal["stop", "skip"] = setting(
        "stop",
        "'stop' or 'skip'",
        "what an update does whose loss or gradient is no finite number, besides changing no weights: end the run and "
        "name the rows, or be left out, counted and logged",
    )
    class_weights: Literal["balanced"] | dict[str | int, Annotated[float, Field(gt=0)]] | None = setting(
        None,
        "'balanced', or a mapping from every class name to a weight above 0",
        "weight of each class in the loss; 'balanced' is inverse to its count. With task: multi_label, the weight of "
        "the examples that have the class against those that have not",
        "a class of weight 0 is never learned: leave its rows out instead",
    )
    label_smoothing: float = setting(
        0.0,
        "a number from 0 up to, not including, 1",
        "this share of each label is spread over all classes: a guard against overconfidence and wrong labels",
        "at 1 nothing of the label is left",
        ge=0,
        lt=1,
    )
    log_every: int = setting(
        10,
        "a whole number of updates, 1 or more",
        "how often loss and rate go to metrics.jsonl",
        "an interval of no updates is none",
        ge=1,
    )
    trace: bool = setting(
        False,
        "true or false",
        "write to the run's trace/ what each process did in each update: examples, micro-batches, losses, gradient",
    )
    trackers: list[Tracker] = setting(
        [],
        "a list of " + ", ".join(TRACKERS),
        "what else is told of each logged update and each evaluation; into the run's trackers/, no network is used",
    )


_EVERY = "'epoch' or a whole number of updates, 1 or more"


class Evaluate(Section):
    """How it is evaluated."""

    every: Literal["epoch"] | Annotated[int, Field(ge=1)] = setting(
        "epoch",
        _EVERY,
        "when to score the validation examples; always also at the end",
        "an interval of no updates is none; the end is always scored",
    )
    metrics: Annotated[list[Metric], Field(min_length=1)] = setting(
        ["accuracy", "f1", "precision", "recall"],
        "a list of " + ", ".join(METRICS) + ", or functions of your own as module:function",
        "what to compute; docs/evaluation.md says what each means, and which tasks have it. precision, recall and f1 "
        "are weighted by class size, *_macro are not: all classes count the same there, absent ones as 0. Left out: "
        "these, with task: ordinal mae, accuracy, quadratic_kappa, and with task: regression mae, rmse, spearman",
    )
    best: Metric | Literal["loss"] = setting(
        "accuracy",
        "one of evaluate.metrics, or 'loss'",
        "which score decides the model that is kept. Left out: accuracy, with task: ordinal or regression mae",
    )
    patience: int | None = setting(
        None,
        "a whole number of evaluations, 1 or more",
        "stop after so many evaluations in a row without a gain: a score that is better than the last gain's by "
        "min_gain or more",
        "null turns it off",
        ge=1,
    )
    min_gain: float = setting(
        0.0,
        "a number, 0 or more, in units of `best`",
        "how much better a score has to be for patience to begin anew; the best model is kept whatever its lead",
        "a gain is never negative",
        ge=0,
    )
    behaviour: int = setting(
        100,
        "a whole number of texts, 0 or more",
        "how many validation texts the kept model is asked about once more at the end, each changed in a dozen ways, "
        "such as by a typo or a negation; 0 turns it off",
        "fewer than none can't be asked about",
        ge=0,
    )
    calibrate: Literal["temperature", "none"] = setting(
        "temperature",
        "'temperature' or 'none'",
        "at the run's end, fit the temperature by which `accel-cls predict` divides logits, so that the model is as "
        "sure as it is right; kept only where rows that it was not fitted on gain by it. No prediction changes",
    )


class Checkpoint(Section):
    """How a run can be continued."""

    every: Literal["epoch"] | Annotated[int, Field(ge=1)] = setting(
        "epoch",
        _EVERY,
        "when to save a checkpoint; a new best and the end always do",
        "an interval of no updates is none; the end is always saved",
    )
    minutes: float | None = setting(
        None,
        "a number of minutes above 0",
        "save also when so many minutes have passed since the last checkpoint",
        "null turns it off",
        gt=0,
    )
    keep: int = setting(
        2,
        "a whole number, 1 or more",
        "newest checkpoints kept, besides the best",
        "without one, a run can't be continued",
        ge=1,
    )


class Repeat(Section):
    """How often it is trained, by one command: with several seeds, or with each part of the data held out once."""

    seeds: int | None = setting(
        None,
        "a whole number from 2 to 100",
        "train with so many seeds: seed, seed + 1 and so on, on the same rows; tells how far scores differ by chance",
        "one run has nothing to differ from",
        ge=2,
        le=100,
    )
    folds: int | None = setting(
        None,
        "a whole number from 2 to 100",
        "cut the training examples into so many parts, train as often, and validate on each part once; every example "
        "is answered by a model that has not seen it",
        "one part leaves nothing to train on",
        ge=2,
        le=100,
    )


class Recipe(Section):
    """One YAML file: data, model, training, evaluation, hardware profile, output."""

    name: str = setting(..., "a short name", "what the run is called", min_length=1)
    seed: int = setting(
        42,
        "a whole number from 0 to 4294967295",
        "fixes split, order, start and dropout",
        "numpy and torch seed with 32 bits",
        ge=0,
        lt=2**32,
    )
    task: Task = setting(
        "single_label",
        "'single_label', 'multi_label', 'ordinal' or 'regression'",
        "whether a text has exactly one class, any number of them, one of several in an order, such as stars, or a "
        "number",
    )
    hardware: str = setting(
        "auto",
        "a profile's name, a profile's path, 'default' or 'auto'",
        "the profile that must be in force; 'default' is what `accelerate config` wrote, 'auto' takes any",
    )
    output: str = setting(..., "a folder", "the run folder; relative to the current folder", min_length=1)
    data: Data = setting(..., "a mapping", "training, validation and test data")
    model: Model = setting(Model(), "a mapping", "what is trained")
    train: Train = setting(Train(), "a mapping", "how it is trained")
    evaluate: Evaluate = setting(Evaluate(), "a mapping", "how it is evaluated")
    decide: Decide | None = setting(
        None,
        "a mapping of precision, accuracy, abstain_below, threshold, coverage",
        "by which rules answers become decisions",
    )
    checkpoint: Checkpoint = setting(Checkpoint(), "a mapping", "how a run can be continued")
    repeat: Repeat | None = setting(
        None, "a mapping, {seeds: 5} or {folds: 5}", "how often it is trained, to tell chance from what is learned"
    )

    @model_validator(mode="before")
    @classmethod
    def _evaluate_by_task(cls, values: Any) -> Any:
        """Give tasks whose labels have distances the metrics of distances where nothing is said of metrics."""
        task = values.get("task") if isinstance(values, dict) else None
        metrics = DISTANCE_METRICS.get(task) if isinstance(task, str) else None
        evaluate = values.get("evaluate", {}) if metrics else None
        if metrics and isinstance(evaluate, dict):
            return {**values, "evaluate": {"metrics": [*metrics], "best": metrics[0], **evaluate}}
        return values
