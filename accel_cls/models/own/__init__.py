"""Model classes of this package, for what transformers has no class for. They are saved and loaded as its own are.

`import accel_cls` makes transformers' Auto classes know them: `register_configs` and `register_models` are called as
soon as transformers imports the mappings that they add to, so that importing this package alone stays quick.
"""

from __future__ import annotations


def register_configs() -> None:
    """Let AutoConfig know the configurations."""
    from transformers import AutoConfig

    from accel_cls.models.own.configurations import NgramBagConfig, PooledConfig

    for kind in (NgramBagConfig, PooledConfig):
        AutoConfig.register(kind.model_type, kind, exist_ok=True)


def register_models() -> None:
    """Let AutoModelForSequenceClassification know the classifiers."""
    from transformers import AutoModelForSequenceClassification

    from accel_cls.models.own.configurations import NgramBagConfig, PooledConfig
    from accel_cls.models.own.ngram_bag import NgramBagForSequenceClassification
    from accel_cls.models.own.pooled import PooledForSequenceClassification

    AutoModelForSequenceClassification.register(NgramBagConfig, NgramBagForSequenceClassification, exist_ok=True)
    AutoModelForSequenceClassification.register(PooledConfig, PooledForSequenceClassification, exist_ok=True)


# Before `configurations` may be imported, which has this imported in its midst and would be registered unfinished.
import transformers.models.auto.configuration_auto  # noqa: E402, F401
