"""Where the images of a data set lie: folders, archives, an index of names."""
