"""Reviews that would harm whoever opens a page that holds them as they are; and a run of them for a browser.

python tests/hostile_reviews.py FOLDER && python -m tools.report_check FOLDER/run
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from conftest import write_recipe

HOSTILE = [
    "</script><script>window.harm1 = 1</script>",
    "<img src=x onerror=\"window.harm2 = 1\">",
    "<svg/onload='window.harm3 = 1'>",
    '" onmouseover="window.harm4 = 1" autofocus onfocus="window.harm5 = 1',
    "{{ harm }} {% for a in harm %} {# harm #} ${harm} `harm`",
    "</p></li></ol></section></main></body></html>after the end",
    "<!-- <style>*{display:none}</style> --> <![CDATA[ x ]]>",
    "<a href='javascript:window.harm6=1'>press</a> &lt;b&gt; &amp; &#0; \\u003c",
    "a\x00b\x07\x1b[31mred\x1b[0m",
    "\u202eesrever\u202c \u2066x\u2069 \ufeff",
    "</textarea></title></style><base href='https://harm.example/'>",
    "好吃" * 400,
    "oneverylongwordwithoutanyspace" * 40,
    "two\nlines\r\nand\ta tab",
]  # fmt: skip
CLASSES = ["<b>bold</b>", "</option></select><script>window.harm7 = 1</script>", "{{ 7 * 7 }}", "很长的类别名称" * 6]


def write_hostile(folder: Path) -> None:
    """A recipe over such texts, each with several classes in turn, so that most of them must be mistakes."""
    folder.mkdir(parents=True, exist_ok=True)
    records = [{"text": f"{text} {i}", "label": CLASSES[i % len(CLASSES)]} for i, text in enumerate(HOSTILE * 10)]
    lines = (json.dumps(record) + "\n" for record in records)
    (folder / "hostile.jsonl").write_text("".join(lines), encoding="utf-8")
    write_recipe(
        folder,
        data="{train: hostile.jsonl, text: text, label: label, max_length: 32}",
        train="{epochs: 1, batch_size: 32, learning_rate: 1e-3, log_every: 1}",
    )
    recipe = folder / "recipe.yaml"
    named = recipe.read_text(encoding="utf-8").replace("name: tiny", "name: '<i>tiny</i>'")
    recipe.write_text(named, encoding="utf-8")


if __name__ == "__main__":
    write_hostile(Path(sys.argv[1]))
    subprocess.run([sys.executable, "-m", "accel_cls.train", "recipe.yaml"], cwd=sys.argv[1], check=True)
