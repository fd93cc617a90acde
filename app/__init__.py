"""What a person touches: the `lect` command. Thin: words and widgets over `engine` and `exports`."""
