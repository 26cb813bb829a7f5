"""Beyond the test part: abstention, prediction sets, and what other class shares would make of the results."""
