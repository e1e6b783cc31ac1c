"""The quality gauge: what `accel-cls new` writes beside simple classifiers and transformers' Trainer, same rows."""
