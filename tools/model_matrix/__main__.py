"""Try every family that transformers can classify texts with, and write the table of docs/models.md.

    python -m tools.model_matrix [FAMILY ...] [--record FILE] [--publish]

Each is a tiny random model, made here: nothing is fetched. All of them take ten minutes on two cores; what was tried
with this very code and these versions is found in the record and not tried again. Exit status: 1 where something is
neither right nor refused with a reason.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from transformers import __version__ as transformers_version

from accel_cls.runs.versions import code_digest
from tools.model_matrix import page
from tools.model_matrix.checks import Examination, Row
from tools.model_matrix.families import FAMILIES


def command_line() -> argparse.ArgumentParser:
    """What may stand on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", type=_family, metavar="FAMILY", help="a model_type, such as bert")
    parser.add_argument("--record", type=Path, default=Path("runs/model_matrix.jsonl"), help="what was tried so far")
    parser.add_argument("--publish", action="store_true", help="write the table of all families into docs/models.md")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit status."""
    parser = command_line()
    options = parser.parse_args(arguments)
    families = options.families or list(FAMILIES)
    version = f"transformers {transformers_version}, code {code_digest()[:16]}"
    rows = _known(options.record, version)
    options.record.parent.mkdir(parents=True, exist_ok=True)
    for number, family in enumerate(families, 1):
        if family not in rows:
            began = time.monotonic()
            rows[family] = examine(family)
            with open(options.record, "a", encoding="utf-8") as file:
                file.write(json.dumps({"version": version, **asdict(rows[family])}, ensure_ascii=False) + "\n")
            took = f"{time.monotonic() - began:.0f} s"
            print(f"{number:>3}/{len(families)}  {took:>5}  {page.line(rows[family])}", flush=True)
    failed = [rows[family] for family in families if rows[family].failures]
    for row in failed:
        print(f"{row.family}: NOT RIGHT: {'; '.join(row.failures)}")
    if options.publish:
        if missing := [family for family in FAMILIES if family not in rows]:
            parser.error(f"--publish: not tried yet: {', '.join(missing)}")
        page.publish([rows[family] for family in FAMILIES])
    return int(bool(failed))


def _family(name: str) -> str:
    if name not in FAMILIES:
        raise argparse.ArgumentTypeError(f"transformers {transformers_version} has no family {name}")
    return name


def examine(family: str) -> Row:
    """Try a family in a folder that is removed afterwards."""
    place = Path(tempfile.mkdtemp(prefix="model_matrix_"))
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(place / "cache")
    try:
        return Examination(family, place / "work").run()
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.environ.pop("XDG_CACHE_HOME")
        if before is not None:
            os.environ["XDG_CACHE_HOME"] = before


def _known(record: Path, version: str) -> dict[str, Row]:
    """The rows of a record that are from this code and these versions."""
    rows: dict[str, Row] = {}
    for line in record.read_text(encoding="utf-8").splitlines() if record.is_file() else ():
        content = json.loads(line)
        if content.pop("version") == version:
            rows[content["family"]] = Row(**content)
    return rows


if __name__ == "__main__":
    sys.exit(main())
