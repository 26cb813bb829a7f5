"""Scoring of trained cells beside their training: under corruptions of their test images."""
