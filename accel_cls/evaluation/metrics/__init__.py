"""Scores of predictions by name, and how they follow from rows."""
