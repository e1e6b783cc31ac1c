"""The `accel-cls` command. Imports nothing slow before a command needs it."""

from accel_cls.cli import authoring, judging, training  # noqa: F401 (they add their commands)
from accel_cls.cli.app import app, main
from accel_cls.predict import predict

app.command()(predict)

__all__ = ["app", "main"]
