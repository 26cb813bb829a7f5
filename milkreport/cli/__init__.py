"""The command line: options are parsed here, ``commands`` does the work."""
