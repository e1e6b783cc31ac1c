"""Recipes and profiles that were built to harm: nothing in them runs or hangs, each is refused with a reason."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import BASE
from harm import check_unharmed

from accel_cls.errors import UserError
from accel_cls.profiles import find_profile
from accel_cls.recipe import load_recipe

LOUD = 1500  # no message is longer
SLOW = 30  # seconds that none takes


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """An empty folder, in which nothing has run code at the end."""
    monkeypatch.chdir(tmp_path)
    yield
    check_unharmed()


def _loop() -> Path:
    Path("loop.yaml").symlink_to("loop.yaml")
    return Path("loop.yaml")


def _pipe() -> Path:
    os.mkfifo("pipe.yaml")
    return Path("pipe.yaml")


def _chain(length: int) -> Path:
    for i in range(length):
        Path(f"r{i}.yaml").write_text(f"extends: r{i + 1}.yaml\n", encoding="utf-8")
    Path(f"r{length}.yaml").write_text(BASE, encoding="utf-8")
    return Path("r0.yaml")


def _bomb(kind: str) -> str:
    first, again = ("[x]", "[{}]") if kind == "list" else ("{x: 1}", "{{a: {}}}")
    lines = [f"a0: &a0 {first}"]
    for i in range(1, 12):
        inner = ", ".join([f"*a{i - 1}"] * 9) if kind == "list" else f"*a{i - 1}"
        lines.append(f"a{i}: &a{i} " + again.format(inner))
    return BASE + "\n".join(lines) + "\n"


TAGS = [
    "!!python/object/apply:os.mkdir [HARMED]",
    "!!python/object/new:os.mkdir [HARMED]",
    "!!python/object:pathlib.Path {}",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/tuple [a, b]",
    "!!python/bytes aGk=",
    "!<tag:yaml.org,2002:python/object/apply:os.mkdir> [HARMED]",
    "!!binary aGk=",
    "!!timestamp 2020-01-01",
    "!include /etc/passwd",
    "!ENV ${HOME}",
]

RECIPES: list[tuple[str, str | bytes | Callable[[], Path], list[str]]] = [
    *(
        (f"tag {tag[:40]}", BASE + f"seed: {tag}\n", ["r.yaml:4:7", "found the tag", "recipes use no tags"])
        for tag in TAGS
    ),
    (
        "tag by a directive",
        "%TAG ! tag:yaml.org,2002:python/\n---\n" + BASE + "seed: !object/apply:os.mkdir [HARMED]\n",
        ["r.yaml:6:7", "found the tag"],
    ),
    ("tag as a key", BASE + "!!python/name:os.mkdir x: 1\n", ["r.yaml:4:1", "found the tag"]),
    ("a billion laughs of lists", _bomb("list"), ["r.yaml:5:", "found the alias *a0"]),
    ("a billion laughs of mappings", _bomb("mapping"), ["r.yaml:5:", "found the alias *a0"]),
    ("anchor within itself", BASE + "train: &a {epochs: *a}\n", ["r.yaml:4:20", "found the alias *a"]),
    ("merge key", BASE + "train: {<<: {epochs: 3}}\n", ["r.yaml:4:9", "merge keys (<<) are not used"]),
    ("key twice", BASE + "seed: 1\nseed: 2\n", ["r.yaml:5:1", "this key stands twice, first at line 4"]),
    ("key twice, written differently", BASE + 'seed: 1\n"seed": 2\n', ["r.yaml:5:1", "this key stands twice"]),
    ("lists 100,000 deep", BASE + "train: " + "[" * 100_000, ["r.yaml:4:", "nested too deeply"]),
    ("mappings 100,000 deep", BASE + "train: " + "{a: " * 100_000, ["r.yaml:4:", "nested too deeply"]),
    ("lists by dashes 10,000 deep", BASE + "train:\n  " + "- " * 10_000 + "x\n", ["r.yaml:5:", "nested too deeply"]),
    (
        "lists 60 deep",
        BASE + "train: " + "[" * 60 + "]" * 60 + "\n",
        ["r.yaml:4:8", "train: found [[", "expected a mapping"],
    ),
    (
        "number of 5,000 digits",
        BASE + f"seed: {'9' * 5000}\n",
        ["r.yaml:4:7", "seed: found inf; expected a whole number"],
    ),
    (
        "hexadecimal of 5,000 digits",
        BASE + f"seed: 0x{'f' * 5000}\n",
        ["r.yaml:4:7", "seed: found inf; expected a whole number"],
    ),
    ("number of 300 digits", BASE + f"seed: {'9' * 300}\n", ["r.yaml:4:7", "expected a whole number from 0"]),
    (
        "epochs of 300 digits in an exponent",
        BASE + "train: {learning_rate: 1e999}\n",
        ["r.yaml:4:24", "train.learning_rate"],
    ),
    ("no number", BASE + "train: {learning_rate: .nan}\n", ["r.yaml:4:24", "train.learning_rate"]),
    ("text of 300,000 letters", BASE + f"seed: {'a' * 300_000}\n", ["r.yaml:4:7", "seed: found"]),
    ("2 MB", BASE + "# " + "a" * 2_000_000, ["r.yaml", "has more than 1 MB"]),
    ("half a character", BASE.replace("name: a", 'name: "\\ud800"'), ["r.yaml", "name"]),
    (
        "half a character as a class",
        BASE.replace("a.csv}", 'a.csv, labels: ["\\udc00", b]}'),
        ["r.yaml:3:31", "data.labels[0]: found half a character"],
    ),
    ("half a character as a key", BASE + '"\\ud800": 1\n', ["r.yaml:4:1", "found half a character"]),
    ("NUL in a path", BASE.replace("a.csv", '"a\\0.csv"') + "sed: 1\n", ["r.yaml:4:1", "sed: unknown key"]),
    ("terminal escape in a value", BASE + 'seed: "\\e[31mred"\n', ["r.yaml:4:7", r"seed: found '\x1b[31mred'"]),
    ("terminal escape in a key", BASE + '"\\e[31mred": 1\n', ["r.yaml:4:1", r"\x1b[31mred: unknown key"]),
    ("bidirectional override", BASE + "seed: a\u202eb\n", ["r.yaml:4:7", r"    seed: a\u202eb"]),
    ("raw terminal escape", BASE + "seed: \x1b[31m\n", ["r.yaml:4:7", "found a control character"]),
    ("UTF-16", BASE.encode("utf-16"), ["r.yaml  not UTF-8 (byte 1)"]),
    ("GBK", "name: 评论\n".encode("gbk"), ["r.yaml  not UTF-8 (byte 7)"]),
    ("NULs", bytes(1000), ["r.yaml:1:1", "found a control character"]),
    ("gzip", b"\x1f\x8b\x08\0" + bytes(100), ["r.yaml  not UTF-8 (byte 2)"]),
    ("two documents", BASE + "---\n" + BASE, ["r.yaml:4:1", "not readable as YAML"]),
    ("a list", "- name: a\n", ["r.yaml:1:1", "found no mapping"]),
    (
        "remote code",
        BASE + "model: {name: x, trust_remote_code: true}\n",
        ["model.trust_remote_code: unknown key", "never run"],
    ),
    ("attribute as a key", BASE + "__class__: x\n", ["r.yaml:4:1", "__class__: unknown key"]),
    ("pydantic's own key", BASE + "model_config: {extra: allow}\n", ["model_config: unknown key"]),
    (
        "separator is a quote",
        BASE.replace("a.csv}", "a.csv, separator: '\"'}"),
        ["data.separator: found '\"'; expected a character that neither"],
    ),
    (
        "separator is the quote that is said",
        BASE.replace("a.csv}", 'a.csv, separator: "\'", quote: single}'),
        ['data.separator: found "\'"; expected a character that neither'],
    ),
    (
        "separator is a line end",
        BASE.replace("a.csv}", 'a.csv, separator: "\\n"}'),
        ["data.separator: found '\\n'; expected a character that neither"],
    ),
    ("chain of 200 recipes", lambda: _chain(200), ["extends: ", "more than 50 recipes"]),
    ("extends itself", BASE + "extends: r.yaml\n", ["extends: goes in a circle"]),
    ("extends a device", BASE + "extends: /dev/zero\n", ["extends: found '/dev/zero', but there is no file"]),
    ("extends a folder", BASE + "extends: .\n", ["extends: found '.', but there is no file"]),
    (
        "extends an address",
        BASE + "extends: https://example.org/r.yaml\n",
        ["extends: found 'https://", "but there is no file"],
    ),
    ("extends a file that is no recipe", BASE + "extends: /etc/passwd\n", ["/etc/passwd"]),
    ("device", lambda: Path("/dev/zero"), ["/dev/zero  can't be read: it is no file"]),
    ("pipe", _pipe, ["pipe.yaml  can't be read: it is no file"]),
    ("folder", lambda: Path("."), ["can't be read: "]),
    ("link to itself", _loop, ["loop.yaml  can't be read"]),
    ("name with a terminal escape", lambda: Path("\x1b[2J.yaml"), [r"\x1b[2J.yaml  can't be read"]),
    ("name with NUL", lambda: Path("a\0.yaml"), [r"a\x00.yaml  can't be read"]),
    ("name of 5,000 letters", lambda: Path("a" * 1000), ["can't be read"]),
]


def _check(said: str, expected: list[str]) -> None:
    for part in expected:
        assert part in said
    assert len(said) <= LOUD
    assert not [
        c for c in said if c not in "\n\t" and (ord(c) < 32 or 127 <= ord(c) < 160 or "\ud800" <= c <= "\udfff")
    ]


@pytest.mark.parametrize(("content", "expected"), [case[1:] for case in RECIPES], ids=[case[0] for case in RECIPES])
def test_recipe_is_refused(content, expected):
    if callable(content):
        path = content()
    else:
        path = Path("r.yaml")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    began = time.monotonic()
    with pytest.raises(UserError) as caught:
        load_recipe(path)
    _check(str(caught.value), expected)
    assert time.monotonic() - began < SLOW


OVERRIDES = [
    ("seed=!!python/object/apply:os.mkdir [HARMED]", "found the tag"),
    ("train={a: &x 1, b: *x}", "found the alias *x"),
    ("train=" + "[" * 50_000, "nested too deeply"),
    (".".join("a" * 9) + "=1", "expected key=value"),
    ("seed=\x1b[31m", "found a control character"),
    ("__class__.__init__=1", "unknown key"),
    ("data.train=\udcff.csv", "found a control character"),
    ("model.trust_remote_code=true", "code that comes with a model is never run"),
]


@pytest.mark.parametrize(("override", "expected"), OVERRIDES, ids=[case[1] for case in OVERRIDES])
def test_override_is_refused(override, expected):
    Path("r.yaml").write_text(BASE, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_recipe("r.yaml", [override])
    _check(str(caught.value)[:LOUD], [expected])


# What is odd, and means what it says

TAKEN: list[tuple[str, str, Any]] = [
    ("command", "$(touch HARMED)", "$(touch HARMED)"),
    ("template", "'{{ 7*7 }} ${HOME} %(x)s'", "{{ 7*7 }} ${HOME} %(x)s"),
    ("right to left", "'\u05e9\u05dc\u05d5\u05dd'", "שלום"),
    ("emoji of plane 1", "😀", "😀"),
    ("combining characters", "'e\u0301'", "e\u0301"),
    ("word that YAML 1.1 takes for false", "no", "no"),
    ("path that escapes", "'../../x'", "../../x"),
]


@pytest.mark.parametrize(("written", "name"), [case[1:] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_name_is_taken_as_written(written, name):
    Path("r.yaml").write_text(BASE.replace("name: a", f"name: {written}"), encoding="utf-8")
    assert load_recipe("r.yaml").name == name


# Hardware profiles

GOOD = "distributed_type: 'NO'\nnum_processes: 1\nnum_machines: 1\nuse_cpu: true\n"
PROFILES: list[tuple[str, str | bytes, str]] = [
    ("tag", GOOD + "x: !!python/object/apply:os.mkdir [HARMED]\n", "not readable as a profile"),
    ("nested deeply", GOOD + "x: " + "[" * 3000, "nested too deeply"),
    ("no UTF-8", b"\xff", "not readable as a profile"),
    ("a list", "- a\n", "found no distributed_type"),
    ("number of 5,000 digits", GOOD + f"x: {'9' * 5000}\n", "not readable as a profile"),
    ("date that is none", GOOD + "x: 2020-13-45\n", "not readable as a profile"),
    ("list as a key", GOOD + "? [a]\n: 1\n", "not readable as a profile"),
    ("processes that are none", GOOD.replace("num_processes: 1", "num_processes: [1]"), "num_processes"),
]


@pytest.mark.parametrize(("content", "expected"), [case[1:] for case in PROFILES], ids=[case[0] for case in PROFILES])
def test_profile_is_refused(content, expected):
    Path("p.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as caught:
        find_profile("p.yaml")
    _check(str(caught.value), ["p.yaml", expected])


def test_good_profile_is_read():
    Path("p.yaml").write_text(GOOD, encoding="utf-8")
    assert find_profile("p.yaml").processes == 1


def test_profile_that_is_a_device():
    with pytest.raises(UserError, match="/dev/zero"):
        find_profile("/dev/zero")


def test_tags_would_run_code_if_they_were_obeyed():
    """Else a test that nothing has run would prove nothing."""
    yaml.unsafe_load("!!python/object/apply:os.mkdir [OBEYED]")
    assert Path("OBEYED").is_dir()
