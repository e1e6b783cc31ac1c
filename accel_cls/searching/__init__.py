"""`search`: values of a recipe's keys, searched for by Optuna in trials that are runs."""
