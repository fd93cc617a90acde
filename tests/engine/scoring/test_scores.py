"""Error rates: counts, odd inputs, intervals, comparisons, and the files that other tools read."""

import csv
import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lect.engine.contract.errors import UsageError
from lect.engine.scoring.bootstrap import MIN_SPEAKERS, rates
from lect.engine.scoring.comparison import compare
from lect.engine.scoring.score_files import alignment, write_predictions, write_trn
from lect.engine.scoring.scores import Counts, Scores, pooled, score


def scored(pairs: list[tuple[str, str]], **options: object) -> Scores:
    ids = [str(index) for index in range(len(pairs))]
    options = {"normalisation": "nfc", **options}
    return score([ref for ref, _ in pairs], [hyp for _, hyp in pairs], ids, **options)  # type: ignore[arg-type]


def noisy(seed: int, error_rate: float, utterances: int = 60, speakers: int = 0) -> Scores:
    """Utterances of ten words, of which each is wrong with this probability."""
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(utterances):
        words = random.choice(["kofi", "ama", "yaw"], 10)
        pairs.append((" ".join(words), " ".join("x" if random.random() < error_rate else w for w in words)))
    names = [f"s{index % speakers}" for index in range(utterances)] if speakers else None
    return scored(pairs, speakers=names)


def test_counts_and_corpus_rates() -> None:
    scores = scored([("the cat sat", "the bat sat down"), ("on", "")], split="test", seconds=3.5, speakers=["a", "b"])
    assert scores.words == Counts(hits=2, substitutions=1, deletions=1, insertions=1)
    assert scores.wer == pytest.approx(3 / 4)
    assert scores.characters.length == len("the cat sat") + len("on")
    assert scores.cer == pytest.approx((1 + 5 + 2) / 13)
    assert [row.wer for row in scores.rows] == [pytest.approx(2 / 3), 1.0]
    assert (scores.conditions.clips, scores.conditions.seconds, scores.conditions.speakers) == (2, 3.5, 2)


def test_the_rate_is_the_corpus_rate_not_the_mean_of_rates() -> None:
    assert scored([("a", "b"), ("a b c d e f g h i", "a b c d e f g h i")]).wer == pytest.approx(0.1)


def test_one_spelling_of_a_letter_is_no_error_against_another_and_marks_are_kept() -> None:
    text = "ɛ̃ndɔ́ bá̱tu é"
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert composed != decomposed
    scores = scored([(composed, decomposed), (decomposed, composed)])
    assert scores.wer == scores.cer == 0
    assert [row.words.length for row in scores.rows] == [3, 3]
    assert scores.rows[0].reference == scores.rows[1].reference == composed
    assert scored([("bá", "ba")]).wer == 1
    assert scored([("क्‍ष", "क्ष")]).cer > 0


def test_rules_apply_to_both_sides_and_space_is_single() -> None:
    scores = scored([("The\u00a0 Cat\n", "the\tcat")], normalise=str.lower, normalisation="nfc+lower")
    assert scores.wer == 0 and scores.rows[0].reference == "the cat" and scores.normalisation == "nfc+lower"
    assert scored([("The", "the")]).wer == 1


def test_rules_that_decompose_do_not_change_the_unit() -> None:
    scores = scored([("é", "e")], normalise=lambda text: unicodedata.normalize("NFD", text))
    assert scores.characters == Counts(0, 1, 0, 0)


def test_an_empty_reference_is_silence() -> None:
    scores = scored([("", "two words"), ("", ""), ("a b", "a b"), ("  ", "")])
    assert scores.rows[0].words == Counts(0, 0, 0, 2) and scores.rows[0].characters.insertions == 9
    assert [row.wer for row in scores.rows] == [1.0, 0.0, 0.0, 0.0]
    assert scores.wer == pytest.approx(2 / 2) and scores.cer == pytest.approx(9 / 3)
    assert scores.wer_interval is not None and np.isfinite(scores.wer_interval).all()
    assert scored([("", "")]).wer == 0 and scored([("", "x")]).cer == 1


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(UsageError, match="no utterances"):
        scored([])
    with pytest.raises(UsageError, match="twice"):
        score(["a", "b"], ["a", "b"], ["1", "1"], normalisation="nfc")
    with pytest.raises(ValueError):
        score(["a", "b"], ["a"], ["1", "2"], normalisation="nfc")


