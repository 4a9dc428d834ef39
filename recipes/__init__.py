"""Recipes: one runnable story each, from real data to a served model.

A recipe trains one model of `zoo` on one data set, in one command:

    python -m recipes.mnist_cnn

It reads from top to bottom: the command and what to expect, `TARGETS`, the
`Config` whose fields are the flags, and `train`, in which every step is in
the order in which it happens. Files that begin with an underscore are the
plumbing that recipes share; all others can be run. `python -m recipes` lists
them with their measured results.
"""
