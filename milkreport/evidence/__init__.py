"""What a report carries so that others can recompute it: packed, read back with distrust, used as a run."""
