"""What a careful reviewer would point out in results: a rule per code, each a function of records."""
