"""Tests of ``milkreport.evaluation``."""
