"""`python -m accel_cls`: the `accel-cls` command where its script is not on the PATH."""

from accel_cls.cli import main

main()
