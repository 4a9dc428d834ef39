"""What goes into a model, one file a kind."""
