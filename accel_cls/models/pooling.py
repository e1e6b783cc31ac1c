"""Which head reads a text, by which vector: the recipe's choice, what lies beside a model, or its family's habit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from transformers import MODEL_MAPPING, PreTrainedTokenizerBase
from transformers.utils import cached_file

from accel_cls.errors import UserError, shown
from accel_cls.models.own.configurations import HEAD_SIZES, Head, PooledConfig, Pooling
from accel_cls.models.packing import reads_first_token
from accel_cls.recipe.rules.heads import pooling_not_of
from accel_cls.recipe.sections.model import POOLINGS_OF, Model

# sentence-transformers' words for what we have, as its file has them: one word, or a mapping of flags.
_WORDS: dict[str, Pooling] = {
    "cls": "first",
    "cls_token": "first",
    "mean": "mean",
    "mean_tokens": "mean",
    "max": "max",
    "max_tokens": "max",
}
_FLAG = "pooling_mode_"
_USUAL_DROPOUT = 0.1  # BERT's, where a family has no rate of its own


@dataclass(frozen=True)
class Wanted:
    """What a recipe says of a classifier's head; None where it leaves that to the model."""

    head: Head | None
    pooling: Pooling | None
    last_layers: int | None

    @classmethod
    def of(cls, model: Model) -> Wanted:
        """What a recipe's section says."""
        head = None if model.head == "auto" else model.head
        return cls(head, None if model.pooling == "auto" else model.pooling, model.last_layers)

    @property
    def what(self) -> tuple[str, object] | None:
        """The key and the value that no classifier of transformers has; None where the pooling alone decides."""
        if self.head not in (None, "linear"):
            return "model.head", self.head
        return ("model.last_layers", self.last_layers) if (self.last_layers or 1) > 1 else None


def with_head(
    config: Any,
    wanted: Wanted,
    name: str | None,
    is_fitted: bool,
    pairs_by: PreTrainedTokenizerBase | None,
    notes: list[str],
    has_attentive_windows: bool = False,
) -> Any:
    """The configuration of a classifier with the wanted head: the family's own, or a `PooledConfig` around it.

    Args:
        config: of a folder, a hub id or a model from scratch.
        wanted: the recipe's. Without a pooling a linear head takes what sentence-transformers' files beside the model
            say, else the family's habit, or the mean where `is_fitted`. A classifier that was trained before keeps
            its own.
        name: the folder or hub id.
        is_fitted: whether the head will be fitted to the encoder as it is.
        pairs_by: the tokenizer that joins two texts; None for single texts.
        notes: takes a line where files beside the model have decided, or could not.
        has_attentive_windows: whether windows of a text are pooled by weights that are learned, which only a
            `PooledConfig` has; with it `auto` is the mean where nothing else is told.

    Raises:
        UserError: for a head that this model can't have, and files that can't be read.
    """
    window_pooling: Literal["attention"] | None = "attention" if has_attentive_windows else None
    if isinstance(config, PooledConfig):
        if config.is_pair and pairs_by is None:
            raise UserError(f"model.name: {name} compares two texts; expected data.text to name two columns")
        config.window_pooling = window_pooling
        return _with_other_head(config, wanted, is_fitted)
    head, pooling = wanted.head or "linear", wanted.pooling
    if pooling is None and head == "linear" and not is_classifier(config):
        pooling = _pooling_beside(name, notes) if name is not None else None
        if pooling is None and is_fitted and _obstacle(config) is None:
            pooling = "mean"
    if has_attentive_windows and head == "linear":
        pooling = pooling or "mean"
    elif wanted.what is None and (pooling is None or _set_natively(config, pooling)):
        return config
    if (why := _obstacle(config)) is not None:
        place, value = wanted.what or ("model.pooling", pooling)
        found = f"found {value}; {name or 'the model'}, a {config.model_type}, can't have it"
        raise UserError(f"{place}: {found}: {why}. Leave it {'out' if place == 'model.last_layers' else 'at auto'}")
    pooling = _checked(head, pooling or _usual_pooling(head, config, is_fitted))
    return PooledConfig(
        encoder=config,
        last_layers=wanted.last_layers or 1,
        head=head,
        pooling=pooling,
        head_size=HEAD_SIZES[head],
        classifier_dropout=_head_dropout(config),
        window_pooling=window_pooling,
        initializer_range=getattr(config, "initializer_range", None) or 0.02,
        **_of_pairs(pairs_by, pooling),
    )


def _of_pairs(pairs_by: PreTrainedTokenizerBase | None, pooling: Pooling) -> dict[str, Any]:
    """What a configuration says of pairs; nothing where their texts are read as one."""
    if pairs_by is None or pairs_by.sep_token_id is None or pooling == "first":
        return {}
    special = {*pairs_by.all_special_ids} - {pairs_by.unk_token_id}  # which stands for text
    return {"is_pair": True, "separator": pairs_by.sep_token_id, "special_tokens": sorted(special)}


