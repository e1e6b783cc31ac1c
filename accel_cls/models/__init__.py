"""The classifier, and several texts in one row of its input."""
