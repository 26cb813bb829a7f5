"""A trained model in use: predictions for new cases, export and import."""
