"""accel_cls and transformers' Trainer side by side: `python -m benchmarks`. docs/speed.md explains."""
