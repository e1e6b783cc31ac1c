"""Masked language modelling on a recipe's own texts: by the same loop, checkpoints and profiles."""
