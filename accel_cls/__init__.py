"""accel_cls: fine-tune a text classifier from a YAML recipe, on any hardware, with one Accelerate loop."""

__version__ = "0.1.0"
