"""The run folder: who owns it, whether a run begins or goes on, what it leaves."""
