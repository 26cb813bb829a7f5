"""Where users already look: TensorBoard and MLflow, informed of a run while it goes."""
