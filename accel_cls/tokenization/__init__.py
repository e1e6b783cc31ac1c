"""Texts as token ids, and what is kept of them for the next start."""
