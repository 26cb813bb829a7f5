"""Tests of ``milkreport.checks``."""
