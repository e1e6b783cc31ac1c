"""Predictions for held-out examples, each exactly once, and their scores."""
