"""Train the encoder of the recipe given on the command line on texts, without labels.

    accelerate launch -m accel_cls.pretrain recipes/food.yaml [key=value ...] [--fresh] [--join-timeout SECONDS]

Masked language modelling; a classifier then begins with the run's `model/`. See `train.py`.
"""

from __future__ import annotations

import sys

from accel_cls.train import main

if __name__ == "__main__":
    sys.exit(main([*sys.argv[1:], "--pretrain"]))
