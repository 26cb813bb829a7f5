"""A data set with the shape of MILK10k that is drawn at random."""