def test_intervals_are_seeded_and_hold_the_rate() -> None:
    scores = noisy(0, 0.3)
    assert scores.wer_interval == noisy(0, 0.3).wer_interval
    low, high = scores.wer_interval or (1, 0)
    assert low < scores.wer < high
    # Sixty utterances of ten words: the binomial standard error of 600 words.
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 600), rel=0.25)
    pairs = [(row.reference, row.hypothesis) for row in scores.rows]
    assert scored(pairs, seed=1).wer_interval != scores.wer_interval


def test_the_interval_covers_the_true_rate_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(60):
        low, high = noisy(seed, 0.3, utterances=30).wer_interval or (1, 0)
        covered += low <= 0.3 <= high
    assert 50 <= covered <= 60


def test_speakers_are_drawn_where_there_are_enough() -> None:
    pairs = [("a b", "a b")] * 10 + [("a b", "x y")] * 10
    speakers = [f"s{index // 2}" for index in range(20)]
    by_speaker, by_clip = scored(pairs, speakers=speakers), scored(pairs)
    assert (by_speaker.resampled, by_clip.resampled) == ("speakers", "utterances")
    widths = [high - low for low, high in (by_speaker.wer_interval or (0, 0), by_clip.wer_interval or (0, 0))]
    assert widths[0] > widths[1]
    assert noisy(0, 0.3, speakers=MIN_SPEAKERS - 1).resampled == "utterances"
    assert scored(pairs, speakers=["", *speakers[1:]]).resampled == "utterances"


def test_one_utterance_has_no_interval() -> None:
    scores = scored([("a b", "a")])
    assert scores.wer_interval is None and scores.cer_interval is None
    assert compare(scores, scores).outcome == "unclear"
    assert "[" not in scores.describe()


def test_a_clear_gain_a_clear_loss_and_no_difference() -> None:
    bad = noisy(0, 0.6)
    good = scored([(row.reference, row.reference if int(row.id) % 10 else "x") for row in bad.rows])
    gain = compare(bad, good)
    assert gain.outcome == "better" and gain.verdict.startswith("Better by more than chance: CER ")
    assert gain.cer_interval is not None and gain.cer_interval[1] < 0 and gain.cer_difference < 0
    assert gain.wer == (bad.wer, good.wer) and gain.utterances == 60
    assert compare(good, bad).outcome == "worse"
    same = compare(good, good)
    assert (same.outcome, same.cer_interval, same.wer_difference) == ("unclear", (0.0, 0.0), 0.0)


def test_pairing_sees_a_small_difference_that_intervals_alone_do_not() -> None:
    before = noisy(3, 0.5)
    fixed = [
        (
            r.reference,
            r.hypothesis.replace("x", r.reference.split()[r.hypothesis.split().index("x")], 1)
            if "x" in r.hypothesis.split() and int(r.id) % 4 == 0
            else r.hypothesis,
        )
        for r in before.rows
    ]
    after = scored(fixed)
    assert after.wer_interval and before.wer_interval and after.wer_interval[1] > before.wer_interval[0]
    assert compare(before, after).outcome == "better"


def test_characters_and_words_may_disagree() -> None:
    before = scored([("abcdefgh ij", "xxxxxxxx ij")] * 30)
    after = scored([("abcdefgh ij", "abcdefgx ix")] * 30)
    assert compare(before, after).outcome == "mixed"


def test_only_the_same_utterances_compare_in_any_order() -> None:
    scores = scored([("a b", "a b"), ("c d", "c x")])
    turned = replace(scores, rows=scores.rows[::-1])
    assert compare(scores, turned).cer_difference == 0 and compare(scores, turned).cer_interval == (0, 0)
    for other in (
        scored([("a b", "a b")]),
        scored([("a b", "a b"), ("c e", "c x")]),
        scored([("a b", "a b"), ("c d", "c x")], normalisation="other"),
    ):
        with pytest.raises(UsageError, match="cannot be compared"):
            compare(scores, other)
    assert scores.with_baseline(turned).baseline == (scores.wer, scores.cer)


def test_json_round_trip() -> None:
    scores = noisy(0, 0.2, speakers=6)
    scores = scores.with_baseline(scores)
    value = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    assert Scores.from_json(value) == scores
    assert value["wer"] == scores.wer and "spaces included" in value["cer_unit"]
    short = scores.to_json(rows=False)
    assert short["rows"] == [] and Scores.from_json(short).cer == scores.cer
    alone = scored([("a", "b")])
    assert Scores.from_json(json.loads(json.dumps(alone.to_json()))) == alone


