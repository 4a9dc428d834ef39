"""Exports: written, verified, described."""
