"""`python -m fasths`: the command line."""

import sys

from fasths.cli import main

if __name__ == "__main__":
    sys.exit(main())
