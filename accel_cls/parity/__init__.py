"""`accel-cls parity`: one recipe trained in several ways, and whether it is the same training."""
