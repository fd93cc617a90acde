"""Labelled sets: clips in a project's database, imports from every layout, and splits. Knows no model."""
