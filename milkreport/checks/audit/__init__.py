"""A publication compared with itself: what it prints must agree with what else it prints."""
