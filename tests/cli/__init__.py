"""Tests of ``milkreport.cli``."""
