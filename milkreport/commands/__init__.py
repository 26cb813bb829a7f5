"""What the commands do and show; ``cli`` parses and calls."""
