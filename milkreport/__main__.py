"""``python -m milkreport``."""

from milkreport.cli import main

main()
