"""What the lectures say, checked: tables of facts that grow with the zoo.

A row is a lecture's statement and the check that proves it. The number before
the statement is that of the lecture:

0. PQHS 471, lecture 11: Neural Network, Deep Learning
1. Deep learning, from linear to non-linear models
2. PLPTH813: Introduction of Deep Learning
3. Costa Rica Big Data School: Introduction to Deep Learning
4. Neural networks, ending with Keras
"""

import pytest


class Facts:
    """A table of facts: `@fact(...)` enters a check, `fact.test()` tests all.

    For example:

        fact = Facts()


        @fact("A6", 2, "each component will be in (0, 1), and all add up to 1")
        def softmax_makes_probabilities():
            ...


        test_lecture = fact.test()
    """

    def __init__(self):
        self.rows = []

    def __call__(self, number, lecture, statement, marks=()):
        """Enter a check into the table, with the statement that it proves."""

        def enter(check):
            name = f"{number} {check.__name__.replace('_', ' ')}"
            row = lecture, statement, check
            self.rows.append(pytest.param(*row, id=name, marks=marks))
            return check

        return enter

    def test(self):
        """Return the test of all rows, for the end of a file."""

        @pytest.mark.parametrize(("lecture", "statement", "check"), self.rows)
        def test_lecture(lecture, statement, check):
            try:
                check()
            except AssertionError as error:
                error.add_note(f"Lecture {lecture} says: {statement}")
                raise

        return test_lecture
