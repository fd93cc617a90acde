"""The errors a person can cause and fix. Each carries one sentence that says what to do.

They are caught at the edges only: the command line, the page and the training's process. Our own mistakes are
`assert`s.
"""

import errno


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


def os_sentence(error: OSError) -> str:
    """What the system refused, in a sentence that says what to do."""
    where = str(error.filename) if error.filename is not None else "A file or folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full: free some space and do it again; what was reported saved is safe."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where} may not be read or written: check its permissions, or name another place."
    if error.errno == errno.ENOENT:
        return f"{where} is not there: check the path."
    return f"{where} cannot be used ({error.strerror or error}): check the path and the disk."
