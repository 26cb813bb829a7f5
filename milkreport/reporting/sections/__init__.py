"""Sections of the report: from records to blocks of text, tables and figures."""
