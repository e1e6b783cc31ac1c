"""Tensors as they are at one instant, written to files while training goes on and changes them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from accel_cls.checkpoints.tensors import Tensors, safetensors_header
from accel_cls.memory.errors import is_out_of_memory

_PIECE = 2**24  # bytes that are read at a time, in some 5 ms: training waits no longer for the lock


class Snapshot:
    """Holds tensors by file, to be written by one thread while another one trains.

    They are written from where they lie. Who is about to change them says so first: what is not written by then is
    copied. Weights and moments stand still from one optimizer's step to the next; with a BERT-base on two cores that
    is 1.2 s while a checkpoint is written, and 0 to 0.6 of its 1.3 GB had to be copied.
    """

    def __init__(self, files: Mapping[str, Tensors]):
        self._lock = threading.Lock()
        self._all_read = threading.Event()
        self._pieces: list[torch.Tensor | None] = []  # [bytes], uint8, of one file after the other; None: was read
        self._files: dict[str, tuple[bytes, range]] = {}  # header, and which pieces follow
        for file, tensors in files.items():
            header, names = safetensors_header(tensors)
            first = len(self._pieces)
            for name in names:
                if tensors[name].numel():
                    flat = tensors[name].detach().contiguous().reshape(-1)
                    self._pieces += flat.view(torch.uint8).split(_PIECE)
            self._files[file] = header, range(first, len(self._pieces))

    def let_change(self, room: int | None) -> None:
        """Return once the tensors may change: what is not written by then has been copied.

        Args:
            room: bytes that copies may take; where that is too little, or there is no memory, this waits until all is
                read. None: any number.
        """
        with self._lock:
            unread = [(at, piece) for at, piece in enumerate(self._pieces) if piece is not None]
            if room is None or sum(len(piece) for _, piece in unread) <= room:
                try:
                    for at, piece in unread:
                        self._pieces[at] = _copy(piece)
                    return
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
        self._all_read.wait()

    def write(self, folder: Path) -> dict[str, str]:
        """Write the files; returns the SHA-256 that each has to have, by name. Raises OSError."""
        digests = {file: self._write_file(folder / file, *parts) for file, parts in self._files.items()}
        self._all_read.set()
        return digests

    def close(self) -> None:
        """Nothing will be read any more, also where not all was: nobody needs to wait for that."""
        self._all_read.set()

    def _write_file(self, path: Path, header: bytes, pieces: range) -> str:
        buffer = np.empty(_PIECE, np.uint8)
        digest = hashlib.sha256(header)
        with open(path, "wb") as file:
            file.write(header)
            for at in pieces:
                content = self._read(at, buffer)
                digest.update(content)
                file.write(content)
        return digest.hexdigest()

    def _read(self, at: int, buffer: np.ndarray) -> memoryview:
        """A piece's bytes, read in a moment: a disk may be slow, and training would wait for it."""
        with self._lock:
            piece = self._pieces[at]
            assert piece is not None
            content = buffer[: len(piece)]
            np.copyto(content, piece.cpu().numpy())  # not by torch, which would begin threads for this thread
            self._pieces[at] = None
        return content.data


def _copy(piece: torch.Tensor) -> torch.Tensor:
    """A copy on the CPU: from a GPU into pinned memory, at the bus's full rate; torch keeps that for the next time."""
    copy = torch.empty(len(piece), dtype=torch.uint8, pin_memory=piece.device.type == "cuda")
    return copy.copy_(piece)
