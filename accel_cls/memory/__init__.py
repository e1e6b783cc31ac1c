"""How much goes through the model at once: what `train.micro_batch_tokens: auto` is, and what memory holds."""
