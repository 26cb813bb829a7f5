"""A publication held against itself: what it prints must agree with what else it prints."""
