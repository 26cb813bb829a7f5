"""What a careful reviewer would ask of results: a rule per code, each a pure function of the records."""
