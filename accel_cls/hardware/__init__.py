"""From a profile to processes that run, agree with each other, and have an Accelerator."""
