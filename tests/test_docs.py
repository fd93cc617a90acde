"""What the documents name exists: commands and their options, make targets, files, imports.

Every command has an example. The README stays short: at most 750 words outside fenced code, tables included, and 100
characters a line.
"""

import argparse
import re
import tomllib

import pytest

from lect.app.cli import COMMANDS, parser_for
from tests import ROOT

NEEDED = {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/README.md", "docs/commands.md", "docs/extending.md"}
PLACES = ("*.md", "docs/*.md", "assets/**/*.md")
FOUND = {path.relative_to(ROOT).as_posix() for place in PLACES for path in ROOT.glob(place)}
DOCUMENTS = sorted(NEEDED | FOUND - {"CHANGELOG.md"})  # which may name what is gone, an entry a line
ROOMS = ("app", "engine", "exports", "assets", "tests", "lect", "docs", ".ci")
ROOT_FILE = re.compile(r"[\w.-]+\.(md|toml)|Makefile|LICENSE")
FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
README_WORDS, README_WIDTH = 750, 100
WIDTH = 120  # of prose elsewhere


@pytest.fixture(params=DOCUMENTS)
def name(request: pytest.FixtureRequest) -> str:
    """Each document's path from the root."""
    return str(request.param)


@pytest.fixture
def document(name: str) -> str:
    """The text of each document."""
    return read(name)


def read(name: str) -> str:
    """A document's text, which must be there."""
    text = (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).is_file() else ""
    assert text.strip(), f"{name} is missing or empty"
    return text


def code(text: str) -> list[str]:
    """Lines of fenced blocks, and what stands between backticks elsewhere."""
    joined = "\n".join(FENCE.findall(text)).replace("\\\n", " ")
    return [*joined.splitlines(), *re.findall(r"`([^`]+)`", FENCE.sub("", text))]


def calls(text: str) -> list[list[str]]:
    """The words of each call of `lect`, up to a comment, a pipe or the next command."""
    found = [re.search(r"(?:^|[\s/$])lect\s+([^#|;&<>]*)", line) for line in code(text)]
    return [match[1].split() for match in found if match and match[1].split()]


def wrong_calls(text: str) -> list[str]:
    """Calls of commands, stages or options that do not exist."""
    return [f"lect {' '.join(words)}" for words in calls(text) if not is_right(words)]


def is_right(words: list[str]) -> bool:
    """Whether `lect` knows the command, its stage where it has stages, and every option."""
    if words[0].startswith("-") or not re.fullmatch(r"[a-z]+", words[0]):
        return True  # `lect --help`, `lect COMMAND`
    if words[0] not in COMMANDS:
        return False
    parser = parser_for(words[0])
    options = set(parser._option_string_actions)
    stages = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if stages and words[1:]:
        if words[1] not in stages[0].choices:
            return False
        options |= set(stages[0].choices[words[1]]._option_string_actions)
    return {word.partition("=")[0].replace("_", "-") for word in words if re.match(r"--?[a-z]", word)} <= options


def missing_files(text: str, name: str) -> set[str]:
    """Linked files, from the document's folder, and paths in code, from there or from the root, that are not there."""
    folder = (ROOT / name).parent
    links = {link.partition("#")[0] for link in LINK.findall(text) if "://" not in link} - {""}
    words = {word.rstrip(".") for line in code(text) for word in re.findall(r"[\w./-]+", line)}
    files = {word for word in words if ("/" in word and word.partition("/")[0] in ROOMS) or ROOT_FILE.fullmatch(word)}
    lost = {file for file in files if not ((ROOT / file).exists() or (folder / file).exists())}
    return lost | {link for link in links if not (folder / link).exists()}


def missing_targets(text: str) -> set[str]:
    """Make targets that the Makefile lacks."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    return {word for line in code(text) for word in re.findall(r"(?:^|\s)make ([a-z-]+)", line)} - targets


def words_of(text: str) -> int:
    """Words outside fenced blocks and link targets; a word has a letter or a digit."""
    return sum(bool(re.search(r"\w", word)) for word in LINK.sub("]", FENCE.sub("", text)).split())


def long_lines(text: str) -> list[str]:
    """Lines of prose that are too long to be read as they stand; tables and code cannot be wrapped."""
    lines = FENCE.sub("", text).splitlines()
    return [line for line in lines if len(line) > WIDTH and not line.startswith("|")]


def test_commands_and_their_options_exist(document: str) -> None:
    assert wrong_calls(document) == []


def test_make_targets_exist(document: str) -> None:
    assert missing_targets(document) == set()


def test_files_exist(document: str, name: str) -> None:
    assert missing_files(document, name) == set()


def test_imports_of_examples_work(document: str) -> None:
    for line in code(document):
        if re.match(r"from lect\b.* import ", line):
            exec(line, {})


def test_prose_is_wrapped(document: str) -> None:
    assert long_lines(document) == []


def test_every_command_has_an_example() -> None:
    assert set(COMMANDS) - {words[0] for words in calls(read("docs/commands.md"))} == set()


def test_the_readme_is_short() -> None:
    text = read("README.md")
    assert words_of(text) <= README_WORDS
    assert max(map(len, text.splitlines())) <= README_WIDTH


def test_the_architecture_shows_the_rooms_of_the_engine_in_their_order() -> None:
    shown = re.findall(r"^  engine/(\w+)/", read("ARCHITECTURE.md"), re.MULTILINE)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(each["layers"] for each in settings["contracts"] if each.get("containers") == ["lect.engine"])
    level = {room: number for number, layer in enumerate(layers) for room in layer.split(" | ")}
    assert sorted(shown) == sorted(level)
    assert [level[room] for room in shown] == sorted(level.values())


def test_every_promise_has_its_test() -> None:
    proofs = re.findall(r"\[(test_\w+)\]\(\.\./(tests/[^)]+)\)", read("docs/promises.md"))
    assert len(proofs) > 20
    assert not [name for name, path in proofs if f"def {name}(" not in read(path)]


def test_a_document_that_errs_is_found_out() -> None:
    block = "```\nlect train --max_steps 3  # all\n.venv/bin/lect pack 1 -o a.lect | cat\n```"
    right = (
        f"{block}\n\n`lect --help`, `make test`, `engine/__init__.py`, [the licence](LICENSE), `lect pretrain run C F`"
    )
    assert (wrong_calls(right), missing_targets(right), missing_files(right, "README.md")) == ([], set(), set())
    wrong = ["lect tarin", "lect train --stepps 3", "lect pretrain rum", "lect pretrain run --voice sw"]
    assert wrong_calls(", ".join(f"`{call}`" for call in wrong)) == wrong
    assert missing_targets("`make coffee`") == {"coffee"}
    files = "`engine/magic.py`, `lect/magic.py` and [more](docs/more.md#there)"
    assert missing_files(files, "README.md") == {"engine/magic.py", "lect/magic.py", "docs/more.md"}
    assert missing_files("[up](../LICENSE), [down](README.md), [not](LICENSE)", "docs/README.md") == {"LICENSE"}
    assert words_of(f"{block}\n| two | [words](of/no/length.md) |\n| --- | --- |") == 2
    assert long_lines(f"{'a ' * WIDTH}\n| {'b ' * WIDTH}\n") == ["a " * WIDTH]
