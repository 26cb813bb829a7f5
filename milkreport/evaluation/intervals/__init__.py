"""95% intervals: of one model, over seeds, of differences, and how often they held in simulation."""
