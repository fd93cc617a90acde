"""Labels that are likely not what is said in their recording: a sentence on each sign of it, and nothing is changed.

It knows no language: it looks at marks, at kinds of characters, and at how many of them there are a second.
"""

import re
import unicodedata

from ..text.rules import TextRules, nfc
from ..text.slots import plain

FEW_LETTERS = 0.5  # of the characters; with fewer, it is mostly digits and signs
MOST_A_SECOND, ENOUGH_CHARACTERS = 40.0, 20  # the fastest speech has 30 characters a second, in any script
# What transcribers write for what is no word: [laughter], <unk>, {breath}, *coughs*, %uh, &=laughs, (xxx), ((noise)).
NOISES = "laugh|noise|unint|inaud|unclear|music|cough|breath|silence|applause|indistinct|crosstalk"
MARK = re.compile(
    r"\[[^\[\]]{1,40}\]|<[^<>]{1,40}>|\{[^{}]{1,40}\}|\*[^*\s]{1,40}\*|\(\([^()]{0,40}\)\)|&[=~+]\w+|[%#]\w+"
    rf"|\((?:x{{2,}}|y{{2,}}|\?+|\.+|[^()]{{0,20}}(?:{NOISES})[^()]{{0,20}})\)|(?<!\w)(?:xxx?|yyy)(?!\w)",
    re.IGNORECASE,
)


def doubts(text: str, seconds: float, rules: TextRules) -> list[str]:
    """Why a label may be none, a sentence each. seconds: of its recording; rules: what they take out is no sign."""
    spoken = plain(nfc(text))
    for old in (*rules.remove, *(old for old, _ in rules.replace)):
        spoken = re.sub(re.escape(nfc(old)), "", spoken, flags=re.IGNORECASE if rules.case == "lower" else 0)
    found = []
    if mark := MARK.search(spoken):
        shown = mark[0].lower()
        found.append(f"The label has {shown}, which would be learnt as a word: take it out here or by a text rule.")
    characters = "".join(spoken.split())
    letters = sum(unicodedata.category(each)[0] in "LM" for each in characters)
    if letters < FEW_LETTERS * len(characters):
        found.append("The label is mostly digits and signs: write it as it is spoken.")
    if len(characters) > ENOUGH_CHARACTERS and len(characters) > MOST_A_SECOND * seconds:
        found.append("The label is far too long for its recording: look whether it is another one's.")
    return found
