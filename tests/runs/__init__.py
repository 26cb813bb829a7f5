"""Tests of ``milkreport.runs``."""
