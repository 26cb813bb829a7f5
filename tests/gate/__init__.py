"""Tests of ``milkreport.gate``."""
