"""What an evaluation found, as it is written to results.json."""
