"""Finished runs side by side, on the same rows: what `accel-cls compare` shows."""
