"""The search for a learning rate, and what goes with it: trials on training examples, by successive halving."""
