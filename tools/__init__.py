"""What is run from the project's root: `python -m tools.gpu_check`, `python -m tools.parity_matrix`."""
