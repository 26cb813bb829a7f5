"""A study that is declared before it is trained: registration, ledger of trainings, time stamps."""
