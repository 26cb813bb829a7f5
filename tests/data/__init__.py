"""Tests of ``milkreport.data``."""
