"""Graded corruptions of stored images: what a worse photograph of the same lesion could look like."""
