"""Whether the Hugging Face hub answers. Its client would ask for each file six times, for 27 s, before it gives up."""

from __future__ import annotations

import os
import socket
import threading
from urllib.parse import urlsplit

_OFFLINE = "HF_HUB_OFFLINE"  # which the libraries read when they are imported
_SILENT = "ACCEL_CLS_SILENT_HUB"  # in the environment, so that processes that this one starts know it, too
_TIMEOUT = 5  # seconds


def go_offline_unless(names_hub: bool) -> None:
    """Let nothing be fetched where no hub id is named, nor where the hub does not answer: its cache is looked into.

    What the user has set in the environment stays.
    """
    if _OFFLINE in os.environ or "TRANSFORMERS_OFFLINE" in os.environ:
        return
    host, port = _address() if names_hub else ("", 0)
    if not names_hub or not _answers(host, port):
        os.environ[_OFFLINE], os.environ[_SILENT] = "1", host


def why_offline() -> str:
    """Why a hub id can't be looked up, for the user; "" where it can."""
    if host := os.environ.get(_SILENT):
        return f"{host} does not answer"
    is_set = os.environ.get(_OFFLINE, "").upper() in ("1", "ON", "YES", "TRUE")
    return f"{_OFFLINE} is set" if is_set and _SILENT not in os.environ else ""


def _address() -> tuple[str, int]:
    """Host and port by which the hub is reached: its own, or a proxy's."""
    from urllib.request import getproxies, proxy_bypass  # takes 40 ms to import

    url = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    proxy = getproxies().get(url.scheme)
    if proxy and not proxy_bypass(url.hostname or ""):
        url = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    return url.hostname or "", url.port or (80 if url.scheme == "http" else 443)


def _answers(host: str, port: int) -> bool:
    """Whether a connection can be made in time."""
    found: list[bool] = []

    def try_it() -> None:
        try:
            socket.create_connection((host, port), _TIMEOUT).close()
        except (OSError, UnicodeError):  # UnicodeError: what is no host's name
            return
        found.append(True)

    # In a thread, since looking a name up knows no timeout.
    trial = threading.Thread(target=try_it, daemon=True)
    trial.start()
    trial.join(_TIMEOUT)
    return bool(found)
