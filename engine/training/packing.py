"""Clips packed into full windows: a backbone that hears windows of 30 s takes as long for a clip of 4 s as for seven.

Sequence packing, as language models are trained (T5, Raffel et al. 2020). It knows neither audio nor models.
"""

from collections.abc import Sequence

import numpy as np

from .features import Example


def packed(examples: Sequence[Example], seconds: float, most_tokens: int, packings: int, seed: int) -> list[Example]:
    """The clips in random order, one behind another in as few examples as they fill; so many times over, each time in
    another order.

    seconds: of a window; most_tokens: of a label. A clip that alone is longer than these stays alone.
    """
    found = list[Example]()
    for packing in range(packings):
        order = np.random.default_rng([seed, packing]).permutation(len(examples))
        current = examples[order[0]]
        for index in order[1:]:
            longer = current.followed_by(examples[index])
            if longer.seconds <= seconds and len(longer.tokens) <= most_tokens:
                current = longer
            else:
                found.append(current)
                current = examples[index]
        found.append(current)
    return found
