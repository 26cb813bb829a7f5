"""Beyond the test part: abstention, prediction sets, other class shares, and unlabelled predictions."""
