"""What a model can take, asked of the model itself and not of a list of families."""

from accel_cls.models.capabilities.capabilities import Capabilities, ask_model

__all__ = ["Capabilities", "ask_model"]
