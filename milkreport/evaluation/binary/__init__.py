"""Two classes, or some against the others: operating points, calibration of risks, reclassification."""
