"""One training: its parts made, its loop, and what watches over it."""
