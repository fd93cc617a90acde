"""`python -m lect` is `lect`, for where the command is not on the path."""

import sys

from lect.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
