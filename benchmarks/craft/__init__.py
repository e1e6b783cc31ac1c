"""What helps: each choice of a recipe beside the plain recipe, on the same rows, with the same seeds."""
