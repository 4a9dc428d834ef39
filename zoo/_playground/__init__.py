"""A page that networks run in, on what is drawn there.

`playground.py` puts it together out of the files beside it, and serves it.
"""
