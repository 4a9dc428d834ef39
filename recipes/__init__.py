"""Recipes: one runnable story each, from data to a verified export.

A recipe trains one model of `zoo` on one data set, in one command:

    python -m recipes.mnist_cnn

It reads from top to bottom: the command and what to expect, `TARGETS`, the
`Config` whose fields are the flags, and `train`, in which every step is in
the order in which it happens. What recipes share is in `recipes/lab`; every
file beside it can be run. `python -m recipes` lists them with their measured
results.
"""
