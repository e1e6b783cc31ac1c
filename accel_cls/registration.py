"""Lets transformers know this package's model classes as soon as it is imported, before or after this package.

A finder in front of all others waits for the two modules with transformers' mappings, and lets the usual ones find
them; once such a module has run, the classes are added. So `import accel_cls` imports neither transformers nor torch.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

# The module with a mapping, and the function of accel_cls.models.own that adds to it.
_MAPPINGS = {
    "transformers.models.auto.configuration_auto": "register_configs",
    "transformers.models.auto.modeling_auto": "register_models",
}


def register_model_classes() -> None:
    """Add the classes to the mappings that are imported, and to the others when they are."""
    sys.meta_path.insert(0, _Finder())
    for module in _MAPPINGS:
        if module in sys.modules:
            _register(module)


def _register(mapping: str) -> None:
    getattr(importlib.import_module("accel_cls.models.own"), _MAPPINGS[mapping])()


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _MAPPINGS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_register(module: ModuleType) -> Any:
                run(module)
                _register(fullname)

            spec.loader.exec_module = run_and_register  # type: ignore[method-assign]
        return spec
