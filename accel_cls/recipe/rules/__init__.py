"""What no single key of a recipe can say: rules that span several keys, and settings that change nothing."""

from __future__ import annotations

from accel_cls.recipe.rules.whole import broken_rules, idle_settings

__all__ = ["broken_rules", "idle_settings"]
