"""How many runs have been scored by the same test rows: who looks often enough chooses by them after all."""

from __future__ import annotations

import hashlib

from accel_cls.atomic import write_text
from accel_cls.runs.folder import RunFolder
from accel_cls.tokenization.cache import cache_folder


def count_looks(digest: str, folder: RunFolder, notes: list[str]) -> int:
    """Note that a run has looked at test rows, and return how many run folders have so far, this one included.

    They are counted in the user's cache folder, so on this machine, by this user, as far back as that was kept. Those
    of one `repeat` are one look: none of them is chosen.

    Args:
        digest: of the test rows, hexadecimal.
        folder: of the run that looks.
        notes: takes a line where the disk refuses.
    """
    around = RunFolder(folder.path.parent)
    path = str((around if around.origin.is_file() else folder).path.absolute())
    try:
        looks = cache_folder() / "test-looks" / digest[:32]
        looks.mkdir(parents=True, exist_ok=True)
        write_text(looks / f"{hashlib.sha256(path.encode()).hexdigest()[:32]}.txt", f"{path}\n")
        return len([*looks.glob("*.txt")])
    except OSError as error:
        notes.append(f"how often these test rows were looked at can't be counted: {error}")
        return 1
