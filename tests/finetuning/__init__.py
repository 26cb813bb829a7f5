"""Tests of ``milkreport.finetuning``."""
