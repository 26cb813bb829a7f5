"""Tests of ``milkreport.models``."""
