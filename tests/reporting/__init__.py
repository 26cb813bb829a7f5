"""Tests of ``milkreport.reporting``."""
