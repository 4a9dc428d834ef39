"""Data sets as splits, and their batches."""
