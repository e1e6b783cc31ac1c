"""Objectives of several passes or with further losses: each wraps another one, so that they go together."""

from __future__ import annotations

from accel_cls.training.objectives.compose import objective_of, require_objective

__all__ = ["objective_of", "require_objective"]
