"""What recipes share; no file in here runs."""