def test_a_rate_never_comes_without_its_conditions() -> None:
    line = scored([("a b", "a c"), ("d", "d")], split="dev", seconds=12, speakers=["k", "k"]).describe()
    for part in ("CER 25.0% [", "spaces included", "WER 33.3% [", "over utterances", "normalisation nfc"):
        assert part in line
    assert "split dev, clips 2, seconds 12, speakers 1" in line


def test_predictions_survive_tabs_newlines_and_quotes(tmp_path: Path) -> None:
    texts = ['he said "no"', '"', "a\tb\nc\u2028d", ""]
    write_predictions(score(texts, texts[::-1], ["1\t2", "a\nb", 'c"', "d"], normalisation="nfc"), tmp_path / "p.tsv")
    raw = (tmp_path / "p.tsv").read_bytes().decode("utf-8")
    assert raw.count("\n") == 5 and "\r" not in raw and not raw.startswith("\ufeff")
    rows = list(csv.reader(raw.splitlines(), delimiter="\t"))
    assert rows[0] == ["id", "reference", "hypothesis", "wer", "cer"]
    assert rows[1] == ["1 2", 'he said "no"', "", "1.0000", "1.0000"]
    assert rows[3][:3] == ['c"', "a b c d", '"']


def test_trn_escapes_what_sclite_would_interpret(tmp_path: Path) -> None:
    scores = score(
        ["a {b / c} (d)", ";; x\\y @ 5%", "", "ɛ̃ndɔ́"],
        ["", "x", "y", "ɛ̃ndɔ́"],
        ["clips/1 (2).wav", "2", "3", "4"],
        normalisation="nfc",
        speakers=["kofi-1", "", "", ""],
    )
    write_trn(scores, tmp_path)
    assert (tmp_path / "ref.trn").read_text(encoding="utf-8").splitlines() == [
        "a %7Bb / c%7D %28d%29 (kofi%2D1-clips/1%20%282%29.wav)",
        "%3B%3B x%5Cy %40 5%25 (unknown-2)",
        " (unknown-3)",
        "ɛ̃ndɔ́ (unknown-4)",
    ]
    assert (tmp_path / "hyp.trn").read_text(encoding="utf-8").splitlines()[0] == " (kofi%2D1-clips/1%20%282%29.wav)"


def test_alignment_puts_words_under_each_other() -> None:
    shown = alignment(scored([("the cat sat", "the bat sat down")]).rows[0])
    assert shown == "ref: the cat sat ****\nhyp: the bat sat down"
    shown = alignment(scored([("ɛ̃ndɔ́ bá̱tu kɛ", "ndo kɛ")]).rows[0])
    assert shown.splitlines()[0] == "ref: ɛ̃ndɔ́ bá̱tu kɛ"
    assert shown.splitlines()[1] in ("hyp: ndo  **** kɛ", "hyp: **** ndo  kɛ")
    assert alignment(scored([("", "x")]).rows[0]) == "ref: *\nhyp: x"
    assert alignment(scored([("", "")]).rows[0]) == "ref:\nhyp:"


def test_rates_of_arrays_follow_the_same_rule_as_counts() -> None:
    assert rates(np.array([0, 3, 3]), np.array([0, 0, 6])).tolist() == [0.0, 1.0, 0.5]


def test_seeds_are_pooled_to_their_mean_and_do_not_narrow_the_interval() -> None:
    references = ["ama kofi", "yaw", "kofi kofi ama yaw"] * 20
    first = scored([(text, text.replace("kofi", "x")) for text in references])
    second = scored([(text, text.replace("yaw", "yam")) for text in references])
    both = pooled([first, second])
    assert both.wer == pytest.approx((first.wer + second.wer) / 2)
    assert both.cer == pytest.approx((first.cer + second.cer) / 2)
    assert pooled([first, first]).cer_interval == first.cer_interval
    assert compare(first, both).wer_difference == pytest.approx(both.wer - first.wer)
    assert both.conditions == first.conditions and both.rows[0].reference == "ama kofi"
    half, none = (scored([("[size: big] tea", heard)] * 3) for heard in ("[size: big] tea", "tea"))
    pool = pooled([half, none]).slots
    assert pool is not None and pool.type_f1 == 0.5 and pool.intervals == {}
    with pytest.raises(UsageError, match="same clips"):
        pooled([first, scored([("ama", "ama")])])
