"""Images: decoded, resized, stored, and compared for duplicates."""
