"""Memory limits of containers, read from the files of control groups, versions 1 and 2."""

from __future__ import annotations

from pathlib import Path

from accel_cls.memory.available import cgroup_limits


def test_limits_of_control_groups(tmp_path: Path) -> None:
    two = tmp_path / "v2" / "a" / "b"
    two.mkdir(parents=True)
    (two / "memory.max").write_text("max\n")
    for name, text in (("max", "1000"), ("current", "700"), ("stat", "anon 1\ninactive_file 200\n")):
        (two.parent / f"memory.{name}").write_text(text)
    (tmp_path / "two").write_text("0::/a/b\n")
    assert list(cgroup_limits(tmp_path / "two", tmp_path / "v2")) == [(1000, 500)]

    one = tmp_path / "v1" / "memory"  # the path is the host's, as in a container
    one.mkdir(parents=True)
    for name, text in (("limit_in_bytes", "900"), ("usage_in_bytes", "300"), ("stat", "total_inactive_file 50\n")):
        (one / f"memory.{name}").write_text(text)
    (tmp_path / "one").write_text("9:name=systemd:/\n4:cpu,memory:/docker/x\n")
    assert list(cgroup_limits(tmp_path / "one", tmp_path / "v1")) == [(900, 250)]
    (one / "memory.limit_in_bytes").write_text("9223372036854771712")
    assert list(cgroup_limits(tmp_path / "one", tmp_path / "v1")) == []
    assert list(cgroup_limits(tmp_path / "nowhere", tmp_path)) == []
