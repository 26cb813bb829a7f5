"""Tests of ``milkreport.execution``."""
