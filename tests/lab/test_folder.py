"""The folder of a run: where it can be, and what it is found to hold."""

import pytest
from helpers.commands import answer, is_a_usage_error

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.mark.parametrize("name", ["", "runs", "saved_models"])
def test_a_file_where_a_folder_should_be(name, tmp_path, capsys):
    output = tmp_path / "output"
    file = output / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    said = is_a_usage_error(capsys, "--dry-run", "--output-dir", output)
    assert f"--output-dir {output}: {file} is a file, not a folder" in said
    assert file.read_text() == "mine"
    assert [*output.rglob("*")] == ([file] if name else [])


@pytest.mark.parametrize("output", ["/proc/nope", "/proc/version/nope"])
def test_a_folder_that_cannot_be_written(output, capsys):
    code, said = answer(capsys, "--dry-run", "--output-dir", output)
    assert code == 1
    assert f"error: --output-dir {output} cannot be written: " in said
