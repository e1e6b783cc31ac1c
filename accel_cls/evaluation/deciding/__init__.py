"""From logits to decisions: the temperature, thresholds, rules, and what they promise."""
