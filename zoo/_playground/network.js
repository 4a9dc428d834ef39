"use strict";
// A network: an ONNX file that can be run, and the layers that it consists of.

// What puts numbers elsewhere and leaves them as they are.
const MOVES = new Set([
  "Cast", "Concat", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice",
  "Squeeze", "Transpose", "Unsqueeze",
]);
const RECURRENT = new Set(["RNN", "GRU", "LSTM"]);

class Network {
  /** Read a network.
   *
   * Args:
   *   bytes: An ONNX file.
   *
   * Throws:
   *   Error: If it cannot be read, or has an operation that is not known here.
   */
  constructor(bytes) {
    const {inputs, outputs, nodes, constants, metadata} = readOnnx(bytes);
    nodes.forEach(checkOperator);
    this.inputs = inputs;
    this.outputs = outputs;
    this.nodes = nodes;
    this.constants = constants;
    this.labels = metadata.labels?.split("\n") ?? [];
    this.layers = layersOf(nodes);
  }

  /** Run it, or a part of it.
   *
   * Args:
   *   given: A Map of tensors by their names: of the inputs, or of anything
   *     inside, which is then not computed but taken from here.
   *   wanted: Names of tensors; only what they need is computed.
   *
   * Returns:
   *   A Map of all that was computed, by name, and of what was given. Outputs
   *   that have no name in the file are called by their node and number, as
   *   "lstm1/LSTM:0".
   */
  run(given, wanted = this.outputs.map(({name}) => name)) {
    const values = new Map([...this.constants, ...given]);
    for (const node of this._needed(values, wanted)) {
      const inputs = node.inputs.map((name) => {
        if (name && !values.has(name)) throw new Error(`There is no ${name}.`);
        return values.get(name);
      });
      const {run} = OPERATORS.get(node.operation);
      const found = [run(inputs, node.attributes)].flat();
      node.outputs.forEach((name, i) => {
        if (!found[i]) refuse(`Output ${i} of ${node.operation}`);
        values.set(name || `${node.name}:${i}`, found[i]);
      });
    }
    for (const name of this.constants.keys()) values.delete(name);
    return values;
  }

  /** Return the nodes that some tensors need, besides those that are known. */
  _needed(known, wanted) {
    const names = new Set(wanted);
    const needed = this.nodes.toReversed().filter((node) => {
      const asked = node.outputs.some(
        (name) => name && names.has(name) && !known.has(name));
      if (asked) node.inputs.forEach((name) => names.add(name));
      return asked;
    });
    return needed.toReversed();
  }
}

/** Return the layers that compute something.
 *
 * A node has the name of its layer before its own: "encoder/code/MatMul". What
 * its last node gives is what the layer gives.
 *
 * Returns:
 *   A list of {path, output, channelsFirst, sequence}: the layer's path, the
 *   name of what it gives, whether that has its channels before its sides, and
 *   the name of the states of all steps, if it is recurrent, or null.
 */
function layersOf(nodes) {
  const layers = new Map(), channelsFirst = new Map();
  for (const node of nodes) {
    const {name, operation, inputs, outputs, attributes} = node;
    const first = operation === "Transpose"
      ? String(attributes.perm) === "0,3,1,2"
      : channelsFirst.get(inputs[0]) ?? false;
    outputs.forEach((output) => channelsFirst.set(output, first));
    const path = name.slice(0, Math.max(name.lastIndexOf("/"), 0));
    if (!path) continue; // what is around the network
    const layer = layers.get(path) ?? {path, computes: false, sequence: null};
    layer.output = outputs.findLast((output) => output);
    layer.channelsFirst = first;
    layer.computes ||= !MOVES.has(operation);
    if (RECURRENT.has(operation) && attributes.direction === "forward") {
      layer.sequence = outputs[0] || `${name}:0`;
      layer.last = outputs[1];
    }
    layers.set(path, layer);
  }
  return [...layers.values()].filter(({computes}) => computes);
}
