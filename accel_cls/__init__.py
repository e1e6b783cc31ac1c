"""accel_cls: fine-tune a text classifier from a YAML recipe, on any hardware, with one Accelerate loop."""

import sys

__version__ = "0.1.0"

# `python -m accel_cls.train` looks for every library in the current folder first, where a datasets.py or tokenizers.py
# of the user's would be run in place of the library. Who imports this package for code of their own keeps their path.
_is_main = sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].removeprefix("-m").split(".")[0] == __name__
if _is_main and not sys.flags.safe_path:  # as long as argv has "-m", Python is looking for the module
    del sys.path[0]

from accel_cls.registration import register_model_classes  # noqa: E402  where a user's files don't come first

register_model_classes()
