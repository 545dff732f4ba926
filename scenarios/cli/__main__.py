"""``python -m scenarios.cli`` is ``degsim``."""

import sys

from scenarios.cli import main

if __name__ == "__main__":
    sys.exit(main())
