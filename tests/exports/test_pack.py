"""A pack gives back what went in, byte for byte the same each time, and refuses everything else with one sentence."""

import io
import json
import time
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from lect.engine.contract.errors import PackError
from lect.engine.contract.files import read_json
from lect.engine.decoding.language_model import MOST_NGRAMS, LanguageModel
from lect.engine.model.backbone import Backbone
from lect.engine.text.rules import MOST_RULES, TextRules
from lect.exports.model_card import SplitFacts
from lect.exports.pack import (
    CARD,
    FILES,
    FORMAT_VERSION,
    LANGUAGE_MODEL,
    MANIFEST,
    PREDICTIONS,
    RULES,
    SUMS,
    TENSORS,
    VOCABULARY,
    check_fits,
    dumped,
    read_pack,
    verify_pack,
    write_pack,
)
from lect.exports.pack_archive import sums, zipped
from lect.exports.pack_tensors import MAX_ROWS, Tensor, facts
from tests.conftest import TINY
from tests.exports.conftest import LETTERS, adaptation, contents

SCORES = {"test": {"cer": 0.125, "wer": 0.5, "normalisation": "lower", "baseline": {"cer": 0.9, "wer": 1.0}}}
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def pack(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good one."""
    path = tmp_path_factory.mktemp("packs") / "village.lect"
    data = {"train": SplitFacts(12, 90.0, 2)}
    write_pack(path, contents(backbone, adaptation(TINY), scores=SCORES, data=data, licence="CC-BY-4.0"))
    return path


def unzipped(path: Path) -> Files:
    """Its files."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def forged(pack: Path, folder: Path, changes: Mapping[str, bytes | None]) -> Path:
    """The pack with files changed, added or (None) taken out, under checksums that fit."""
    files: dict[str, bytes | None] = {**unzipped(pack), **changes}
    left = {name: data for name, data in files.items() if data is not None and name != SUMS}
    path = folder / "forged.lect"
    path.write_bytes(
        zipped(left | {SUMS: sums({name: left[name] for name in (*FILES, LANGUAGE_MODEL) if name in left})})
    )
    return path


def with_tensors(pack: Path, folder: Path, tensors: Mapping[str, Tensor]) -> Path:
    """The pack with other tensors, which its manifest lists."""
    manifest = read_pack(pack).manifest.__dict__ | {"tensors": facts(tensors)}
    changes = {TENSORS: safetensors.numpy.save(dict(tensors)), MANIFEST: dumped(manifest)}
    return forged(pack, folder, changes)


def refused(path: Path, sentence: str) -> None:
    """One sentence that names the file and says what to do."""
    with pytest.raises(PackError, match=sentence) as caught:
        read_pack(path)
    message = str(caught.value)
    assert path.name in message and "\n" not in message and message.endswith(".")


def test_a_round_trip(pack: Path, backbone: Backbone) -> None:
    opened = read_pack(pack)
    tensors = adaptation(TINY)
    assert opened.tensors.keys() == tensors.keys()
    assert all(np.array_equal(opened.tensors[name], tensors[name].astype(np.float16)) for name in tensors)
    assert (opened.vocabulary, opened.rules) == (LETTERS, TextRules())
    assert opened.manifest.backbone_sha256 == backbone.sha256
    assert opened.manifest.scores == SCORES
    report = verify_pack(pack, backbone)
    assert (report.bytes, report.files, report.fits) == (pack.stat().st_size, len(FILES), True)
    assert report.parameters == sum(tensor.size for tensor in tensors.values())


def test_numbers_beyond_half_precision_stay_whole(backbone: Backbone, tmp_path: Path) -> None:
    tensors = adaptation(TINY)
    (large, *others) = tensors
    tensors[large] = np.full_like(tensors[large], 1e6)
    write_pack(tmp_path / "village.lect", contents(backbone, tensors))
    read = read_pack(tmp_path / "village.lect").tensors
    assert read[large].dtype == np.float32 and np.array_equal(read[large], tensors[large])
    assert all(read[name].dtype == np.float16 for name in others)


def test_one_that_is_no_better_than_its_backbone_says_so(backbone: Backbone, tmp_path: Path) -> None:
    for after, said in ((0.1, False), (0.3, True)):
        scores = {"dev": {"cer": after, "wer": 0.5, "normalisation": "lower", "baseline": {"cer": 0.3, "wer": 1.0}}}
        write_pack(tmp_path / "village.lect", contents(backbone, adaptation(TINY), scores=scores))
        assert ("**Not recommended**" in unzipped(tmp_path / "village.lect")[CARD].decode()) is said


def test_the_same_contents_give_the_same_bytes(pack: Path, backbone: Backbone, tmp_path: Path) -> None:
    again = dict(reversed(adaptation(TINY).items()))
    data = {"train": SplitFacts(12, 90.0, 2)}
    path = tmp_path / "again.lect"
    write_pack(path, contents(backbone, again, scores=SCORES, data=data, licence="CC-BY-4.0"))
    assert path.read_bytes() == pack.read_bytes()


LEANING = LanguageModel.of([LETTERS.encode("ba da"), LETTERS.encode("la")], len(LETTERS), 0.3)


def test_a_language_model_travels_in_it(backbone: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "village.lect"
    write_pack(path, contents(backbone, adaptation(TINY), language_model=LEANING))
    opened = read_pack(path).language_model
    assert opened is not None and opened.to_bytes() == LEANING.to_bytes()
    assert verify_pack(path).files == len(FILES) + 1
    assert f"{len(LEANING.counts)} n-grams of up to 6 symbols" in unzipped(path)[CARD].decode()


def test_a_language_model_of_another_vocabulary(backbone: Backbone, tmp_path: Path) -> None:
    path, other = tmp_path / "village.lect", LanguageModel.of([[len(LETTERS)]], len(LETTERS) + 1, 0.3)
    with pytest.raises(PackError, match="made for another vocabulary"):
        write_pack(path, contents(backbone, adaptation(TINY), language_model=other))
    assert not path.exists()


def test_a_pack_of_the_first_format_is_read(pack: Path, tmp_path: Path) -> None:
    first = dumped(read_pack(pack).manifest.__dict__ | {"format_version": 1})
    assert read_pack(forged(pack, tmp_path, {MANIFEST: first})).language_model is None


def test_the_card_describes_the_pack(pack: Path) -> None:
    card = unzipped(pack)[CARD].decode()
    assert card.startswith("---\nbase_model:")
    for fact in ("12 clips, 1.5 minutes, 2 speakers", "CER 12.5%", "before adaptation: CER 90.0%", '"CC-BY-4.0"'):
        assert fact in card
    assert unzipped(pack)[PREDICTIONS].startswith(b"id\treference")


def test_a_pack_that_could_not_be_read_again_is_not_written(backbone: Backbone, tmp_path: Path) -> None:
    tensors = adaptation(TINY)
    tensors["encoder.0.prompt.key"][0, 0, 0] = np.nan
    with pytest.raises(PackError, match="not numbers"):
        write_pack(tmp_path / "bad.lect", contents(backbone, tensors))
    assert list(tmp_path.iterdir()) == []


def test_a_pack_for_another_backbone(pack: Path, backbone: Backbone) -> None:
    with pytest.raises(PackError, match=r"was made for the backbone 'tiny' \(.{12}\), not for 'big' .* or ask for a"):
        check_fits(read_pack(pack), replace(backbone, name="big", sha256="0" * 64))
    deeper = replace(backbone, config=replace(backbone.config, encoder_layers=1))
    with pytest.raises(PackError, match=r"The tensor encoder\.1\..* does not fit its backbone"):
        check_fits(read_pack(pack), deeper)


def test_a_newer_format(pack: Path, tmp_path: Path) -> None:
    newer = dumped({"format_version": FORMAT_VERSION + 1})
    refused(
        forged(pack, tmp_path, {MANIFEST: newer, TENSORS: None}),
        rf"by a newer lect \(format {FORMAT_VERSION + 1}\): update lect",
    )


@pytest.mark.parametrize("file", FILES)
def test_a_tampered_byte(pack: Path, tmp_path: Path, file: str) -> None:
    files = unzipped(pack)
    middle = len(files[file]) // 2
    files[file] = files[file][:middle] + bytes([files[file][middle] ^ 1]) + files[file][middle + 1 :]
    path = tmp_path / "tampered.lect"
    path.write_bytes(zipped(files))
    refused(path, "was changed after it was made|cannot be read|cannot be understood|newer lect")
    raw = bytearray(pack.read_bytes())
    raw[len(raw) // 2] ^= 1  # in the zip itself, whose own checksum finds it
    path.write_bytes(raw)
    refused(path, "is damaged .*: copy or download the pack again")


@pytest.mark.parametrize("file", [file for file in FILES if file != MANIFEST])
def test_a_missing_file(pack: Path, tmp_path: Path, file: str) -> None:
    files = unzipped(pack)
    del files[file]
    path = tmp_path / "short.lect"
    path.write_bytes(zipped(files))
    refused(path, f"lacks {file}: copy or download")


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil", "..\\evil", "C:evil", "a/b", ".hidden"])
def test_a_path_that_leads_out(pack: Path, tmp_path: Path, name: str) -> None:
    refused(forged(pack, tmp_path, {name: b""}), "holds a path that leads out of it .*: do not use it")


def test_a_name_that_is_no_text(pack: Path, tmp_path: Path) -> None:
    path = tmp_path / "name.lect"
    path.write_bytes(zipped(unzipped(pack) | {"é": b""}).replace("é".encode(), b"\xe9\xe9"))
    refused(path, "is damaged .*: copy or download the pack again")


def test_a_zip_bomb(pack: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb.lect"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in unzipped(pack).items():
            archive.writestr(name, bytes(200 << 20) if name == TENSORS else data)
    assert path.stat().st_size < 1 << 20
    refused(path, "unpacks to more than a lect pack may hold .*: do not use it")
    # One that hides its size is read no further than it may be.
    raw = path.read_bytes()
    path.write_bytes(raw.replace((200 << 20).to_bytes(4, "little"), (1 << 20).to_bytes(4, "little")))
    refused(path, "unpacks to another size than it says|is damaged")


def test_a_directory_of_very_many_files(tmp_path: Path) -> None:
    path = tmp_path / "many.lect"
    path.write_bytes(zipped({f"{number}": b"" for number in range(2_000)}))
    refused(path, "lists far more files than a lect pack has")


def test_an_oversized_tensor(pack: Path, tmp_path: Path) -> None:
    tensors = adaptation(TINY)
    rows = np.zeros((MAX_ROWS["prompt"] + 1, TINY.heads, TINY.head_dim), np.float32)
    tensors |= {"encoder.0.prompt.key": rows, "encoder.0.prompt.value": rows}
    refused(with_tensors(pack, tmp_path, tensors), r"an oversized tensor \(encoder.0.*, 2001 x 2 x 16\): do not use it")


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_not_numbers(pack: Path, tmp_path: Path, number: float) -> None:
    tensors = adaptation(TINY)
    tensors["vocabulary.ctc.bias"][1] = number
    refused(with_tensors(pack, tmp_path, tensors), r"weights that are not numbers \(vocabulary.ctc.bias\)")


def changed(name: str, tensor: Tensor | None) -> dict[str, Tensor]:
    """An adaptation with one tensor changed, or (None) without it."""
    tensors: dict[str, Any] = {**adaptation(TINY), name: tensor}
    return {key: value for key, value in tensors.items() if value is not None}


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        (changed("encoder.0.prompt.value", None), "holds half a pair of tensors"),
        (changed("network.encoder.norm.weight", np.zeros(3, np.float32)), "a tensor that no pack has"),
        (changed("vocabulary.ctc.bias", np.zeros(len(LETTERS), np.int64)), "a tensor that no pack has"),
        (changed("vocabulary.embedding", np.zeros((5, TINY.dim), np.float32)), "matrices for another vocabulary"),
    ],
)
def test_tensors_that_mean_nothing(pack: Path, tmp_path: Path, tensors: Mapping[str, Tensor], sentence: str) -> None:
    refused(with_tensors(pack, tmp_path, tensors), sentence)


def test_other_tensors_than_listed(pack: Path, tmp_path: Path) -> None:
    other = safetensors.numpy.save(adaptation(TINY, length=4))
    refused(forged(pack, tmp_path, {TENSORS: other}), "holds other tensors than its manifest lists")


@pytest.mark.parametrize(
    ("file", "data"),
    [
        (TENSORS, b"\xff" * 64),
        (TENSORS, b""),
        (VOCABULARY, b"[]"),
        (VOCABULARY, b'{"kind": "grapheme", "symbols": [1]}'),
        (MANIFEST, b"not json"),
        (MANIFEST, b"[" * 100_000),
        (MANIFEST, b'{"format_version": 1, "surprise": 2}'),
    ],
)
def test_contents_that_cannot_be_understood(pack: Path, tmp_path: Path, file: str, data: bytes) -> None:
    refused(forged(pack, tmp_path, {file: data}), "cannot be (read|understood|used)")


VOCABULARY_LIES: list[dict[str, Any]] = [
    {"start": [2] * 1_000_000}, {"start": [True]}, {"suppressed": [2]}, {"start": "2"}, {"start": None},
    {"suppressed": [False]},
    {"suppressed": [5] * 1_000_000}, {"symbols": ["a" * 5_000]}, {"symbols": [str(n) for n in range(1_000_001)]},
    {"symbols": ["a", "\ud800"]}, {"symbols": ["a", "\x1b[2J"]}, {"symbols": ["a", "b\nc"]}, {"symbols": ["\u202e"]},
    {"kind": "unigram", "scores": [True] * len(LETTERS.symbols)}, {"kind": "unigram", "scores": [10**400]},
    {"kind": ["grapheme"]}, {"symbols": 5},
]  # fmt: skip


@pytest.mark.parametrize("lie", VOCABULARY_LIES, ids=lambda lie: str(lie)[:40].encode("ascii", "replace").decode())
def test_vocabularies_that_lie(pack: Path, tmp_path: Path, lie: dict[str, Any]) -> None:
    began = time.process_time()
    value = json.dumps(LETTERS.to_json() | lie).encode()
    refused(forged(pack, tmp_path, {VOCABULARY: value}), "cannot be used: The vocabulary")
    assert time.process_time() - began < 10


MANIFEST_LIES: list[dict[str, Any]] = [
    {"scores": {"dev": 0}}, {"scores": {"dev": {"cer": 0.1}}}, {"scores": {"dev": {"cer": "x", "wer": 1.0}}},
    {"scores": {"dev": {"cer": True, "wer": 1.0}}}, {"scores": {"dev": {"cer": 0.1, "wer": 1.0, "baseline": 7}}},
    {"scores": {"dev": {"cer": 0.1, "wer": 1.0, "baseline": {"cer": 1}}}},
    {"scores": {"dev": {"cer": 0.1, "wer": 1.0, "guesser": {"run": "001", "before": "x"}}}},
    {"scores": {"\x1b[8m": SCORES["test"]}},
    {"name": "\x1b[2J"}, {"name": "a\nlect: all is well"}, {"created_by": "\x1b[8m"}, {"created_by": 5},
    {"language": "\u202eabc"}, {"normalisation": "x" * 5_000}, {"backbone": "\ud800"}, {"method": {"ctc_weight": "0"}},
    {"method": {"ctc_weight": False}}, {"method": {"method": ["prompt"]}}, {"method": {"method": "\x07"}},
]  # fmt: skip


@pytest.mark.parametrize("lie", MANIFEST_LIES, ids=lambda lie: ascii(lie)[:60])
def test_manifests_that_lie(pack: Path, tmp_path: Path, lie: dict[str, Any]) -> None:
    value = json.dumps(read_pack(pack).manifest.__dict__ | lie).encode()
    refused(forged(pack, tmp_path, {MANIFEST: value}), r"manifest that cannot be understood \(its .*\)")


@pytest.mark.parametrize(
    "lie",
    [
        {"replace": [["a", "aa"]] * 100}, {"replace": [["a", "bb"], ["b", "aa"]] * 50},
        {"replace": [["\u0301", "\u0301\u0301"]] * 60}, {"replace": [["a", "b" * 100_001]]},
        {"remove": ["a"] * (MOST_RULES + 1)}, {"remove": [True]}, {"case": True}, {"replace": [["a"]]},
    ],
    ids=lambda lie: ascii(lie)[:40],
)  # fmt: skip
def test_rules_that_grow_texts_or_lie(pack: Path, tmp_path: Path, lie: dict[str, Any]) -> None:
    began = time.process_time()
    value = json.dumps(TextRules().to_json() | lie).encode()
    refused(forged(pack, tmp_path, {RULES: value}), "cannot be used: (The|There are more than .*) text rule")
    assert time.process_time() - began < 10


def test_headers_of_tensors_that_would_take_gigabytes(pack: Path, tmp_path: Path) -> None:
    entries = {f"t{number}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(50_000)}
    header = json.dumps(entries).encode()
    data = len(header).to_bytes(8, "little") + header
    began = time.process_time()
    refused(forged(pack, tmp_path, {TENSORS: data}), "tensors that cannot be read .*bytes")
    refused(forged(pack, tmp_path, {LANGUAGE_MODEL: data}), "language model cannot be read .*bytes")
    assert time.process_time() - began < 2


def test_a_language_model_of_very_many_rows(pack: Path, tmp_path: Path) -> None:
    rows = MOST_NGRAMS + 1
    tensors = {"ngrams": np.zeros((rows, 1), np.uint8), "counts": np.ones(rows, np.uint8), "weight": np.array(0.3)}
    refused(forged(pack, tmp_path, {LANGUAGE_MODEL: safetensors.numpy.save(tensors)}), "more than 200000 n-grams")


def test_a_file_too_many(pack: Path, tmp_path: Path) -> None:
    refused(forged(pack, tmp_path, {"setup.py": b""}), r"holds files that no pack has \(setup.py\)")


def test_two_files_of_one_name(pack: Path, tmp_path: Path) -> None:
    path = tmp_path / "twice.lect"
    buffer = io.BytesIO(pack.read_bytes())
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(VOCABULARY, b"{}")
    path.write_bytes(buffer.getvalue())
    refused(path, "holds two files of one name")


@pytest.mark.parametrize("data", [b"", b"PK", b"just text, renamed", bytes(100)])
def test_no_pack_at_all(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "other.lect"
    path.write_bytes(data)
    refused(path, "is no lect pack, or is cut short")


def test_a_pack_cut_short(pack: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.lect"
    path.write_bytes(pack.read_bytes()[:-1_000])
    refused(path, "is no lect pack, or is cut short")


def test_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "absent.lect", r"cannot be read \(No such file or directory\): check the path")


def test_the_manifest_is_json_that_others_can_read(pack: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack) as archive:
        archive.extractall(tmp_path)
    assert read_json(tmp_path / MANIFEST)["format_version"] == 2  # as older ones read it: it states no rights
    assert safetensors.numpy.load_file(tmp_path / TENSORS).keys() == adaptation(TINY).keys()
