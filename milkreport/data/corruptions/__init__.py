"""Graded corruptions of stored images: what a worse photograph of the same thing could look like."""
