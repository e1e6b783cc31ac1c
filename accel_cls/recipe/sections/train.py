"""The recipe's section `train`: how it is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accel_cls.recipe.section import Section, setting
from accel_cls.recipe.trackers import TRACKERS, Tracker

DEFAULT_RATE = 2e-5  # of train.learning_rate


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
    cuda_graphs: Literal["auto"] | bool = setting(
        "auto",
        "true, false or 'auto'",
        "whether updates on CUDA devices are recorded as graphs, each launched at once, of micro-batches that are "
        "filled up to a few shapes: 'auto' where that can be, and the banner says where not, and why; true makes that "
        "an error; false launches the same kernels one by one, which changes no bit. On a CPU true fills "
        "micro-batches up, too, without graphs: slower, to see the same updates there",
    )
    compile: bool = setting(
        False,
        "true or false",
        "whether torch.compile fuses what each layer does beside matrix products and attention, where micro-batches "
        "have few shapes (cuda_graphs): faster updates for some tens of seconds at the start; changes nothing that is "
        "learned but for rounding and dropout's draws",
    )
    gradient_checkpointing: bool = setting(
        False,
        "true or false",
        "whether a layer's activations are computed again in the backward pass instead of kept: less memory for about "
        "a third more computing; changes nothing that is learned",
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
    layer_decay: float = setting(
        1.0,
        "a number above 0, 1 at most",
        "each layer's learning rate, as a multiple of that of the layer above it: the head has the rate itself, the "
        "top layer rate × layer_decay, the embeddings, below all L layers, rate × layer_decay^(L + 1)",
        "at 0 only the head would learn, which model.freeze does sooner; above 1 the lowest layers would learn most",
        gt=0,
        le=1,
    )
    unfreeze: Annotated[float, Field(gt=0)] | Annotated[int, Field(ge=1)] | None = setting(
        None,
        "a number of epochs, above 0",
        "gradual unfreezing: at first the head alone is trained, then one layer more after each so many epochs, the "
        "top one first, the embeddings last; null trains all from the start",
        "at 0 all would be open from the start, which null says",
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
    schedule: Literal["linear", "cosine", "constant", "polynomial", "inverse_sqrt", "wsd"] = setting(
        "linear",
        "'linear', 'cosine', 'constant', 'polynomial', 'inverse_sqrt' or 'wsd'",
        "how the rate goes after the warm-up: 'linear', 'cosine' and 'polynomial' fall to 0 over the rest of the run; "
        "'wsd' stays, and falls to 0 as a line at the end; 'inverse_sqrt' falls as 1 / √update, to no end; 'constant' "
        "stays",
    )
    decay: float = setting(
        0.1,
        "a fraction of all updates, above 0, 1 at most",
        "with schedule: wsd, the last part of the run, in which the rate falls",
        "at 0 it would never fall, which schedule: constant says",
        gt=0,
        le=1,
    )
    power: float = setting(
        2.0,
        "a number above 0",
        "with schedule: polynomial, the power of the part of the run that is left",
        "at 0 the rate would stay, which schedule: constant says",
        gt=0,
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
    class_weights: Literal["balanced", "effective"] | dict[str | int, Annotated[float, Field(gt=0)]] | None = setting(
        None,
        "'balanced', 'effective', or a mapping from every class name to a weight above 0",
        "weight of each class in the loss; 'balanced' is inverse to its count, 'effective' to its effective number "
        "(Cui et al. 2019), which grows less and less. With task: multi_label, the weight of the examples that have "
        "the class against those that have not",
        "a class of weight 0 is never learned: leave its rows out instead",
    )
    effective_beta: float = setting(
        0.999,
        "a number above 0 and below 1",
        "n examples of a class count as (1 - beta^n) / (1 - beta), no more than 1 / (1 - beta), for "
        "class_weights: effective",
        "at 0 all classes weigh the same, and towards 1 they are balanced",
        gt=0,
        lt=1,
    )
    sampling: Literal["all", "balanced"] = setting(
        "all",
        "'all' or 'balanced'",
        "which examples an epoch has: each once, or of each class equally many, drawn anew for each epoch: of a large "
        "class only some, of a small one all several times. With task: multi_label a text counts for its rarest class",
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
