"""How to use an export, as its card says it: a few lines for each runtime.

Every one of them is run by a test.
"""

from recipes.lab.inputs.signatures import arguments_of, in_a_call


def examples(name: str, version: str, task, formats) -> str:
    """Return the examples of an export in Markdown.

    Args:
        name: Name of the export.
        version: Its number.
        task: What the model does, see `recipes.lab.tasks`.
        formats: The formats that the export has, as in `metrics.json`.
    """
    folder = f"saved_models/{name}/{version}"
    blocks = [task.use(name, version), _serving(name, task.inputs)]
    if "litert" in formats:
        blocks.append(_litert(folder, task, formats))
    if "onnx" in formats:
        blocks.append(_onnx_runtime(folder, task))
        blocks.append(_openvino(folder, task))
        blocks.append(_browser(task))
    return "\n".join(blocks)


def _serving(name, inputs):
    return f"""\
With TensorFlow Serving watching `saved_models/{name}`:

```python
import json, urllib.request

{inputs.comment()}
url = "http://localhost:8501/v1/models/{name}:predict"
instances = {_instances(inputs)}
body = {{"signature_name": "{inputs.signature}", "instances": instances}}
with urllib.request.urlopen(url, json.dumps(body).encode()) as answer:
    print(json.load(answer)["predictions"][0])
```
"""


def _instances(inputs):
    """Return the examples as a server reads them, in Python."""
    names, variables, *_ = zip(*arguments_of(inputs), strict=True)
    if len(names) == 1:
        return f"{variables[0]}.tolist()"
    cells = ", ".join(f'"{name}": {name}.tolist()' for name in names)
    loop = f"for {', '.join(names)} in zip({', '.join(variables)})"
    return f"[\n    {{{cells}}}\n    {loop}\n]"


def _given(inputs):
    """Return the arguments as a dictionary in Python."""
    cells = (f'"{a.name}": {a.variable}' for a in arguments_of(inputs))
    return f"{{{', '.join(cells)}}}"


def _litert(folder, task, formats):
    inputs, more = task.inputs, ""
    if task.answered in formats["litert"]["signatures"]:
        more = (
            f"\nThe signature `{task.answered}` returns nothing else, for "
            "runtimes that read no strings and\nno int64, such as LiteRT's "
            "CompiledModel."
        )
    if "litert-int8" in formats:
        more += "\n`model.int8.tflite` is used alike."
    return f"""\
With LiteRT (`pip install ai-edge-litert`):

```python
from ai_edge_litert.interpreter import Interpreter

model = Interpreter("{folder}/model.tflite")
{inputs.comment()}
ask = model.get_signature_runner("{inputs.signature}")
print(ask({in_a_call(inputs)})["{task.answered}"])
```

LiteRT checks no shapes and answers whatever it gets: give it exactly that one.
Name the signature: the file has several.{more}
"""


def _onnx_runtime(folder, task):
    inputs = task.inputs
    return f"""\
With ONNX Runtime (`pip install onnxruntime`):

```python
import onnxruntime

session = onnxruntime.InferenceSession("{folder}/model.onnx")
{inputs.comment()}
answer = session.run(None, {_given(inputs)})
print(answer[0])  # {task.answered}
```
"""


def _openvino(folder, task):
    inputs = task.inputs
    return f"""\
With OpenVINO (`pip install openvino`), which else computes in bfloat16 where
the processor can:

```python
import openvino

precise = {{"INFERENCE_PRECISION_HINT": "f32"}}
{inputs.comment()}
model = openvino.compile_model("{folder}/model.onnx", "CPU", precise)
print(model({_given(inputs)})["{task.answered}"])
```
"""


def _browser(task):
    arguments = arguments_of(task.inputs)
    names = ", ".join(argument.name for argument in arguments)
    comments, tensors = [], []
    for name, _, shape, (kind, array) in arguments:
        values = "values" if len(arguments) == 1 else f"{name}Values"
        sizes = ", ".join(map(str, (1, *shape)))
        article = "an" if array[0] in "AEIOU" else "a"
        comments.append(f"// {values}: {article} {array} of one example")
        tensors.append(
            f'const {name} = new ort.Tensor("{kind}", {values}, [{sizes}]);'
        )
    comments, tensors = "\n".join(comments), "\n".join(tensors)
    return f"""\
In a browser (`npm install onnxruntime-web`):

```js
import * as ort from "onnxruntime-web";

{comments}
const session = await ort.InferenceSession.create("model.onnx");
{tensors}
const answer = await session.run({{ {names} }});
console.log(answer.{task.answered}.data);
```
"""
