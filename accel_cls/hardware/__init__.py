"""From a profile to processes that run, have compared what they run, and have an Accelerator."""
