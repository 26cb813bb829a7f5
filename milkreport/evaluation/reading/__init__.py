"""Anybody's tables of predictions, read and checked."""
