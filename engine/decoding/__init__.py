"""From scores to text: the search, hotwords, n-gram language models. Only `recognizer` needs torch."""
