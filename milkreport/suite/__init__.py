"""What a user writes: the experiment file and its sections."""
