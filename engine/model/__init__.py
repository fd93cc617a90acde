"""The frozen network and what is put on top of it: one encoder-decoder, its adaptations, and where weights lie."""
