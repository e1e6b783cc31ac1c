"""`python -m tools.gpu_check`: one command that shows how things stand on a GPU. docs/hardware.md has its table."""