def _with_other_head(config: PooledConfig, wanted: Wanted, is_fitted: bool) -> PooledConfig:
    """The configuration of a trained classifier, with what the recipe wants otherwise."""
    head = wanted.head or config.head
    if head != config.head:
        config.pooling = _usual_pooling(head, config.encoder, is_fitted)
        config.head, config.head_size = head, HEAD_SIZES[head]
    config.pooling = _checked(head, wanted.pooling or config.pooling)
    config.last_layers = wanted.last_layers or config.last_layers
    return config


def _usual_pooling(head: Head, config: Any, is_fitted: bool) -> Pooling:
    if head == "linear" and (is_fitted or not reads_first_token(config)):
        return "mean"
    return POOLINGS_OF[head][0]  # type: ignore[return-value]


def _checked(head: Head, pooling: Pooling) -> Pooling:
    """The pooling. Raises UserError where the head has it not."""
    if said := pooling_not_of(head, pooling):
        raise UserError(f"model.pooling: {said}")
    return pooling


def is_classifier(config: Any) -> bool:
    """Whether a configuration is of a model with a trained classifier."""
    return any("SequenceClassification" in kind for kind in config.architectures or ())


def _set_natively(config: Any, wanted: Pooling) -> bool:
    """Whether transformers' own classifier pools so, with the configuration set accordingly."""
    if hasattr(config, "classifier_pooling"):  # ModernBERT's
        if wanted in ("first", "mean"):
            config.classifier_pooling = {"first": "cls", "mean": "mean"}[wanted]
            return True
        return False
    return wanted == "first" and reads_first_token(config)


def _obstacle(config: Any) -> str | None:
    """Why a model can't be given a head that pools its tokens."""
    if type(config) not in MODEL_MAPPING:
        return "transformers has no encoder of this family"
    if getattr(config, "is_encoder_decoder", False):
        return "it has a decoder, whose end its own classifier reads"
    if not isinstance(getattr(config.get_text_config(), "hidden_size", None), int):
        return "its configuration has no hidden_size"
    return None


def _head_dropout(config: Any) -> float:
    rates = (getattr(config, key, None) for key in ("classifier_dropout", "hidden_dropout_prob", "dropout"))
    return next((rate for rate in rates if isinstance(rate, float)), _USUAL_DROPOUT)


def _pooling_beside(name: str, notes: list[str]) -> Pooling | None:
    """What sentence-transformers' files beside a model say; None where there are none, or nothing that we have."""
    modules = _read_json(name, "modules.json", list) or []
    steps = [module for module in modules if isinstance(module, dict)]
    folder = next((step.get("path") for step in steps if str(step.get("type")).endswith("Pooling")), None)
    if folder is None:
        return None
    file = f"{folder}/config.json"
    settings = _read_json(name, file, dict)
    if settings is None:
        raise UserError(f"model.name: {name} has a modules.json that names {file}, which is not there")
    flags = [key.removeprefix(_FLAG) for key, on in settings.items() if key.startswith(_FLAG) and on]
    modes = [mode] if isinstance(mode := settings.get("pooling_mode"), str) else flags
    found = _WORDS.get(modes[0]) if len(modes) == 1 else None
    if found is None:
        what = shown(" + ".join(modes) or "nothing")
        notes.append(f"{file} of {Path(name).name} pools by {what}, which is not here: the classifier reads as usual")
    else:
        notes.append(f"pooling: {found}, as {file} of {Path(name).name} says")
    return found


def copy_pooling(name: str, folder: Path) -> None:
    """Put what sentence-transformers' files beside a model say of its pooling into another folder."""
    kept = [("", "Transformer")]
    for step in (module for module in _read_json(name, "modules.json", list) or [] if isinstance(module, dict)):
        settings = _read_json(name, f"{step.get('path')}/config.json", dict)
        if str(step.get("type")).endswith("Pooling") and settings is not None:
            (folder / "1_Pooling").mkdir()
            (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
            kept.append(("1_Pooling", "Pooling"))
            break
    if len(kept) > 1:
        steps = [
            {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for at, (path, kind) in enumerate(kept)
        ]
        (folder / "modules.json").write_text(json.dumps(steps, indent=2), encoding="utf-8")


def _read_json(name: str, file: str, kind: type) -> Any:
    """A JSON file of a folder or hub id, which holds a list or a mapping; None where there is none."""
    try:
        path = cached_file(
            name,
            file,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_connection_errors=False,
        )
        content = None if path is None else json.loads(Path(path).read_text(encoding="utf-8"))
        if content is None or isinstance(content, kind):
            return content
        raise ValueError(f"expected a JSON {'list' if kind is list else 'object'}")
    except (OSError, ValueError, RecursionError) as error:
        message = f"{file} of {name} can't be read ({shown(str(error), 200)}): mend it, or set model.pooling"
        raise UserError(f"model.name: {message}") from error
