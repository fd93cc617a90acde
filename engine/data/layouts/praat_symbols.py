r"""What Praat writes as a backslash and two characters, such as \ng for ŋ and \:f for ː, in the text that is meant.

Source: Praat's manual, "Special symbols". Letters of Hebrew and Arabic and mathematical signs are left as they are.
"""

import re
import unicodedata

LETTERS = r"""
dhð h-ħ oeœ atɐ asɑ ayɒ abɒ b^ɓ bcʙ ctɔ ccɕ d.ɖ d^ɗ e-ɘ swə srɚ efɛ erɜ kbɞ j-ɟ g^ɠ gsɡ gcɢ gfɣ rhɤ G^ʛ htɥ h^ɦ
hjɧ hcʜ i-ɨ icɪ jcʝ l~ɫ l-ɬ l.ɭ lzɮ lcʟ mtɯ mlɰ mjɱ ngŋ njɲ n.ɳ ncɴ o-ɵ Oeɶ |1ǀ |2ǁ |-ǂ |f| ffɸ rtɹ rlɺ r.ɻ f.ɽ
fhɾ rcʀ riʁ s.ʂ shʃ j^ʄ t.ʈ u-ʉ hsʊ vsʋ vtʌ wtʍ ytʎ ycʏ z.ʐ zcʑ zhʒ ?gʔ 9eʕ O.ʘ ?-ʡ 9-ʢ :fː .fˑ hr˞ bfβ tfθ cfχ
'1ˈ '2ˌ ^hʰ ^Hʱ ^jʲ ^wʷ ^Yᶣ ^yʸ ^?ˀ ^9ˁ ^lˡ ^sˢ ^gˠ ^Mᵚ ^Gᶭ ^xˣ ^fᶠ ^nⁿ ^mᵐ ^Nᵑ _u‿ tsʦ tSʧ apʼ ssß aeæ AeÆ o/ø
O/Ø thþ ThÞ d-đ D-Đ l/ł L/Ł bs\ .c· !d¡ ?d¿ --– <<« >>» 'a' alα beβ gaγ deδ epε zeζ etη teθ t2ϑ ioι kaκ laλ muμ
nuν xiξ onο piπ roρ siσ s2ς taτ upυ fiφ f2ϕ ciχ psψ omω AlΑ BeΒ GaΓ DeΔ EpΕ ZeΖ EtΗ TeΘ IoΙ KaΚ LaΛ MuΜ NuΝ XiΞ
OnΟ PiΠ RoΡ SiΣ TaΤ UpΥ FiΦ CiΧ PsΨ OmΩ
"""
MARKS = {  # behind the letter that they belong to
    **{"`^": "\u0300", "'^": "\u0301", "^^": "\u0302", "~^": "\u0303", "-^": "\u0304", ":^": "\u0308", "0^": "\u030a"},
    **{"v^": "\u030c", "N^": "\u0306", "cn": "\u031a", "cv": "\u031c", "T^": "\u031d", "Tv": "\u031e", "T(": "\u0318"},
    **{"T)": "\u0319", "+v": "\u031f", ":v": "\u0324", "0v": "\u0325", "|v": "\u0329", "Nv": "\u032a", "Uv": "\u033a"},
    **{"Dv": "\u033b", "nv": "\u032f", "~v": "\u0330", "-v": "\u0320", "~<": "\u0334", "3v": "\u0339", "li": "\u0361"},
}
ACCENTS = {"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", '"': "\u0308", "o": "\u030a", ";": "\u0328"}
ACCENTS |= {"<": "\u030c", ":": "\u030b", "!": "\u0307", ",": "\u0327"}
ACCENTED = "ÀÁÂÃÄÅĄĆČĎÈÉÊËĚĘǦÌÍÎÏŃÑŇÒÓÔÕÖŐŘŚŠŤÙÚÛÜŰŮÝŸŹŽŻÇàáâãäåąćčďèéêëěęǧìíîïńñňòóôõöőřśšťùúûüűůýÿźžżç"


def _accented() -> dict[str, str]:
    codes = {mark: code for code, mark in ACCENTS.items()}
    parts = {letter: unicodedata.normalize("NFD", letter) for letter in ACCENTED}
    return {part[0] + codes[part[1]]: letter for letter, part in parts.items()}


SYMBOLS = {each[:2]: each[2] for each in LETTERS.split()} | MARKS | _accented()
TRIGRAPH = re.compile(r"\\([ -~]{2})")


def in_unicode(text: str) -> str:
    """A text of Praat's with its special symbols as characters; what is none stays."""
    return TRIGRAPH.sub(lambda match: SYMBOLS.get(match[1], match[0]), text)
