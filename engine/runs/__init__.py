"""Trainings of a project: what one learns from, the process that trains, and the results it leaves."""
