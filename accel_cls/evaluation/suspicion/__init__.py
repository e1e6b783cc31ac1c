"""What speaks against a label: models that have not seen its row, and texts that are like its own."""
