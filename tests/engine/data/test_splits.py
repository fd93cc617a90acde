"""Splits that leak nothing, waste little, and say what they did."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lect.engine.audio.quality import Quality
from lect.engine.data.clips import SPLITS, Clip
from lect.engine.data.splits import ENOUGH_SPEAKERS, FLOOR_CLIPS, TINY_CLIPS, SplitReport, assign

GOOD = Quality(2.0, -6.0, 0.0, -20.0, -60.0, 40.0, 0.2, 0.2, False, False, "good")


def clip(number: int, text: str = "", speaker: str = "", split: str = "", verdict: str = "good") -> Clip:
    quality = replace(GOOD, verdict=verdict)
    return Clip(number, f"{number:064x}", Path("x.wav"), 2.0, text or f"text {number}", speaker, "xx", split, quality)


def by_speakers(clips: int, speakers: int) -> list[Clip]:
    """Each text once."""
    return [clip(number, speaker=f"s{number % speakers}") for number in range(clips)]


def settled(clips: Sequence[Clip], report: SplitReport) -> list[Clip]:
    """The clips as the store has them after a split."""
    return [replace(each, split=report.assignment[each.id]) for each in clips]


def sides(clips: Sequence[Clip], report: SplitReport, field: str) -> Counter[str]:
    """On how many sides each text or speaker is."""
    pairs = {(getattr(each, field), report.assignment[each.id]) for each in clips if report.assignment[each.id]}
    return Counter(value for value, _ in pairs)


def sizes(report: SplitReport) -> tuple[int, int, int]:
    return report.counts["train"].clips, report.counts["dev"].clips, report.counts["test"].clips


def test_enough_speakers_are_kept_apart() -> None:
    clips = by_speakers(300, 30)
    report = assign(clips)
    assert sizes(report) == (240, 30, 30)
    assert set(sides(clips, report, "speaker").values()) == {1}
    assert "Grouped by speaker and by text" in report.rule and not report.leaks and not report.dropped
    assert report.counts["test"].seconds == 60.0 and report.counts["test"].speakers == 3


@pytest.mark.parametrize("speakers", [1, ENOUGH_SPEAKERS - 1])
def test_few_speakers_are_split_by_text(speakers: int) -> None:
    clips = by_speakers(100, speakers)
    report = assign(clips)
    assert sizes(report) == (80, 10, 10)
    assert "fewer than 5 speakers" in report.rule
    assert any("in both train and test: a new voice may score worse" in leak for leak in report.leaks)


def test_unnamed_speakers_are_said() -> None:
    report = assign([clip(number) for number in range(50)])
    assert "no speaker is named" in report.rule
    assert report.leaks == ["50 clips do not say who speaks: the same voice may be on two sides."]
    clips = [*by_speakers(100, 10), clip(100), clip(101)]
    report = assign(clips)
    assert report.assignment[100] == report.assignment[101] == "train"
    assert report.leaks == ["2 clips do not say who speaks: the same voice may be on two sides."]


def test_the_same_text_is_on_one_side_however_it_is_written() -> None:
    spellings = ("Nɛ́ bá?", "nɛ\u0301  bá", "NƐ́ BÁ.")
    clips = [clip(number, spellings[number % 3] + f" {number // 3}") for number in range(150)]
    report = assign(clips)
    sides_of = {tuple(report.assignment[3 * i + j] for j in range(3)) for i in range(50)}
    assert sides_of == {(split,) * 3 for split in SPLITS}


def test_speakers_who_read_the_same_texts_are_split_by_text() -> None:
    clips = [clip(s * 40 + t, f"a sentence with the number {t}", f"s{s}") for s in range(10) for t in range(40)]
    report = assign(clips)
    assert sizes(report) == (320, 40, 40) and not report.dropped
    assert set(sides(clips, report, "text").values()) == {1}
    assert "read the same texts" in report.rule and "new voice" in report.leaks[0]


def commands(speakers: int) -> list[Clip]:
    return [clip(s * 40 + t, f"word {t}", f"s{s}") for s in range(speakers) for t in range(40)]


def test_commands_are_on_all_sides_and_voices_on_one() -> None:
    report = assign(commands(10))
    assert sizes(report) == (320, 40, 40) and not report.dropped and not report.leaks
    assert set(sides(commands(10), report, "speaker").values()) == {1}
    assert set(sides(commands(10), report, "text").values()) == {3}
    assert report.rule.startswith("40 short texts are said again and again") and "by speaker and by clip" in report.rule


def test_commands_of_few_voices_are_split_by_clip() -> None:
    report = assign(commands(4))
    assert sizes(report) == (128, 16, 16) and "Grouped by clip only, because fewer than 5 speakers" in report.rule
    assert {each.text for each in settled(commands(4), report) if each.split == "train"} == {
        f"word {t}" for t in range(40)
    }


def test_commands_that_are_kept_apart_stay_apart() -> None:
    report = assign(commands(10), apart=True)
    assert set(sides(commands(10), report, "text").values()) == {1}
    more = [*settled(commands(10), report), clip(400, "word 3", "new")]
    again = assign(more)
    assert again.assignment[400] == report.assignment[3] and "short texts" not in again.rule
    assert set(sides(more, assign(more, reassign=True), "text").values()) != {1}


def test_a_few_shared_texts_cost_a_few_clips() -> None:
    clips = [*by_speakers(200, 20), *(clip(200 + s, "good morning", f"s{s}") for s in range(20))]
    report = assign(clips)
    assert "Grouped by speaker" in report.rule
    assert set(sides(clips, report, "speaker").values()) == set(sides(clips, report, "text").values()) == {1}
    assert 0 < len(report.dropped) <= 10
    assert all(report.assignment[id_] == "" and "same text is in train" in why for id_, why in report.dropped)


def test_one_voice_with_most_clips_goes_to_train() -> None:
    clips = [*(clip(n, speaker="main") for n in range(80)), *(clip(80 + n, speaker=f"s{n}") for n in range(20))]
    report = assign(clips)
    assert sizes(report) == (80, 10, 10) and report.counts["train"].speakers == 1


@pytest.mark.parametrize(
    ("clips", "expected"),
    [
        (0, (0, 0, 0)),
        (1, (1, 0, 0)),
        (2, (1, 0, 1)),
        (3, (1, 1, 1)),
        (10, (7, 1, 2)),
        (20, (13, 2, 5)),
        (39, (24, 5, 10)),
    ],
)
def test_tiny_sets_still_have_a_test(clips: int, expected: tuple[int, int, int]) -> None:
    report = assign(by_speakers(clips, 1) if clips else [])
    assert sizes(report) == expected
    assert ("fewer than 40 clips a quarter is kept for the test" in report.rule) == (clips > 1)
    if clips == 1:
        assert "No clip is left to test on: record other texts." in report.leaks


def test_sets_of_forty_have_the_floors() -> None:
    report = assign(by_speakers(TINY_CLIPS, 1))
    assert sizes(report) == (TINY_CLIPS - 2 * FLOOR_CLIPS, FLOOR_CLIPS, FLOOR_CLIPS)
    assert "quarter" not in report.rule


def test_a_set_that_says_one_thing_has_no_honest_test() -> None:
    report = assign([clip(number, "yes", "anna") for number in range(60)])
    assert sizes(report) == (60, 0, 0) and report.leaks == ["No clip is left to test on: record other texts."]
    report = assign([clip(number, ("yes", "no", "maybe")[number % 3], "anna") for number in range(90)], apart=True)
    assert sizes(report) == (30, 30, 30)


def test_unusable_clips_have_no_split() -> None:
    clips = [*by_speakers(50, 1), clip(50, verdict="empty"), clip(51, verdict="noisy")]
    report = assign(clips)
    assert report.dropped == [(50, "The recording is empty.")] and report.assignment[51]
    assert sum(sizes(report)) == 51


def test_the_seed_decides() -> None:
    clips = by_speakers(300, 30)
    assert assign(clips, seed=1) == assign(clips, seed=1)
    assert assign(clips, seed=1).assignment != assign(clips, seed=2).assignment


def test_given_splits_stay_and_their_leaks_are_said() -> None:
    clips = [clip(n, f"a longer text, number {n % 5}", "anna", ("train", "dev", "test")[n % 3]) for n in range(30)]
    report = assign(clips)
    assert report.assignment == {each.id: each.split for each in clips}
    assert "30 clips keep the split they had." in report.rule
    assert report.leaks[1].startswith("5 texts (“a longer text number 0”, ") and "train and test" in report.leaks[1]
    assert not any("text" in leak for leak in assign(clips, reassign=True).leaks)


def test_a_given_train_set_alone_is_drawn_from() -> None:
    report = assign([replace(each, split="train") for each in by_speakers(100, 10)])
    assert sizes(report) == (80, 10, 10) and "could be drawn again" in report.rule


def test_a_given_test_set_stays_when_dev_is_drawn() -> None:
    clips = [replace(each, split="test" if each.speaker == "s0" else "train") for each in by_speakers(100, 10)]
    report = assign(clips)
    assert {each.id for each in clips if report.assignment[each.id] == "test"} == {n for n in range(0, 100, 10)}
    assert set(sides(clips, report, "speaker").values()) == {1} and report.counts["dev"].clips == 10


def test_dev_is_drawn_from_the_only_training_voice() -> None:
    clips = [replace(each, split="test" if each.speaker == "s0" else "train") for each in by_speakers(100, 2)]
    report = assign(clips)
    assert sizes(report) == (40, 10, 50) and set(sides(clips, report, "text").values()) == {1}


def test_new_clips_join_their_speaker() -> None:
    clips = by_speakers(300, 30)
    before = settled(clips, assign(clips))
    new = [clip(300 + n, speaker=f"s{n}") for n in range(30)]
    report = assign([*before, *new])
    assert all(report.assignment[each.id] == each.split for each in before)
    assert set(sides([*before, *new], report, "speaker").values()) == {1} and not report.leaks
    taught = next(each for each in before if each.split == "train")
    tested = next(each for each in before if each.split == "test")
    report = assign([*before, clip(999, taught.text, tested.speaker)])
    assert report.dropped == [(999, "The same text is in train, where the speaker is not.")]


def test_new_clips_of_one_voice_join_their_text() -> None:
    clips = by_speakers(50, 1)
    before = settled(clips, assign(clips))
    again = [replace(each, id=each.id + 100, split="") for each in clips]
    report = assign([*before, *again])
    assert all(report.assignment[each.id] == report.assignment[each.id + 100] == each.split for each in before)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60), st.sampled_from(("good", "empty"))), max_size=90),
    st.integers(0, 3),
)
def test_any_set_is_split_without_leaks(kinds: list[tuple[int, int, str]], seed: int) -> None:
    clips = [clip(n, f"text {t}", f"s{s}" if s else "", verdict=v) for n, (s, t, v) in enumerate(kinds)]
    report = assign(clips, seed)
    assert report.assignment.keys() == {each.id for each in clips}
    assert {id_ for id_, _ in report.dropped} == {id_ for id_, split in report.assignment.items() if not split}
    assert set(sides(clips, report, "text").values()) <= {1}
    assert sum(sizes(report)) + len(report.dropped) == len(clips)
    if "by speaker and" in report.rule:
        assert all(count == 1 for speaker, count in sides(clips, report, "speaker").items() if speaker)
    if len({each.text for each in clips if each.quality.verdict == "good"}) > 1:
        assert report.counts["test"].clips > 0 and report.counts["train"].clips > 0
    once_more = assign(settled(clips, report), seed + 1)
    kept = {id_: split for id_, split in report.assignment.items() if split in ("test", "dev")}
    assert kept.items() <= once_more.assignment.items() and not set(sides(clips, once_more, "text").values()) - {1}
