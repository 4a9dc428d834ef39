"""What comes out of a model: how it is scored."""
