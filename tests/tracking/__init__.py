"""Tests of ``milkreport.tracking``."""
