"""Faults made on purpose, and whether a run survives them: it must end in the very same result, or say why not.

    python -m tests.faults kill --times 100 --processes 1,2 --seed 0 --out FOLDER

The short mode is `test_short.py`, a few cases of each kind.
"""
