"""``python -m milkreport``: nothing is imported from the working folder, first on Python's path."""

import os
import sys

try:
    here = os.getcwd()
except OSError:  # it was deleted
    here = ""
if not sys.flags.safe_path and sys.path[:1] == [here]:
    del sys.path[0]

from milkreport.cli.app import main

main()
