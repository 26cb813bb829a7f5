"""How many cases and seeds a comparison needs."""
