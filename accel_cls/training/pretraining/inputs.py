"""What is trained in a pre-training: an encoder that guesses hidden tokens, and the texts that they are hidden in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from accelerate import Accelerator
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from accel_cls.batching.batches import Batches
from accel_cls.batching.masking import MaskedBatches, Masking
from accel_cls.data.corpus import Corpus
from accel_cls.data.examples import Examples
from accel_cls.devices.prepare import is_xla
from accel_cls.errors import UserError
from accel_cls.models.capabilities.padding import right_padding
from accel_cls.models.capabilities.training import settle_training
from accel_cls.models.masked_language import load_language_model, outline_language_model
from accel_cls.models.packing import can_pack, pack_attention
from accel_cls.recipe import Recipe
from accel_cls.recipe.sections.pretrain import Pretrain
from accel_cls.runs.artifacts import Artifacts
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.tracking import Tracking
from accel_cls.tasks import Task
from accel_cls.tokenization.cutting import Cutting
from accel_cls.tokenization.encode import encode_cached
from accel_cls.tokenization.encoded import Encoded
from accel_cls.tokenization.tokenizer import load_tokenizer
from accel_cls.tokenization.words import has_jieba, holds_chinese, words_of
from accel_cls.training.inputs import EncodedParts, Inputs
from accel_cls.training.objective import Objective, Supervised
from accel_cls.training.pretraining.artifacts import EncoderArtifacts
from accel_cls.training.trainable import Trainable


class MeanOfGuesses:
    """The mean loss of a text's guesses, times the number of tokens that are to be guessed in it: its label.

    So an update's loss is a mean over guesses, whose weight is known before anything is drawn.
    """

    def losses(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Float32 [R], of the sums and numbers of guesses, float32 [R, 2]."""
        sums, counts = logits.unbind(1)
        return labels * sums / counts.clamp_min(1)

    def weights(self, labels: np.ndarray) -> np.ndarray:
        """The numbers themselves."""
        return labels

    def divergence(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """0: passes that hide the same tokens are not compared."""
        return torch.zeros_like(first[:, 0])


@dataclass(frozen=True)
class MaskedInputs(Inputs):
    """As `Inputs`; the training examples' labels are how many of their tokens are to be guessed."""

    masking: Masking | None = None  # of the training examples; never None, and so is the next
    fixed_masking: Masking | None = None  # of those held out

    def batches(
        self,
        texts: Encoded,
        examples: Examples,
        device: torch.device,
        fixed_tokens: int | None = None,
        fixed_rows: int | None = None,
    ) -> Batches:
        """What makes micro-batches of the training texts, or of those held out."""
        t = self.trainable
        place = t.padding, device, fixed_tokens, fixed_rows, t.first_position
        masking = self.fixed_masking if texts is self.texts.validation else self.masking
        return MaskedBatches(texts, examples.labels, *place, masking)

    def objective(self, recipe: Recipe) -> Objective:
        """Guessing, whatever a classifier minimizes."""
        return Supervised(self.loss, self.corpus.train.labels)

    def strata(self) -> None:
        """None: texts have no classes."""

    def artifacts(self, folder: RunFolder, recipe: Recipe, tracking: Tracking, is_main: bool) -> Artifacts:
        """What writes the run's log and its best encoder."""
        what = self.corpus, self.task, self.trainable.tokenizer
        return EncoderArtifacts(folder, recipe, *what, (), tracking, is_main)

    def outline(self, recipe: Recipe) -> PreTrainedModel:
        """The same model on the meta device."""
        return outline_language_model(recipe, self.trainable.tokenizer)

    def describe_data(self, recipe: Recipe) -> list[tuple[str, str]]:
        """The banner's lines about texts."""
        learned, held_out = len(self.corpus.train), len(self.corpus.validation)
        return [("texts", f"{learned:,} to learn from, {held_out:,} held out for the perplexity")]

    def describe_model(self, recipe: Recipe) -> tuple[str, str]:
        """The banner's line about the model."""
        return "encoder", super().describe_model(recipe)[1]


def load_masked(
    recipe: Recipe, task: Task, corpus: Corpus, accelerator: Accelerator, notes: list[str]
) -> MaskedInputs:
    """Tokenizer, token ids and language model of a pre-training; see `load_inputs`.

    Raises:
        UserError: for a model that can't be used so, and on XLA, where each number of guesses would be a program.
    """
    if is_xla(accelerator):
        raise UserError("hardware: found XLA, for which there is no pre-training; use a profile of CPUs or GPUs")
    pretrain = recipe.pretrain or Pretrain()
    tokenizer = load_tokenizer(recipe, corpus.train, notes)
    model = load_language_model(recipe, tokenizer, notes)
    train, validation = (
        encode_cached(tokenizer, part.texts, Cutting.of(recipe.data), notes)
        for part in (corpus.train, corpus.validation)
    )
    padding = right_padding(tokenizer)
    settle_training(model, tokenizer, padding, notes)
    packed = recipe.train.packing and can_pack(model.config)
    first_position = pack_attention(model, recipe.train.kernels) if packed else 0
    if pretrain.whole_words and holds_chinese(tokenizer, train) and not has_jieba():
        notes.append("jieba is not installed, which cuts Chinese into words: each Chinese token counts as a word")
    masking = _masking(pretrain, tokenizer, train, recipe.seed)
    words = words_of(tokenizer, validation, pretrain.whole_words)
    fixed = replace(masking, words=words, is_training=False)
    corpus = replace(corpus, train=replace(corpus.train, labels=masking.counts(train.offsets)))
    texts = EncodedParts(train, train, validation)
    trainable = Trainable(tokenizer, model, padding, packed, first_position)
    parts = (corpus, task, MeanOfGuesses(), texts, trainable)
    return MaskedInputs(*parts, is_judged_first=True, masking=masking, fixed_masking=fixed)


def _masking(pretrain: Pretrain, tokenizer: PreTrainedTokenizerBase, train: Encoded, seed: int) -> Masking:
    words = words_of(tokenizer, train, pretrain.whole_words)
    others = np.setdiff1d(np.array([*tokenizer.get_vocab().values()], np.int64), tokenizer.all_special_ids)
    return Masking(words, pretrain.mask, int(tokenizer.mask_token_id), others, seed, is_training=True)
