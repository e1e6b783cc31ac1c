"""From YAML text and command-line overrides to one tree of values that know where they were written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from accel_cls.recipe.errors import Origin, Problem, RecipeError

_HALF = re.compile("[\ud800-\udfff]")
_MOST_BYTES = 1_000_000
_DEEPEST = 64  # lists and mappings within one another; a recipe has 4
_LONGEST_CHAIN = 50  # recipes that extend one another
_DEEP = "not readable as YAML: nested too deeply to be a recipe"


class _Loader(yaml.SafeLoader):
    """Safe YAML whose numbers are those of YAML 1.2: `2e-5` is a float, `017` is no octal, `1:30` no clock."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 - PyYAML's own attribute


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def _number(text: str) -> int | float:
    sign, digits = (-1 if text.startswith("-") else 1), text.lstrip("+-")
    if digits.startswith(("0x", "0o")):
        value = int(digits, 0)
        return sign * (value if value.bit_length() < 1024 else float("inf"))  # as more digits than Python takes
    try:
        return sign * int(digits)
    except ValueError:
        return sign * float(digits.lower().replace(".inf", "inf").replace(".nan", "nan"))


@dataclass
class Node:
    """A value with its origin. `value` is a scalar, a list of nodes, or a dict of nodes."""

    value: Any
    origin: Origin
    key_origins: dict[Any, Origin] = field(default_factory=dict)  # of a dict's keys
    replaced: Node | None = None  # what stood here before an heir or an override said otherwise
    resets: dict[Any, Node] = field(default_factory=dict)  # of a dict: the nulls that set keys back to their defaults

    def plain(self) -> Any:
        """The value without origins, as JSON-like Python objects."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def _convert(node: yaml.Node, at: Any, problems: list[Problem], path: str = "") -> Node:
    """A composed YAML node as a `Node`; `at(mark)` gives the origin of a YAML mark."""
    here = at(node.start_mark)
    tag = node.tag.removeprefix("tag:yaml.org,2002:")
    if isinstance(node, yaml.ScalarNode):
        if tag in ("int", "float"):
            return Node(_number(node.value), here)
        if tag == "bool":
            return Node(node.value.lower() == "true", here)
        if _HALF.search(node.value):
            problems.append(Problem(here, path, "found half a character, an escape such as \\ud83d; write it whole"))
        return Node(None if tag == "null" else _HALF.sub("\ufffd", node.value), here)
    if isinstance(node, yaml.SequenceNode):
        items = [_convert(item, at, problems, f"{path}[{i}]") for i, item in enumerate(node.value)]
        return Node(items, here)
    result = Node({}, here)
    for key_node, value_node in node.value:
        key_at = at(key_node.start_mark)
        if key_node.tag == "tag:yaml.org,2002:merge":
            problems.append(
                Problem(key_at, path, "merge keys (<<) are not used in recipes; write `extends: FILE` instead")
            )
            continue
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(Problem(key_at, path, "found a list or mapping as a key; expected a plain key"))
            continue
        key = _convert(key_node, at, problems, path).value
        inner = f"{path}.{key}" if path else str(key)
        if key in result.value:
            first = result.key_origins[key].line
            there = f", first at line {first}" if first else ""
            problems.append(Problem(key_at, inner, f"this key stands twice{there}; keep one"))
            continue
        result.key_origins[key] = key_at
        result.value[key] = _convert(value_node, at, problems, inner)
    return result


def _parse(text: str, at: Any, problems: list[Problem], path: str = "") -> Node | None:
    """YAML text as a tree; None, with the reason in `problems`, where it is no plain YAML."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:  # at once: PyYAML's time grows with the square of it
                problems.append(Problem(at(event.start_mark), path, _DEEP))
                return None
            # An alias is a copy of its anchor; refusing them also refuses "a billion laughs".
            if isinstance(event, yaml.AliasEvent):
                message = f"found the alias *{event.anchor}; write the value out instead"
                problems.append(Problem(at(event.start_mark), path, message))
                return None
            tag = getattr(event, "tag", None)
            if tag is not None:
                message = f"found the tag {tag.replace('tag:yaml.org,2002:', '!!')}; recipes use no tags"
                problems.append(Problem(at(event.start_mark), path, message))
                return None
        composed = yaml.compose(text, Loader=_Loader)
        return Node(None, at(None)) if composed is None else _convert(composed, at, problems, path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(part for part in (error.context, error.problem) if part)
        began = error.context_mark
        if began is not None and mark is not None and began.line != mark.line:
            message += f" (it began at line {began.line + 1})"
        if "'\\t'" in message:
            message = "found a tab; YAML is indented with spaces only"
    except yaml.YAMLError as error:  # a character that YAML forbids carries a position, but no mark
        before = text[: getattr(error, "position", 0)]
        mark = yaml.Mark("", len(before), before.count("\n"), len(before) - before.rfind("\n") - 1, None, 0)
        problems.append(Problem(at(mark), path, "found a control character that YAML does not allow; delete it"))
        return None
    except (ValueError, OverflowError):  # an escape beyond Unicode, or thousands of digits
        mark, message = None, "found an escape or a number that is too large"
    problems.append(Problem(at(mark), path, f"not readable as YAML: {message}"))
    return None


def read_scalar(text: str) -> Any:
    """What a plain, unquoted text means in a recipe: a number, true, null, or itself."""
    tag = yaml.resolver.BaseResolver.resolve(_Loader(""), yaml.ScalarNode, text, (True, False))
    return _number(text) if tag.endswith((":int", ":float")) else text


def read_file(path: Path, problems: list[Problem]) -> Node | None:
    """A recipe file as a tree whose top is a mapping; None, with the reason in `problems`, where it is not."""
    shown = os.path.relpath(path) if not path.is_absolute() or path.is_relative_to(Path.cwd()) else str(path)
    folder = path.absolute().parent
    whole = Origin(shown, folder=folder)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a device or a pipe may have no end
            problems.append(Problem(whole, "", "can't be read: it is no file; name the recipe's file"))
            return None
        if path.stat().st_size > _MOST_BYTES:
            message = "has more than 1 MB; a recipe has a thousandth of it. Is it a data file?"
            problems.append(Problem(whole, "", message))
            return None
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(Problem(whole, "", f"not UTF-8 (byte {error.start + 1}); save the recipe as UTF-8"))
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problems.append(Problem(whole, "", f"can't be read: {reason}"))
        return None
    lines = text.splitlines()

    def at(mark: yaml.Mark | None) -> Origin:
        if mark is None:
            return Origin(shown, "", 1, 1, folder)
        line = lines[mark.line] if mark.line < len(lines) else ""
        return Origin(shown, line, mark.line + 1, mark.column + 1, folder)

    tree = _parse(text, at, problems)
    if tree is None:
        return None
    if tree.value is None:
        tree.value = {}
    if not isinstance(tree.value, dict):
        problems.append(Problem(tree.origin, "", "found no mapping; expected `key: value` lines"))
        return None
    return tree


def read_plain(path: Path) -> dict[Any, Any]:
    """What stands in one recipe file, such as a run's recipe.yaml, as plain Python values; neither merged nor checked.

    By the reader of all recipes: PyYAML's own takes YAML 1.1, to which the class names `yes` and `on` are both true.

    Raises:
        RecipeError: where it can't be read.
    """
    problems: list[Problem] = []
    tree = read_file(path, problems)
    if tree is None or problems:
        raise RecipeError(problems)
    return tree.plain()


def merge(base: Node, over: Node) -> Node:
    """`over` laid on `base`: mappings merge key by key, everything else replaces, null included."""
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return replace(over, replaced=base)
    merged = Node(dict(base.value), over.origin, base.key_origins | over.key_origins)
    for key, node in over.value.items():
        merged.value[key] = merge(merged.value[key], node) if key in merged.value else node
    return merged


def walk(tree: Node, key: Sequence[Any]) -> Iterator[tuple[Any, Node]]:
    """The nodes along `key` as far as they exist, skipping the parts that pydantic adds for unions."""
    node = tree
    for part in key:
        value = node.value
        if part in value if isinstance(value, dict) else isinstance(value, list) and part in range(len(value)):
            node = value[part]
            yield part, node


def origin_of(tree: Node, key: Sequence[Any]) -> Origin:
    """Where the value under `key` was written; where it was not, its nearest ancestor."""
    origin = tree.origin
    for _, node in walk(tree, key):
        origin = node.origin
    return origin


def read_chain(path: Path, problems: list[Problem], above: tuple[Path, ...] = ()) -> Node | None:
    """A recipe file merged over all that its `extends` names, the furthest ancestor first."""
    tree = read_file(path, problems)
    if tree is None or "extends" not in tree.value:
        return tree
    named = tree.value.pop("extends")
    tree.key_origins.pop("extends")
    if named.value is None:
        return tree
    if not isinstance(named.value, str):
        problems.append(Problem(named.origin, "extends", f"found {named.plain()!r}; expected one recipe's path"))
        return tree
    try:
        parent = path.parent / Path(named.value).expanduser()
        chain = (*above, path.resolve())
        is_circle, is_file = parent.resolve() in chain, parent.is_file()
    except (OSError, ValueError, RuntimeError):  # no such user, a NUL, a name of thousands of characters
        problems.append(Problem(named.origin, "extends", f"found {named.value[:60]!r}; expected a recipe's path"))
        return tree
    if len(chain) >= _LONGEST_CHAIN:
        message = f"more than {_LONGEST_CHAIN} recipes extend one another; write some of them out"
        problems.append(Problem(named.origin, "extends", message))
        return tree
    if is_circle:
        circle = " → ".join(step.name for step in (*chain[chain.index(parent.resolve()) :], parent))
        problems.append(Problem(named.origin, "extends", f"goes in a circle: {circle}"))
        return tree
    if not is_file:
        message = f"found {named.value!r}, but there is no file {os.path.relpath(parent)}"
        problems.append(Problem(named.origin, "extends", message))
        return tree
    base = read_chain(parent, problems, chain)
    return tree if base is None else merge(base, tree)


def read_override(text: str, problems: list[Problem]) -> Node | None:
    """One `key.path=value` of the command line as a tree with that one value; `~key.path` resets the key."""
    origin = Origin("override", text, folder=Path.cwd())
    dotted, equals, value = text.partition("=")
    if text.startswith("~") and not equals:
        dotted, equals, value = text[1:], "=", "null"
    keys = [part.strip() for part in dotted.split(".")]
    if not equals or not all(keys) or len(keys) > 8:  # no key of a recipe lies deeper than 4
        problems.append(Problem(origin, "", "expected key=value, such as train.epochs=5, or ~key to reset it"))
        return None
    if value.lstrip()[:1] in ("|", ">", "#"):  # of one line nobody means a block, or a comment: data.separator=|
        value = to_yaml_line(value.strip())
    node = _parse(value, lambda mark: origin, problems, ".".join(keys))
    if node is None:
        return None
    for key in reversed(keys):
        scalar: Any = int(key) if re.fullmatch(r"[-+]?[0-9]{1,18}", key) else key
        node = Node({scalar: node}, origin, {scalar: origin})
    return node


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would not read back as a string."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def to_yaml(plain: Any) -> str:
    """Plain Python values as YAML that reads back as the same values."""
    return yaml.dump(plain, Dumper=_Dumper, allow_unicode=True, sort_keys=False)


def to_yaml_line(plain: Any) -> str:
    """The same on one line, as it may stand behind a key; a number as short as people write it."""
    if isinstance(plain, float):
        return f"{plain:g}"
    # Within a list even a plain text is quoted where it has to be.
    style: Any = {"default_flow_style": True, "width": float("inf")}
    return yaml.dump([plain], Dumper=_Dumper, allow_unicode=True, sort_keys=False, **style).strip()[1:-1]


def leaves(tree: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Each value of a tree of mappings, under its dotted key."""
    if not isinstance(tree, dict):
        return [(prefix, tree)]
    return [leaf for key, value in tree.items() for leaf in leaves(value, f"{prefix}.{key}" if prefix else str(key))]
