"""Where users already look: TensorBoard and MLflow, told of a run while it goes."""
