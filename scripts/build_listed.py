"""What a wheel carries: what Git tracks of the code, and the listed models.

Recipes and models of one's own stay at home. `pyproject.toml` names this file,
and a source archive has it, too.
"""

import shutil
import subprocess
from pathlib import Path

from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "saved_models"


class BuildListed(build_py):
    """Copies tracked files and listed models to an empty folder."""

    def finalize_options(self):
        """Add models, small tables and a page to the data of their packages."""
        super().finalize_options()
        self.tracked = tracked_files()
        self.package_data["saved_models"] = shipped_files()
        self.package_data["recipes.lab.data"] = ["*.csv"]
        self.package_data["zoo"] = ["*.txt"]
        self.package_data["zoo._playground"] = ["*.js", "*.css", "*.html"]

    def run(self):
        """Remove what an earlier build has left, and build."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()

    def find_package_modules(self, package, package_dir):
        """Leave out what Git does not track."""
        found = super().find_package_modules(package, package_dir)
        return [
            module
            for module in found
            if self.tracked is None or Path(module[2]) in self.tracked
        ]

    def find_data_files(self, package, src_dir):
        """Leave out files that Git does not track."""
        found = super().find_data_files(package, src_dir)
        return [
            file
            for file in found
            if self.tracked is None
            or package == "saved_models"
            or Path(file) in self.tracked
        ]

    def get_source_files(self):
        """Add this file to the source archive."""
        return [*super().get_source_files(), "scripts/build_listed.py"]


def tracked_files() -> set[Path] | None:
    """Return what Git tracks; None outside of a checkout, as in an archive."""
    if not (ROOT / ".git").exists():
        return None
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    return {Path(name) for name in files.decode().split("\0")}


def shipped_files() -> list[str]:
    """Return the files of the exports that ship, as their sums list them."""
    files = ["SHIPPED", "results.csv"]
    for export in (MODELS / "SHIPPED").read_text().split():
        sums = (MODELS / export / "SHA256SUMS").read_text().splitlines()
        names = [line.split("  ", 1)[1] for line in sums]
        files += [f"{export}/{name}" for name in ["SHA256SUMS", *names]]
    return files
