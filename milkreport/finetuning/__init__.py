"""Fine-tuning: going on from a trained model with new data."""
