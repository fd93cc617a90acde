"""Error rates, slot scores and their intervals, from texts alone."""
