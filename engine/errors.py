"""The errors a person can cause and fix. Each carries one sentence that says what to do.

They are caught at two edges only: the command line and the page. Our own mistakes are `assert`s.
"""


class LectError(Exception):
    """Something a person can fix; the message is one clear sentence, shown without a traceback."""

    exit_code = 1


class UsageError(LectError):
    """The request itself makes no sense (a wrong option, a path that is not there)."""

    exit_code = 2


class AudioError(LectError):
    """A recording that cannot be read or used."""


class TextError(LectError):
    """A label that cannot be used."""


class StoreError(LectError):
    """The project folder or its database cannot be used as asked."""


class BackboneError(LectError):
    """A backbone's files are missing, damaged or of another kind."""


class PackError(LectError):
    """A pack is damaged, hostile, newer than this program, or made for another backbone."""


class TrainError(LectError):
    """A training that cannot start or go on."""
