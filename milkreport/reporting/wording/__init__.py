"""What a report says in words, and its titles."""
