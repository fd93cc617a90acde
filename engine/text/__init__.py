"""Labels: text rules, vocabularies, slots, phones. Knows no recordings, and needs no torch."""
