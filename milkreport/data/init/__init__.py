"""A first description of a data set, guessed from its table and folders."""
