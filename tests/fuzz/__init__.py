"""Every reader of what people bring, given bytes that nobody meant: a result or a sentence, in bounded time."""
