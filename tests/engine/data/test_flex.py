"""FLEx's interlinear texts, as FLEx, ELAN and SayMore write them."""

from pathlib import Path

import pytest

from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import TextError
from lect.engine.data.layouts import listed, read
from lect.engine.data.layouts.flex import parse
from tests.engine.data.test_store import speech

# By FLEx's InterlinearExporter: words and punctuation, a phrase without times, analyses, two translations.
FLEX = """<?xml version="1.0" encoding="utf-8"?>
<document version="2"><interlinear-text guid="t">
<item type="title" lang="en">A story</item>
<paragraphs><paragraph guid="p"><phrases>
<phrase guid="a" begin-time-offset="500" end-time-offset="2421" speaker="Ana" media-file="m">
  <item type="segnum" lang="en">1</item>
  <words>
    <word><item type="punct" lang="fau">«</item></word>
    <word guid="w"><item type="txt" lang="fau">Daia</item><morphemes analysisStatus="humanApproved">
      <morph type="root"><item type="txt" lang="fau">dai</item><item type="gls" lang="en">go</item></morph>
      <morph type="suffix"><item type="txt" lang="fau">-a</item></morph></morphemes>
      <item type="gls" lang="en">first</item><item type="pos" lang="en">adv</item></word>
    <word><item type="txt" lang="fau">bedi</item><item type="txt" lang="fau-fonipa">bɛdi</item></word>
    <word><item type="punct" lang="fau">.»</item></word>
  </words>
  <item type="gls" lang="en">This first.</item><item type="gls" lang="id">Ini dulu.</item>
</phrase>
<phrase guid="b"><item type="segnum" lang="en">2</item>
  <words><word><item type="txt" lang="fau">Ke</item></word></words></phrase>
</phrases></paragraph></paragraphs>
<languages><language lang="fau" font="Charis SIL" vernacular="true"/><language lang="en"/></languages>
<media-files offset-type="milliseconds"><media guid="m" location="file:///C:/Field%20work/story.wav"/></media-files>
</interlinear-text></document>"""


def test_phrases_become_stretches(tmp_path: Path) -> None:
    write_wav(tmp_path / "story.wav", speech(1, 4.0))
    (tmp_path / "story.flextext").write_text(FLEX, encoding="utf-8")
    items = list(listed(tmp_path))
    tiers = {item.tier.name: item for item in items if item.tier and not item.problem}
    assert set(tiers) == {"txt fau", "gls en", "gls id"} and tiers["gls id"].text == "Ini dulu."
    (first, second) = read(tmp_path)
    assert (first.text, first.start, first.end, first.speaker) == ("«Daia bedi.»", 0.5, 2.421, "Ana")
    assert first.path.name == "story.wav"
    assert second.problem and "no time" in second.problem


def test_a_phrase_with_its_own_text() -> None:
    own = FLEX.replace('<item type="segnum" lang="en">2</item>', '<item type="txt" lang="fau"> Ke!  </item>')
    (tier, annotations), *_ = parse(own.encode(), "story.flextext").tiers
    assert tier.name == "txt fau" and annotations[1].text == "Ke!"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("<document", "<!DOCTYPE a><document"), "document type"),
        (("</document>", ""), "damaged"),
        (("interlinear-text", "text"), "no interlinear text"),
        (('<media guid="m"', '<media guid="n" location="other.wav"/><media guid="m"'), "2 recordings"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(change: tuple[str, str], said: str) -> None:
    with pytest.raises(TextError, match=said):
        parse(FLEX.replace(*change).encode(), "story.flextext")


def test_saymores_documents_are_read_by_their_names(tmp_path: Path) -> None:
    from lect.exports.formats import WRITERS
    from tests.exports.test_formats import TALK

    write_wav(tmp_path / "talk.wav", speech(1, 4.0))
    (tmp_path / "talk.wav.annotations.eaf").write_text(WRITERS["saymore"](TALK, tmp_path / "talk.wav"))
    items = read(tmp_path)
    assert [(item.text, item.start) for item in items if not item.problem][:1] == [("ba da", 0.5)]
