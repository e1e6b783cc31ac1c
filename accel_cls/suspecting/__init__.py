"""`accel-cls suspects`: rows whose labels are likely wrong, and other rows that are worth a look."""
