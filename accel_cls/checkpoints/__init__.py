"""Weights, optimizer and counters on the disk: saved whole while training goes on, verified before use."""
