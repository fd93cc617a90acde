"""Tables of experiments that resume. Nothing in the engine knows it."""
