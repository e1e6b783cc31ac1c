"""What is tried: each choice is a line or two of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.craft.settings import PRETRAINED, STARTS, Start

_LAYERS: tuple[Start, ...] = ("bert", *PRETRAINED)  # starts with layers and token states


@dataclass(frozen=True)
class Choice:
    """One choice beside the plain recipe."""

    name: str
    group: str  # the section of docs/craft.md
    overrides: tuple[str, ...]  # as the training command takes them
    starts: tuple[Start, ...] = tuple(STARTS)  # those that can have it


PLAIN = Choice("plain", "", ())

CHOICES = {
    one.name: one
    for one in (
        PLAIN,
        Choice("mean", "Heads", ("model.pooling=mean",), _LAYERS),
        Choice("cnn", "Heads", ("model.head=cnn",), _LAYERS),
        Choice("bilstm", "Heads", ("model.head=bilstm",), _LAYERS),
        Choice("rcnn", "Heads", ("model.head=rcnn",), _LAYERS),
        Choice("dpcnn", "Heads", ("model.head=dpcnn",), _LAYERS),
        Choice("last-layers", "Heads", ("model.last_layers=4",), PRETRAINED),
        Choice("dropout-samples", "Heads", ("model.dropout_samples=5",), _LAYERS),
        Choice("reinitialize", "Heads", ("model.reinitialize=2",), PRETRAINED),
        Choice("keep-6", "Fewer layers", ("model.keep_layers=6",), PRETRAINED),
        Choice("cut-32", "Long texts", ("data.max_length=32",), _LAYERS),
        Choice("middle-32", "Long texts", ("data.max_length=32", "data.truncate=middle"), _LAYERS),
        Choice("windows-32", "Long texts", ("data.max_length=32", "data.windows={overlap: 8, most: 8}"), _LAYERS),
        Choice("refit", "Optimization", ("refit=true",), ("e5-1000",)),  # elsewhere validation rows may be judged
        Choice("rate-1e-4", "Optimization", ("train.learning_rate=1e-4",), PRETRAINED),
        Choice("rate-2e-4", "Optimization", ("train.learning_rate=2e-4",), PRETRAINED),
        Choice("epochs-5", "Optimization", ("train.epochs=5",), PRETRAINED),
        Choice("layer-decay", "Optimization", ("train.layer_decay=0.9",), PRETRAINED),
        Choice("head-rate", "Optimization", ("train.head_rate=10",), _LAYERS),
        Choice("no-probe", "Optimization", ("train.head_init=random",), PRETRAINED),
        Choice("cosine", "Optimization", ("train.schedule=cosine",)),
        Choice("polynomial", "Optimization", ("train.schedule=polynomial",)),
        Choice("inverse-sqrt", "Optimization", ("train.schedule=inverse_sqrt",)),
        Choice("wsd", "Optimization", ("train.schedule=wsd", "train.decay=0.3")),
        Choice("freeze-embeddings", "Optimization", ("model.freeze=embeddings",), PRETRAINED),
        Choice("freeze-half", "Optimization", ("model.freeze=6",), PRETRAINED),
        Choice("unfreeze", "Optimization", ("train.unfreeze=0.1",), PRETRAINED),
        Choice("ema", "Optimization", ("average={ema: 0.99}",)),
        Choice("last-3", "Optimization", ("average={last: 3}",), ("ngrams", "bert", "e5")),  # of several evaluations
        Choice("start-mean", "Optimization", ("average={start: 0.25}", "train.head_init=probe"), PRETRAINED),
        Choice("lora", "Optimization", ("model.lora={}", "train.learning_rate=5e-4"), PRETRAINED),
        Choice("smoothing", "Loss", ("train.label_smoothing=0.1",)),
        Choice("focal", "Loss", ("loss.kind=focal",)),
        Choice("gce", "Loss", ("loss.kind=generalized_cross_entropy",)),
        Choice("r_drop", "Loss", ("loss.r_drop=1",)),
        Choice("contrastive", "Loss", ("loss.contrastive=0.5",)),
        Choice("fgm", "Loss", ("loss.adversarial=fgm",), _LAYERS),
        Choice("pgd", "Loss", ("loss.adversarial=pgd",), _LAYERS),
        Choice("effective", "Loss", ("train.class_weights=effective",)),
        Choice("adjustment", "Loss", ("loss.logit_adjustment=0.5",)),
        Choice("sampling", "Loss", ("train.sampling=balanced",)),
        Choice("augment", "Augmentation", ("augment={copies: 1}",)),
    )
}
