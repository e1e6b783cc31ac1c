"""How sure scores and differences are: intervals, tests, and what some rows can tell."""
