"""Tests of ``milkreport.training``."""
