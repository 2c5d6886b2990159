"""``python -m tinymnist`` is the command ``tinymnist``."""

import sys

from tinymnist.cli import main

if __name__ == "__main__":
    sys.exit(main())
