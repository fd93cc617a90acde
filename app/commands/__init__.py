"""One module a command: `add_arguments(parser)` and `run(args) -> exit code`.

A module's own imports are light, so that its help is quick; what is heavy is imported inside `run`.
"""
