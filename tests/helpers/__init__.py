"""What tests of several rooms need; their fixtures are in conftest.py."""
