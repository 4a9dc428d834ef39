"""Devices, fit, checkpoints and schedules."""
