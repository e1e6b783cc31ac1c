"""From data files to labelled examples: found, decoded, read, checked, split."""
