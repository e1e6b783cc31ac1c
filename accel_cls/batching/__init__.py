"""Which examples form an update, how they are cut into micro-batches, and those as tensors."""
