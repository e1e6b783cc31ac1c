"""Texts written in other ways, in Chinese and English: what says the same or the opposite, typos, edits."""
