"""What a person chooses on the page becomes the request that the command line makes of the same words."""

from pathlib import Path

import pytest

from lect.app.cli import parser_for
from lect.app.output import duration
from lect.app.page.texts import catalogues, words_in
from lect.app.page.train_form import EFFORTS, FIELDS, GROUPS, METHODS, FieldError, plan, request
from lect.app.train_options import arguments, option, request_of
from lect.engine.audio.writing import write_wav
from lect.engine.contract.adaptation_spec import AUTO
from lect.engine.contract.errors import LectError
from lect.engine.contract.run_request import STARTER, RunRequest
from lect.engine.data.store import Project
from tests.engine.data.test_store import speech

WRITTEN = ("1", "12", " 3 ", "0", "-1", "0.5", "1.5", "1e-3", "nan", "inf", "many", "e:last1", "²")


def chosen(**written: str) -> RunRequest:
    """The page's request with these fields of the expert drawer, and all else as it is at first."""
    return request(AUTO, "usual", "tiny", "auto", "auto", None, *(written.get(name, "") for name in FIELDS))


def outcome(make) -> object:  # type: ignore[no-untyped-def]
    """What a function gives, or that it refuses."""
    try:
        return make()
    except LectError:
        return LectError


def test_untouched_choices_are_what_the_command_does_by_itself() -> None:
    assert request(AUTO, "usual", None, "auto", "auto", None, *[""] * len(FIELDS)) == RunRequest()


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_takes_what_its_option_takes(field: str) -> None:
    for value in WRITTEN:
        words = ["--backbone", "tiny", f"{option(field)}={value.strip()}"]
        asked = outcome(lambda words=words: request_of(parser_for("train").parse_args(words)))
        assert outcome(lambda value=value: chosen(**{field: value})) == asked, value
    assert chosen(**{field: WRITTEN[0]}) != chosen(), "the field changes nothing"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("rank", "many", "Rank: write a whole number above 0."),
        ("ctc_weight", "1.5", "Weight of CTC, 0 to 1: write a number from 0 to 1."),
        ("learning_rate", "fast", "Learning rate: write a number such as 0.003."),
        ("seed", "0.5", "Seed: write a whole number."),
    ],
)
def test_what_is_no_number_is_named_with_its_field(field: str, value: str, sentence: str) -> None:
    with pytest.raises(FieldError) as refused:
        chosen(**{field: value})
    assert refused.value.sentence(words_in("en")) == sentence


def test_every_field_and_method_has_words_and_ranges_are_told_in_them() -> None:
    texts = catalogues()["en"]
    wanted = {f"expert_{name}{end}" for name in FIELDS for end in ("", "_info")}
    wanted |= {f"expert_group_{group}" for group in GROUPS} | {f"choose_{name}" for name in METHODS}
    wanted |= {f"range_{read.__name__}" for read in FIELDS.values() if read is not str}
    assert wanted <= texts.keys()


def test_steps_that_are_written_go_before_how_long() -> None:
    quick = request("lora", "quick", "tiny", "cpu", "words", "/tmp/book.txt", *[""] * len(FIELDS))
    assert quick.settings.max_steps == EFFORTS["quick"]
    assert arguments(quick) == [
        *("--backbone", "tiny", "--device", "cpu", "--vocabulary", "words", "--texts", "/tmp/book.txt"),
        *("--method", "lora", "--max-steps", "200"),
    ]
    written = ("30" if name == "max_steps" else "" for name in FIELDS)
    assert request("lora", "quick", "tiny", "cpu", "auto", None, *written).settings.max_steps == 30
    assert "scratch" not in METHODS


def test_what_will_be_trained_is_said_before(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", "p", "nds")
    for seed, (speaker, split) in enumerate((("one", "train"), ("two", ""), ("three", "test"))):
        write_wav(tmp_path / f"{seed}.wav", speech(seed))
        project.keep(tmp_path / f"{seed}.wav", speech(seed), "ba", speaker=speaker, split=split)
    seconds = sum(clip.seconds for clip in project.clips() if clip.speaker != "three")
    words = plan(project, AUTO, None, "auto", words_in("en"))
    assert words.startswith(f"With {duration(seconds)} of 2 speakers Lect will train the last 3 encoder layers")
    assert "and the decoder of Whisper base, and your letters" in words
    assert "encoder layers of Whisper base and your letters" in plan(project, AUTO, None, "words", words_in("en"))
    assert plan(project, AUTO, STARTER, "auto", words_in("en")).endswith("on Starter: Prompt (small, safe).")
    assert "Adapter" in plan(project, "adapter", None, "auto", words_in("en"))
