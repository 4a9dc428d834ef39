"use strict";
// Reads an ONNX file: what it takes and gives, its nodes and its constants.
//
// The file is a message of protocol buffers: a list of fields, each with a
// number that https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3 explains.
// A tensor is {shape, data}: sizes, and a typed array in the order of rows.

// The version of ONNX's operations whose meaning operators.js has.
const OPSET = 18;

/** Read an ONNX file.
 *
 * Args:
 *   bytes: A Uint8Array.
 *
 * Returns:
 *   {name, inputs, outputs, nodes, constants, metadata}. Inputs and outputs are
 *   {name, shape}, whose sizes are null where any size will do; nodes are in
 *   the order in which they can be run; constants are a Map of tensors.
 *
 * Throws:
 *   Error: If it is none, or has what cannot be read here.
 */
function readOnnx(bytes) {
  const model = readMessage(bytes);
  for (const imported of model.messages(8)) {
    const domain = imported.text(1), version = imported.integer(2);
    if (domain !== "" || version !== OPSET) {
      throw new Error(
        `The file uses version ${version} of the operations of ` +
        `${domain || "ONNX"}; version ${OPSET} of ONNX's can be read.`);
    }
  }
  const [graph] = model.messages(7);
  if (!graph) throw new Error("The file has no graph.");
  const constants = new Map();
  for (const tensor of graph.messages(5)) {
    constants.set(tensor.text(8), readTensor(tensor));
  }
  const metadata = {};
  for (const entry of model.messages(14)) {
    metadata[entry.text(1)] = entry.text(2);
  }
  return {
    name: graph.text(2),
    inputs: graph.messages(11).map(readValue),
    outputs: graph.messages(12).map(readValue),
    nodes: graph.messages(1).map(readNode),
    constants,
    metadata,
  };
}

function readNode(message) {
  const attributes = {};
  for (const attribute of message.messages(5)) {
    attributes[attribute.text(1)] = readAttribute(attribute);
  }
  return {
    name: message.text(3),
    operation: message.text(4),
    inputs: message.texts(1),
    outputs: message.texts(2),
    attributes,
  };
}

function readAttribute(message) {
  const type = message.integer(20);
  switch (type) {
    case 1: return message.float(2);
    case 2: return message.integer(3);
    case 3: return message.text(4);
    case 7: return message.integers(8);
    case 8: return message.texts(9);
    default:
      throw new Error(
        `Attribute ${message.text(1)} has the type ${type}, ` +
        "which cannot be read.");
  }
}

function readValue(message) {
  const tensor = message.messages(2)[0]?.messages(1)[0];
  const sizes = tensor?.messages(2)[0]?.messages(1) ?? [];
  return {
    name: message.text(1),
    shape: sizes.map((size) => size.has(1) ? size.integer(1) : null),
  };
}

function readTensor(message) {
  const shape = message.integers(1), type = message.integer(2);
  const count = sizeOf(shape);
  const [raw] = message.bytes(9);
  if (!raw && count) {
    throw new Error(`The numbers of ${message.text(8)} are not in the file.`);
  }
  const buffer = raw ? raw.slice().buffer : new ArrayBuffer(0);
  const data = numbersIn(buffer, type, message.text(8));
  if (data.length !== count) {
    throw new Error(
      `${message.text(8)} has ${data.length} numbers instead of ${count}.`);
  }
  return {shape, data};
}

/** Return bytes as numbers of one of ONNX's types. */
function numbersIn(buffer, type, name) {
  switch (type) {
    case 1: return new Float32Array(buffer);
    case 2: case 9: return new Uint8Array(buffer);
    case 6: return new Int32Array(buffer);
    // Whole numbers up to 2^53 are doubles, too.
    case 7: return Float64Array.from(new BigInt64Array(buffer), Number);
    default:
      throw new Error(`${name} is of type ${type}, which cannot be read.`);
  }
}

/** Return how many numbers a tensor of this shape has. */
function sizeOf(shape) {
  return shape.reduce((product, size) => product * size, 1);
}

// --- protocol buffers ----------------------------------------------------

/** A message, whose fields are asked for by their numbers. */
class Message {
  constructor(fields) {
    this.fields = fields;
  }

  has(number) {
    return this.fields.has(number);
  }

  bytes(number) {
    const values = this.fields.get(number) ?? [];
    if (values.some((value) => typeof value === "number")) throw damaged();
    return values;
  }

  messages(number) {
    return this.bytes(number).map(readMessage);
  }

  texts(number) {
    return this.bytes(number).map((bytes) => TEXT.decode(bytes));
  }

  text(number) {
    return this.texts(number)[0] ?? "";
  }

  /** What is not written is zero. */
  integer(number) {
    return this.integers(number)[0] ?? 0;
  }

  /** Each number is a field, or one field holds all of them. */
  integers(number) {
    return (this.fields.get(number) ?? []).flatMap((value) => {
      if (typeof value === "number") return [value];
      const packed = [], at = {byte: 0};
      while (at.byte < value.length) packed.push(readVarint(value, at));
      return packed;
    });
  }

  float(number) {
    const [bytes] = this.bytes(number);
    if (!bytes) return 0;
    return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
  }
}

const TEXT = new TextDecoder();

function readMessage(bytes) {
  const fields = new Map(), at = {byte: 0};
  while (at.byte < bytes.length) {
    const tag = readVarint(bytes, at);
    const number = Math.floor(tag / 8), kind = tag % 8;
    let value;
    if (kind === 0) value = readVarint(bytes, at);
    else if (kind === 1) value = take(bytes, at, 8);
    else if (kind === 2) value = take(bytes, at, readVarint(bytes, at));
    else if (kind === 5) value = take(bytes, at, 4);
    else throw damaged();
    if (fields.has(number)) fields.get(number).push(value);
    else fields.set(number, [value]);
  }
  return new Message(fields);
}

function take(bytes, at, count) {
  const start = at.byte;
  at.byte += count;
  if (count < 0 || at.byte > bytes.length) throw damaged();
  return bytes.subarray(start, at.byte);
}

/** Read a whole number, seven bits a byte, the lowest first. */
function readVarint(bytes, at) {
  let number = 0n;
  for (let shift = 0n; shift < 64n && at.byte < bytes.length; shift += 7n) {
    const byte = bytes[at.byte++];
    number |= BigInt(byte & 127) << shift;
    if (byte < 128) return Number(BigInt.asIntN(64, number));
  }
  throw damaged();
}

function damaged() {
  return new Error("The file is damaged, or it is no ONNX file.");
}
