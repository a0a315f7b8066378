"""Whole models: their files, layers, profiles, quantization and evaluation."""
