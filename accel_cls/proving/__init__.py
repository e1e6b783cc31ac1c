"""`accel-cls resume`: where a run stands, and with --prove, that interrupting it changes nothing."""
