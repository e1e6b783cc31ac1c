"""How a model answers to texts that say the same in another way, or the opposite."""
