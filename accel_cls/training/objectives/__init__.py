"""Objectives besides the task's own loss: what else is minimized."""
