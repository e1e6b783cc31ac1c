"""What the author of a recipe uses before training: a first draft, the data's audit, the plan, the gallery."""
