"""What the documents name exists: commands and their options, make targets, files. Every command is in the README."""

import argparse
import re

import pytest

from lect.app.cli import COMMANDS, parser_for
from tests.conftest import ROOT

DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")
ROOMS = ("app", "engine", "exports", "assets", "tests", ".ci")
ROOT_FILE = re.compile(r"[\w.-]+\.(md|toml)|Makefile|LICENSE")


@pytest.fixture(params=DOCUMENTS)
def document(request: pytest.FixtureRequest) -> str:
    """The text of each document."""
    return read(request.param)


def read(name: str) -> str:
    """A document's text; skips the test where nobody has written it yet."""
    path = ROOT / name
    if not path.exists() or not path.read_text(encoding="utf-8").strip():
        pytest.skip(f"{name} is not written yet")
    return path.read_text(encoding="utf-8")


def code(text: str) -> list[str]:
    """Lines of fenced blocks, and what stands between backticks elsewhere."""
    fences = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    joined = "\n".join(fences).replace("\\\n", " ")
    return [*joined.splitlines(), *re.findall(r"`([^`]+)`", rest)]


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


def missing_files(text: str) -> set[str]:
    """Linked files, and paths in code, that are not there; documents that are not written yet say so themselves."""
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link}
    words = {word.rstrip(".") for line in code(text) for word in re.findall(r"[\w./-]+", line)}
    files = {word for word in words if ("/" in word and word.partition("/")[0] in ROOMS) or ROOT_FILE.fullmatch(word)}
    return {name for name in (links | files) - {"", *DOCUMENTS} if not (ROOT / name).exists()}


def missing_targets(text: str) -> set[str]:
    """Make targets that the Makefile lacks."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    return {word for line in code(text) for word in re.findall(r"(?:^|\s)make ([a-z-]+)", line)} - targets


def test_commands_and_their_options_exist(document: str) -> None:
    assert wrong_calls(document) == []


def test_make_targets_exist(document: str) -> None:
    assert missing_targets(document) == set()


def test_files_exist(document: str) -> None:
    assert missing_files(document) == set()


def test_the_readme_names_every_command() -> None:
    assert set(COMMANDS) - {words[0] for words in calls(read("README.md"))} == set()


def test_a_document_that_errs_is_found_out() -> None:
    block = "```\nlect train --max_steps 3  # all\n.venv/bin/lect pack 1 -o a.lect | cat\n```"
    right = (
        f"{block}\n\n`lect --help`, `make test`, `engine/__init__.py`, [the licence](LICENSE), `lect pretrain run C F`"
    )
    assert (wrong_calls(right), missing_targets(right), missing_files(right)) == ([], set(), set())
    wrong = ["lect tarin", "lect train --stepps 3", "lect pretrain rum", "lect pretrain run --voice sw"]
    assert wrong_calls(", ".join(f"`{call}`" for call in wrong)) == wrong
    assert missing_targets("`make coffee`") == {"coffee"}
    assert missing_files("`engine/magic.py` and [more](docs/more.md#there)") == {"engine/magic.py", "docs/more.md"}
