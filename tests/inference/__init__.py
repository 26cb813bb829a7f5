"""Tests of ``milkreport.inference``."""
