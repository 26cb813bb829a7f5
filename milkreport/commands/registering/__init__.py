"""What the commands register and ledger do and show."""
