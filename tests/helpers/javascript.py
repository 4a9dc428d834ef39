"""The playground's JavaScript, run by Node.js without a page."""

import base64
import json
import shutil
import subprocess

import numpy as np
import pytest

from helpers.commands import ROOT

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(
    NODE is None, reason="there is no Node.js to run JavaScript"
)
SCRIPTS = ROOT / "zoo" / "_playground"
KINDS = {
    "float32": "Float32Array",
    "float64": "Float64Array",
    "int32": "Int32Array",
    "int64": "Float64Array",  # as the page has them
    "bool": "Uint8Array",
    "uint8": "Uint8Array",
}
TYPES = {
    **{"Float32Array": "f4", "Float64Array": "f8"},
    **{"Int32Array": "i4", "Uint8Array": "u1"},
}

# Reads {scripts, function, arguments}, and writes what the function returns.
# Typed arrays are {kind, bytes} on the way, and tensors have a shape besides.
DRIVER = """
const fs = require("fs"), vm = require("vm");
const given = JSON.parse(fs.readFileSync(0, "utf8"), (key, value) => {
  if (!value?.bytes) return value;
  const bytes = new Uint8Array(Buffer.from(value.bytes, "base64"));
  const data = new globalThis[value.kind](bytes.buffer);
  return value.shape ? {shape: value.shape, data} : data;
});
for (const file of given.scripts) {
  vm.runInThisContext(fs.readFileSync(file, "utf8"), {filename: file});
}
const found = vm.runInThisContext(given.function)(...given.arguments);
process.stdout.write(JSON.stringify(found, (key, value) => {
  if (value instanceof Map) return Object.fromEntries(value);
  if (!ArrayBuffer.isView(value)) return value;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return {kind: value.constructor.name, bytes: bytes.toString("base64")};
}) ?? "null");
"""


def run(function, *arguments):
    """Call a JavaScript function that knows all of the page but its views.

    Args:
        function: The function: `"(x) => erf(x)"`.
        *arguments: JSON; bytes, and arrays, which become tensors.

    Returns:
        What it returns: JSON, with arrays instead of tensors and typed arrays.
        A Map is a dictionary.
    """
    names = ("onnx", "operators", "network", "mnist", "pad")
    task = {
        "scripts": [str(SCRIPTS / f"{name}.js") for name in names],
        "function": function,
        "arguments": arguments,
    }
    done = subprocess.run(
        [NODE, "-e", DRIVER],
        input=json.dumps(task, default=_to_json),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, object_hook=_from_json)


def _to_json(value):
    if isinstance(value, bytes):
        coded = base64.b64encode(value).decode()
        return {"kind": "Uint8Array", "bytes": coded}
    kind = KINDS[value.dtype.name]
    content = np.ascontiguousarray(value, TYPES[kind]).tobytes()
    coded = base64.b64encode(content).decode()
    return {"kind": kind, "bytes": coded, "shape": value.shape}


def _from_json(value):
    if "bytes" in value:
        content = base64.b64decode(value["bytes"])
        return np.frombuffer(content, TYPES[value["kind"]])
    if value.keys() == {"shape", "data"}:
        return value["data"].reshape(value["shape"])
    return value
