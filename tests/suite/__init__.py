"""Tests of ``milkreport.suite``."""
