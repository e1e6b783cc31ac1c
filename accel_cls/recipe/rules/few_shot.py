"""What goes with the section `few_shot`, and what it leaves without an effect."""

from __future__ import annotations

from accel_cls.recipe.schema import Recipe

_Broken = list[tuple[tuple[str, ...], str]]  # the key to blame, what is wrong and what to do

# What does not go with pairs: the key, and whether the recipe has it.
_CONTRARY = {
    ("data", "windows"): lambda recipe: recipe.data.windows is not None,
    ("model", "lora"): lambda recipe: recipe.model.lora is not None,
    ("model", "dropout_samples"): lambda recipe: recipe.model.dropout_samples > 1,
    ("loss", "kind"): lambda recipe: recipe.loss.kind != "cross_entropy",
    ("loss", "r_drop"): lambda recipe: recipe.loss.r_drop > 0,
    ("loss", "contrastive"): lambda recipe: recipe.loss.contrastive > 0,
    ("loss", "adversarial"): lambda recipe: recipe.loss.adversarial is not None,
    ("train", "sampling"): lambda recipe: recipe.train.sampling != "all",
    ("train", "unfreeze"): lambda recipe: recipe.train.unfreeze is not None,
    ("augment",): lambda recipe: recipe.augment is not None,
    ("distill",): lambda recipe: recipe.distill is not None,
    ("average",): lambda recipe: recipe.average is not None,
}
_OWN_LOSS = "with which pairs are what is drawn and what has a loss"
_WHY = {
    "data": "which compares texts as wholes",
    "model": "which trains the encoder itself, and compares single vectors",
    "average": "whose head is fitted to one encoder's weights",
}
_PLAIN = "or set few_shot.pairs: 0, which trains as usual"


def broken_few_shot(recipe: Recipe) -> _Broken:
    """The rules between `few_shot` and other keys: (key to blame, what is wrong and what to do) of each broken one."""
    few = recipe.few_shot
    if few is None:
        return []
    if recipe.task != "single_label":
        message = f"found it with task: {recipe.task}; expected single_label, where a text has one class. Leave it out"
        return [(("few_shot",), message)]
    if not few.pairs:
        if few.examples is None:
            return [(("few_shot",), "found neither examples nor pairs; expected one of them, or no few_shot at all")]
        return []
    return _broken_pairs(recipe)


def _broken_pairs(recipe: Recipe) -> _Broken:
    """Where pairs of texts are learned from."""
    broken: _Broken = []
    model, train, longest = recipe.model, recipe.train, recipe.data.max_length
    if model.name is None:
        why = "a few texts teach no language"
        broken.append((("few_shot", "pairs"), f"expected model.name beside it, a pretrained encoder: {why}; {_PLAIN}"))
    if not isinstance(recipe.data.text, str) and len(recipe.data.text) > 1:
        message = f"found {len(recipe.data.text)} columns beside few_shot.pairs, which compares texts; expected one"
        broken.append((("data", "text"), f"{message}, {_PLAIN}"))
    for key, is_there in _CONTRARY.items():
        if is_there(recipe):
            broken.append(
                (key, f"found it beside few_shot.pairs, {_WHY.get(key[0], _OWN_LOSS)}; leave it out, {_PLAIN}")
            )
    if model.is_fitted:
        message = f"found {model.freeze!r} beside few_shot.pairs, which trains the encoder; leave it out"
        broken.append((("model", "freeze"), f"{message}, {_PLAIN}"))
    if train.head_init == "probe":
        message = "found 'probe' beside few_shot.pairs, which fits the head after the encoder; leave it out"
        broken.append((("train", "head_init"), f"{message}, {_PLAIN}"))
    if train.learning_rate == "auto":
        message = "found 'auto' beside few_shot.pairs: parts of a few texts tell no rate from another; give a number"
        broken.append((("train", "learning_rate"), f"{message} (SetFit's is 2e-5), {_PLAIN}"))
    tokens = train.micro_batch_tokens
    if tokens != "auto" and longest <= tokens < 2 * longest:
        message = f"found {tokens} beside few_shot.pairs; expected twice data.max_length, which is {longest}, at least"
        broken.append((("train", "micro_batch_tokens"), f"{message}: the two longest texts must fit"))
    return broken


def idle_few_shot(recipe: Recipe) -> list[tuple[tuple[str, ...], str, str]]:
    """Settings that pairs leave without an effect: (key, why it changes nothing, what to do) for each."""
    model = recipe.model
    # Of other heads all but the last layer is trained, at that rate.
    is_only_fitted = model.head in ("auto", "linear") and model.pooling != "attention" and model.last_layers is None
    if not recipe.learns_from_pairs or recipe.train.head_rate == 1 or not is_only_fitted:
        return []
    return [
        (("train", "head_rate"), "not used, since few_shot.pairs fits the head by logistic regression", "remove it")
    ]
