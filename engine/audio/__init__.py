"""Recordings: files of any kind to waveforms and back, their quality, and batches of them. Knows no labels."""
