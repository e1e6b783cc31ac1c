"""A run folder by itself: its name, whether it is finished, its metrics and how they are rewound."""

import errno
import json

import pytest
from run_folders import files_of

from accel_cls.atomic import write_json
from accel_cls.runs.folder import RunFolder
from accel_cls.runs.resume import Action, decide_without_data


def test_set_aside_takes_the_next_free_number(tmp_path):
    for expected in ("food.1", "food.2", "food.3"):
        folder = RunFolder(tmp_path / "food")
        folder.path.mkdir()
        (folder.path / "a").write_text(expected)
        assert folder.set_aside() == tmp_path / expected
    assert not (tmp_path / "food").exists()
    assert files_of(tmp_path) == {f"food.{n}/a": f"food.{n}".encode() for n in (1, 2, 3)}


def test_link_that_leads_nowhere_is_no_place_for_a_run(tmp_path):
    (tmp_path / "run").symlink_to("nowhere")
    decision = decide_without_data(RunFolder(tmp_path / "run"))
    assert (decision.action, decision.why) == (Action.REFUSE, "is a link to nowhere, which is not there")
    (tmp_path / "nowhere").mkdir()
    assert decide_without_data(RunFolder(tmp_path / "run")).action == Action.BEGIN


def test_empty_and_finished(tmp_path):
    folder = RunFolder(tmp_path / "food")
    assert folder.is_empty
    folder.path.mkdir()
    assert folder.is_empty
    (folder.path / "recipe.yaml").write_text("x")
    assert not folder.is_empty
    assert not folder.is_finished
    write_json(folder.results, {})
    assert folder.is_finished


def test_rewind_drops_what_lies_after_the_update(tmp_path):
    folder = RunFolder(tmp_path)
    for update in (1, 2, 2, 3, 4):
        folder.append_metrics([{"update": update, "loss": 0.5}])
    folder.rewind(2, 2)
    lines = folder.metrics.read_text().splitlines()
    assert [json.loads(line)["update"] for line in lines] == [1, 2, 2]
    folder.append_metrics([{"update": 3}])
    assert folder.metrics.read_text().endswith('}\n{"update": 3}\n')


@pytest.mark.parametrize("torn", [b'{"upda', b"{", b'{"update": 2, "na', '{"update": 2, "名'.encode()[:-1]])
def test_rewind_drops_a_line_that_was_cut_off(tmp_path, torn):
    folder = RunFolder(tmp_path)
    folder.append_metrics([{"update": 1}])
    with open(folder.metrics, "ab") as file:
        file.write(torn)
    folder.rewind(5, 5)
    assert folder.metrics.read_bytes() == b'{"update": 1}\n'


def test_rewind_keeps_a_whole_last_line_without_its_end(tmp_path):
    folder = RunFolder(tmp_path)
    folder.metrics.write_text('{"update": 1}\n{"update": 2}')
    folder.rewind(5, 5)
    assert folder.metrics.read_text() == '{"update": 1}\n{"update": 2}\n'


def test_rewind_drops_an_evaluation_that_the_checkpoint_has_not(tmp_path):
    folder = RunFolder(tmp_path)
    folder.append_metrics([{"update": 4, "evaluation": {}}, {"update": 8, "loss": 1}, {"update": 8, "evaluation": {}}])
    folder.rewind(8, 4)
    kept = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert kept == [{"update": 4, "evaluation": {}}, {"update": 8, "loss": 1}]


def test_lines_that_find_no_room_leave_no_part_of_themselves(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.append_metrics([{"update": 1}])

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("accel_cls.runs.folder.os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            folder.append_metrics([{"update": 2}])
    folder.append_metrics([{"update": 2}, {"update": 3}])
    assert folder.metrics.read_text() == '{"update": 1}\n{"update": 2}\n{"update": 3}\n'


def test_rewind_of_nothing(tmp_path):
    RunFolder(tmp_path).rewind(5, 5)
    assert files_of(tmp_path) == {}
