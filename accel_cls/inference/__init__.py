"""A finished model, used: texts in, predictions out."""
