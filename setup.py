"""The trained models that a wheel carries: those in saved_models/SHIPPED.

The rest of the packaging is in pyproject.toml, which cannot read a list.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

MODELS = Path(__file__).parent / "saved_models"


class BuildListed(build_py):
    """Copies what is listed into an empty folder."""

    def run(self):
        """Remove what an earlier build has left, and build."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


def shipped_files():
    """Return the files of the exports that ship, as their sums list them."""
    files = ["SHIPPED", "results.csv"]
    for export in (MODELS / "SHIPPED").read_text().split():
        sums = (MODELS / export / "SHA256SUMS").read_text().splitlines()
        names = [line.split("  ", 1)[1] for line in sums]
        files += [f"{export}/{name}" for name in ["SHA256SUMS", *names]]
    return files


setup(
    cmdclass={"build_py": BuildListed},
    package_data={"saved_models": shipped_files()},
)
