"""Parts of the rows: by what they are told apart, and which are worse than the rest."""
