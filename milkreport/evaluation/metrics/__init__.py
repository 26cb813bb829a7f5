"""Point metrics on arrays of answers and probabilities."""
