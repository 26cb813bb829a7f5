"""Tests of ``milkreport.registration``."""
