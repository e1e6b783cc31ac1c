"""Files that are not UTF-8: read as what their letters say, or the user is asked; never as Chinese by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import cli

from accel_cls.data.data_file import DataFile
from accel_cls.data.encoding import detect_encoding
from accel_cls.errors import UserError
from accel_cls.recipe import load_recipe

GERMAN = ["Das Gerät ist sehr schön", "Größe und Länge stimmen", "völlig ungenügend und übel", "nie wieder: ärgerlich"]
FRENCH = ["Très déçu par le goût", "l'emballage était cassé à l'arrivée", "très fort et frais", "même pas salé"]
CHINESE = ["味道很好，送餐也快", "难吃，服务态度差", "iPhone手机壳不错", "包装破损，客服不理人"]


def write(path: Path, texts: list[str], encoding: str) -> Path:
    rows = [f"{text} {i},{'gut' if i % 2 else 'schlecht'}" for i, text in enumerate(texts * 6)]
    path.write_bytes("\n".join(["text,label", *rows, ""]).encode(encoding))
    return path


@pytest.mark.parametrize(
    ("texts", "encoding", "found"),
    [
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE[:1], "gbk", "gb18030"),
        (["這個味道很好，送餐也快", "難吃，服務態度差，不會再點了"], "big5", "big5"),
        (GERMAN, "latin-1", "cp1252"),  # all of whose bytes are GB18030, too: Das Ger鋞 ist sehr sch鰊
        (["Bardzo słaba jakość, przesyłka późno", "Źle zapakowane żółte pudełko"], "cp1250", "cp1250"),
        (["Очень хорошее качество, доставка быстрая", "Плохое обслуживание, ждали долго"], "cp1251", "cp1251"),
    ],
)
def test_letters_tell_an_encoding(texts: list[str], encoding: str, found: str, tmp_path: Path) -> None:
    notes: list[str] = []
    path = write(tmp_path / "a.csv", texts, encoding)
    assert detect_encoding(DataFile.at(path), notes) == found
    assert path.read_text(encoding=found).splitlines()[1].startswith(texts[0])
    assert notes == [f"a.csv: not UTF-8 (line 2), read as {'GB18030' if found == 'gb18030' else found}"]


def test_where_several_are_possible_the_user_is_asked_and_shown_what_each_says(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", FRENCH, "latin-1")
    with pytest.raises(UserError, match="line 2 is not UTF-8, and could be several encodings") as caught:
        detect_encoding(DataFile.at(path), [])
    assert "cp1252: 'Très'" in str(caught.value) or "cp1252 or latin_1: 'Très'" in str(caught.value)
    assert "data.encoding=cp1252 (accel-cls new or predict: --encoding)" in str(caught.value)
    assert detect_encoding(DataFile.at(path), [], "cp1252") == "cp1252"
    with pytest.raises(UserError, match="line 2 is not ascii"):
        detect_encoding(DataFile.at(path), [], "ascii")


def test_new_writes_the_encoding_and_training_reads_by_it(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.csv", FRENCH, "latin-1")
    status, _, errors = cli(capsys, "new", "a.csv")
    assert status == 2
    assert "could be several encodings" in errors
    assert cli(capsys, "new", "a.csv", "--encoding", "cp1252")[0] == 0
    assert load_recipe("a.yaml").data.encoding == "cp1252"
    status, said, _ = cli(capsys, "check", "a.yaml")
    assert status in (0, 1)
    assert "Très" in said or "était" in said or "même" in said
    write(tmp_path / "b.csv", CHINESE, "gb18030")
    assert cli(capsys, "new", "b.csv")[0] == 0
    assert load_recipe("b.yaml").data.encoding == "gb18030"


def test_encoding_that_is_none_is_refused(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.csv", GERMAN, "utf-8")
    assert (
        "--encoding: found 'latin9x'; expected an encoding" in cli(capsys, "new", "a.csv", "--encoding", "latin9x")[2]
    )
    assert cli(capsys, "new", "a.csv")[0] == 0
    assert load_recipe("a.yaml").data.encoding is None
    for name in ("latin9x", "rot13"):  # the second turns text into text, and no bytes
        status, _, errors = cli(capsys, "explain", "a.yaml", f"data.encoding={name}")
        assert status == 2
        assert f"data.encoding: found {name!r}; expected an encoding that Python knows" in errors
