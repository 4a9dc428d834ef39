"use strict";
// What the operations of ONNX do, version 18, each a function from its inputs
// and its attributes to its output, or to a list of them.
//
// These are the operations that the exports of this project use. A file that
// uses another one, or an attribute that is not listed here, is refused.

/** Operations by their names: {attributes, run}. */
const OPERATORS = new Map();

/** Add an operation.
 *
 * Args:
 *   name: What ONNX calls it.
 *   attributes: The attributes that the function heeds.
 *   run: The function.
 */
function operator(name, attributes, run) {
  OPERATORS.set(name, {attributes, run});
}

/** Throw an error that names what a file uses and nobody has written here.
 *
 * Args:
 *   node: A node of the file.
 */
function checkOperator(node) {
  const known = OPERATORS.get(node.operation);
  if (!known) {
    throw new Error(
      `The operation ${node.operation} of ${node.name} is not known here.`);
  }
  for (const attribute of Object.keys(node.attributes)) {
    if (!known.attributes.includes(attribute)) {
      throw new Error(
        `The attribute ${attribute} of ${node.operation}, which ${node.name} ` +
        "has, is not known here.");
    }
  }
}

function refuse(what) {
  throw new Error(`${what} is not known here.`);
}

/** Return a tensor of zeros of the same type as another one. */
function zeros(shape, like) {
  return {shape, data: new like.data.constructor(sizeOf(shape))};
}

// --- number by number ----------------------------------------------------

function ofEach(name, compute, defaults = {}) {
  operator(name, Object.keys(defaults), ([x], attributes) => {
    const f = compute({...defaults, ...attributes});
    const y = zeros(x.shape, x);
    for (let i = 0; i < y.data.length; i++) y.data[i] = f(x.data[i]);
    return y;
  });
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const softsign = (x) => x / (1 + Math.abs(x));
const relu = (x) => Math.max(x, 0);

ofEach("Abs", () => Math.abs);
ofEach("Celu", ({alpha}) =>
  (x) => x > 0 ? x : alpha * Math.expm1(x / alpha), {alpha: 1});
ofEach("Elu", ({alpha}) =>
  (x) => x > 0 ? x : alpha * Math.expm1(x), {alpha: 1});
ofEach("Erf", () => erf);
ofEach("Exp", () => Math.exp);
ofEach("HardSigmoid", ({alpha, beta}) =>
  (x) => Math.min(Math.max(alpha * x + beta, 0), 1), {alpha: 0.2, beta: 0.5});
ofEach("HardSwish", () => (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1));
ofEach("Identity", () => (x) => x);
ofEach("LeakyRelu", ({alpha}) => (x) => x < 0 ? alpha * x : x, {alpha: 0.01});
ofEach("Log", () => Math.log);
ofEach("Mish", () => (x) => x * Math.tanh(softplus(x)));
ofEach("Neg", () => (x) => -x);
ofEach("Relu", () => relu);
ofEach("Round", () => roundHalfToEven);
ofEach("Selu", ({alpha, gamma}) =>
  (x) => gamma * (x > 0 ? x : alpha * Math.expm1(x)),
  {alpha: 1.6732632, gamma: 1.0507009});
ofEach("Sigmoid", () => sigmoid);
ofEach("Softplus", () => softplus);
ofEach("Softsign", () => softsign);
ofEach("Sqrt", () => Math.sqrt);
ofEach("Tanh", () => Math.tanh);

/** Round to the nearest whole number, and to the even one of two. */
function roundHalfToEven(x) {
  const below = Math.floor(x), rest = x - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** Return the error function, to the precision of a double.
 *
 * Near zero it is a series, and far from it a continued fraction: 7.1.5 and
 * 7.1.14 of Abramowitz and Stegun, 1964.
 */
function erf(x) {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let term = x, sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= -x * x / n;
      sum += term / (2 * n + 1);
    }
    return 2 / Math.sqrt(Math.PI) * sum;
  }
  let fraction = size;
  for (let n = 60; n > 0; n--) fraction = size + n / 2 / fraction;
  const rest = Math.exp(-size * size) / Math.sqrt(Math.PI) / fraction;
  return Math.sign(x) * (1 - rest);
}

operator("Cast", ["to"], ([x], {to}) => {
  if (to === 1) return {shape: x.shape, data: Float32Array.from(x.data)};
  if (to === 2) return {shape: x.shape, data: Uint8Array.from(x.data)};
  if (to === 6) {
    return {shape: x.shape, data: Int32Array.from(x.data, Math.trunc)};
  }
  if (to === 7) {
    return {shape: x.shape, data: Float64Array.from(x.data, Math.trunc)};
  }
  return refuse(`Cast to type ${to}`);
});

operator("Clip", [], ([x, low, high]) => {
  const least = low?.data[0] ?? -Infinity, most = high?.data[0] ?? Infinity;
  const y = zeros(x.shape, x);
  for (let i = 0; i < y.data.length; i++) {
    y.data[i] = Math.min(Math.max(x.data[i], least), most);
  }
  return y;
});

// --- numbers of two tensors, one of which may be smaller -----------------

function ofPairs(name, f, isTruth = false) {
  operator(name, [], ([a, b]) => {
    const shape = broadcast(a.shape, b.shape);
    const y = zeros(shape, isTruth ? {data: new Uint8Array()} : a);
    const inA = placesIn(a.shape, shape), inB = placesIn(b.shape, shape);
    for (let i = 0; i < y.data.length; i++) {
      y.data[i] = f(a.data[inA ? inA[i] : i], b.data[inB ? inB[i] : i]);
    }
    return y;
  });
}

ofPairs("Add", (a, b) => a + b);
ofPairs("Div", (a, b) => a / b);
ofPairs("Max", Math.max);
ofPairs("Min", Math.min);
ofPairs("Mul", (a, b) => a * b);
ofPairs("Sub", (a, b) => a - b);
ofPairs("Greater", (a, b) => a > b, true);
ofPairs("GreaterOrEqual", (a, b) => a >= b, true);

/** Return the shape that two shapes grow to: sizes of 1 do. */
function broadcast(a, b) {
  const rank = Math.max(a.length, b.length);
  return Array.from({length: rank}, (_, i) => {
    const one = a[a.length - rank + i] ?? 1;
    const other = b[b.length - rank + i] ?? 1;
    if (one !== other && one !== 1 && other !== 1) {
      throw new Error(`Shapes [${a}] and [${b}] do not fit together.`);
    }
    return one === 1 ? other : one;
  });
}

/** Return where each number of a larger tensor is in a smaller one.
 *
 * Returns:
 *   A place for each number; null if they are the same.
 */
function placesIn(small, large) {
  const missing = large.length - small.length;
  const strides = stridesOf(small);
  if (sizeOf(small) === sizeOf(large)) return null;
  return places(large, large.map((_, axis) =>
    axis < missing || small[axis - missing] === 1 ? 0 : strides[axis - missing]
  ));
}

/** Return how far apart neighbors along each axis are. */
function stridesOf(shape) {
  const strides = new Array(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/** Return the places that are met in the order of rows.
 *
 * Args:
 *   shape: How many steps there are along each axis.
 *   strides: How far each of them goes.
 *   start: The first place.
 */
function places(shape, strides, start = 0) {
  let found = [start];
  shape.forEach((size, axis) => {
    const wider = new Int32Array(found.length * size);
    let i = 0;
    for (const place of found) {
      for (let step = 0; step < size; step++) {
        wider[i++] = place + step * strides[axis];
      }
    }
    found = wider;
  });
  return found;
}

/** Return a tensor of the numbers at some places of another one. */
function taken(x, shape, where) {
  const y = zeros(shape, x);
  for (let i = 0; i < where.length; i++) y.data[i] = x.data[where[i]];
  return y;
}

// --- shapes --------------------------------------------------------------

/** Return an axis as a number from 0 on; -1 is the last one. */
function axisOf(axis, shape) {
  return axis < 0 ? axis + shape.length : axis;
}

operator("Shape", ["start", "end"], ([x], {start = 0, end}) => {
  const sizes = x.shape.slice(start, end);
  return {shape: [sizes.length], data: Float64Array.from(sizes)};
});

operator("Expand", [], ([x, sizes]) => {
  const shape = broadcast(x.shape, Array.from(sizes.data));
  const where = placesIn(x.shape, shape);
  return where ? taken(x, shape, where) : {shape, data: x.data};
});

operator("Reshape", [], ([x, sizes]) => {
  const shape = Array.from(sizes.data, (size, i) => size || x.shape[i]);
  const open = shape.indexOf(-1);
  if (open >= 0) shape[open] = x.data.length / -sizeOf(shape);
  if (sizeOf(shape) !== x.data.length) {
    throw new Error(`[${x.shape}] cannot have the shape [${sizes.data}].`);
  }
  return {shape, data: x.data};
});

operator("Squeeze", [], ([x, axes]) => {
  const gone = axes && Array.from(axes.data, (axis) => axisOf(axis, x.shape));
  const stays = (size, axis) => gone ? !gone.includes(axis) : size !== 1;
  return {shape: x.shape.filter(stays), data: x.data};
});

operator("Unsqueeze", [], ([x, axes]) => {
  const rank = x.shape.length + axes.data.length;
  const added = Array.from(axes.data, (axis) => axis < 0 ? axis + rank : axis);
  const sizes = [...x.shape];
  const shape = Array.from({length: rank}, (_, axis) =>
    added.includes(axis) ? 1 : sizes.shift());
  return {shape, data: x.data};
});

operator("Transpose", ["perm"], ([x], {perm}) => {
  const strides = stridesOf(x.shape);
  const order = perm ?? x.shape.map((_, axis) => axis).reverse();
  const shape = order.map((axis) => x.shape[axis]);
  return taken(x, shape, places(shape, order.map((axis) => strides[axis])));
});

operator("Concat", ["axis"], (tensors, {axis}) => {
  const [first] = tensors, along = axisOf(axis, first.shape);
  const shape = [...first.shape];
  shape[along] = tensors.reduce((sum, x) => sum + x.shape[along], 0);
  const y = zeros(shape, first);
  const inner = sizeOf(shape.slice(along + 1));
  const outer = sizeOf(shape.slice(0, along));
  let at = 0;
  for (let row = 0; row < outer; row++) {
    for (const x of tensors) {
      const size = x.shape[along] * inner;
      y.data.set(x.data.subarray(row * size, (row + 1) * size), at);
      at += size;
    }
  }
  return y;
});

operator("Slice", [], ([x, starts, ends, axes, steps]) => {
  const strides = stridesOf(x.shape), shape = [...x.shape];
  let first = 0;
  starts.data.forEach((start, i) => {
    const axis = axisOf(axes?.data[i] ?? i, x.shape), size = x.shape[axis];
    const step = steps?.data[i] ?? 1;
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const within = (place) =>
      Math.min(Math.max(place < 0 ? place + size : place, low), high);
    const begin = within(start);
    shape[axis] = Math.max(Math.ceil((within(ends.data[i]) - begin) / step), 0);
    first += begin * strides[axis];
    strides[axis] *= step;
  });
  return taken(x, shape, places(shape, strides, first));
});

operator("Gather", ["axis"], ([x, indices], {axis = 0}) => {
  const along = axisOf(axis, x.shape), count = x.shape[along];
  const before = x.shape.slice(0, along), after = x.shape.slice(along + 1);
  const y = zeros([...before, ...indices.shape, ...after], x);
  const size = sizeOf(after);
  let at = 0;
  for (let row = 0; row < sizeOf(before); row++) {
    for (const index of indices.data) {
      const from = (row * count + axisOf(index, {length: count})) * size;
      y.data.set(x.data.subarray(from, from + size), at);
      at += size;
    }
  }
  return y;
});

operator("Pad", ["mode"], ([x, pads, value], {mode = "constant"}) => {
  if (mode !== "constant") refuse(`The mode ${mode} of Pad`);
  if (Math.min(...pads.data) < 0) refuse("Pad by less than nothing");
  const before = pads.data.slice(0, x.shape.length);
  const after = pads.data.slice(x.shape.length);
  const shape = x.shape.map((size, i) => before[i] + size + after[i]);
  const strides = stridesOf(shape);
  const start = before.reduce((sum, pad, i) => sum + pad * strides[i], 0);
  const y = zeros(shape, x);
  y.data.fill(value?.data[0] ?? 0);
  places(x.shape, strides, start).forEach((place, i) => {
    y.data[place] = x.data[i];
  });
  return y;
});

// --- along axes ----------------------------------------------------------

/** Add an operation that makes one number of all along some axes. */
function ofAxes(name, first, add, finish = (total) => total) {
  const attributes = ["keepdims", "noop_with_empty_axes"];
  operator(name, attributes, ([x, axes], {keepdims = 1}) => {
    const all = x.shape.map((_, axis) => axis);
    const gone = axes?.data.length
      ? Array.from(axes.data, (axis) => axisOf(axis, x.shape)) : all;
    const shape = x.shape.map((size, axis) => gone.includes(axis) ? 1 : size);
    const totals = new Float64Array(sizeOf(shape)).fill(first);
    const where = placesIn(shape, x.shape);
    for (let i = 0; i < x.data.length; i++) {
      const place = where ? where[i] : i;
      totals[place] = add(totals[place], x.data[i]);
    }
    const y = zeros(shape, x), count = x.data.length / y.data.length;
    totals.forEach((total, i) => y.data[i] = finish(total, count));
    if (!keepdims) y.shape = shape.filter((_, axis) => !gone.includes(axis));
    return y;
  });
}

ofAxes("ReduceSum", 0, (total, x) => total + x);
ofAxes("ReduceMean", 0, (total, x) => total + x, (total, n) => total / n);
ofAxes("ReduceProd", 1, (total, x) => total * x);
ofAxes("ReduceMax", -Infinity, Math.max);

operator("ArgMax", ["axis", "keepdims"], ([x], {axis = 0, keepdims = 1}) => {
  const along = axisOf(axis, x.shape), count = x.shape[along];
  const stride = stridesOf(x.shape)[along];
  const shape = x.shape.map((size, i) => i === along ? 1 : size);
  const y = {shape, data: new Float64Array(sizeOf(shape))};
  for (let i = 0; i < y.data.length; i++) {
    const start = Math.floor(i / stride) * stride * count + i % stride;
    let best = 0;
    for (let j = 1; j < count; j++) {
      if (x.data[start + j * stride] > x.data[start + best * stride]) best = j;
    }
    y.data[i] = best;
  }
  if (!keepdims) y.shape = shape.filter((_, i) => i !== along);
  return y;
});

operator("TopK", ["axis", "largest", "sorted"],
  ([x, k], {axis = -1, largest = 1}) => {
    const length = x.shape.at(-1), [count] = k.data;
    if (axisOf(axis, x.shape) !== x.shape.length - 1 || !largest) {
      refuse(`TopK along axis ${axis} of [${x.shape}]`);
    }
    const shape = [...x.shape.slice(0, -1), count], places = [];
    for (let at = 0; at < x.data.length; at += length) {
      const order = Array.from({length}, (_, i) => at + i);
      order.sort((i, j) => x.data[j] - x.data[i] || i - j);
      places.push(...order.slice(0, count));
    }
    const indices = Float64Array.from(places, (place) => place % length);
    return [taken(x, shape, places), {shape, data: indices}];
  });

/** Add an operation on each row along an axis. */
function ofRows(name, compute) {
  operator(name, ["axis"], ([x], {axis = -1}) => {
    const along = axisOf(axis, x.shape), length = x.shape[along];
    const step = sizeOf(x.shape.slice(along + 1)); // to the next of a row
    const y = zeros(x.shape, x);
    for (let i = 0; i < x.data.length; i += length * step) {
      for (let at = i; at < i + step; at++) {
        const place = (j) => at + j * step;
        const row = Float64Array.from({length}, (_, j) => x.data[place(j)]);
        compute(row).forEach((number, j) => { y.data[place(j)] = number; });
      }
    }
    return y;
  });
}

ofRows("Softmax", (row) => {
  const largest = Math.max(...row);
  const powers = row.map((x) => Math.exp(x - largest));
  const total = powers.reduce((sum, x) => sum + x);
  return powers.map((x) => x / total);
});
ofRows("LogSoftmax", (row) => {
  const largest = Math.max(...row);
  const total = row.reduce((sum, x) => sum + Math.exp(x - largest), 0);
  return row.map((x) => x - largest - Math.log(total));
});

operator("BatchNormalization", ["epsilon"],
  ([x, gamma, beta, mean, variance], {epsilon = 1e-5}) => {
    const channels = x.shape[1], size = sizeOf(x.shape.slice(2));
    const y = zeros(x.shape, x);
    for (let at = 0, row = 0; at < y.data.length; at += size, row++) {
      const c = row % channels;
      const scale = gamma.data[c] / Math.sqrt(variance.data[c] + epsilon);
      for (let i = at; i < at + size; i++) {
        y.data[i] = (x.data[i] - mean.data[c]) * scale + beta.data[c];
      }
    }
    return y;
  });

operator("LayerNormalization", ["axis", "epsilon"],
  ([x, scale, bias], {axis = -1, epsilon = 1e-5}) => {
    const length = x.shape.at(-1), y = zeros(x.shape, x);
    if (axisOf(axis, x.shape) !== x.shape.length - 1) {
      refuse(`LayerNormalization along axis ${axis} of [${x.shape}]`);
    }
    for (let at = 0; at < x.data.length; at += length) {
      const row = Float64Array.from(x.data.subarray(at, at + length));
      const mean = row.reduce((sum, value) => sum + value) / length;
      const rest = row.map((value) => value - mean);
      const squares = rest.reduce((sum, value) => sum + value ** 2, 0);
      const deviation = Math.sqrt(squares / length + epsilon);
      for (let i = 0; i < length; i++) {
        y.data[at + i] =
          rest[i] / deviation * scale.data[i] + (bias?.data[i] ?? 0);
      }
    }
    return y;
  });

operator("LRN", ["alpha", "beta", "bias", "size"],
  ([x], {alpha = 1e-4, beta = 0.75, bias = 1, size}) => {
    const [batch, channels, ...sides] = x.shape, plane = sizeOf(sides);
    const y = zeros(x.shape, x), before = Math.floor((size - 1) / 2);
    for (let n = 0; n < batch; n++) {
      for (let c = 0; c < channels; c++) {
        const first = Math.max(c - before, 0);
        const last = Math.min(c - before + size, channels) - 1;
        for (let i = 0; i < plane; i++) {
          let squares = 0;
          for (let near = first; near <= last; near++) {
            squares += x.data[(n * channels + near) * plane + i] ** 2;
          }
          const place = (n * channels + c) * plane + i;
          y.data[place] =
            x.data[place] / (bias + alpha / size * squares) ** beta;
        }
      }
    }
    return y;
  });

// --- products ------------------------------------------------------------

/** Return rows times a matrix, plus a bias: (rows, K) by (K, N). */
function product(rows, matrix, K, N, bias) {
  const M = rows.length / K, y = new Float32Array(M * N);
  const sums = new Float64Array(N);
  for (let m = 0; m < M; m++) {
    if (bias) sums.set(bias);
    else sums.fill(0);
    for (let k = 0; k < K; k++) {
      const value = rows[m * K + k], row = k * N;
      if (value === 0) continue; // as most are after a ReLU
      for (let n = 0; n < N; n++) sums[n] += value * matrix[row + n];
    }
    y.set(sums, m * N);
  }
  return y;
}

operator("MatMul", [], ([a, b]) => {
  const K = a.shape.at(-1), [rows, N] = b.shape.slice(-2);
  if (b.shape.length < 2 || rows !== K) {
    throw new Error(`[${a.shape}] cannot be multiplied by [${b.shape}].`);
  }
  if (b.shape.length === 2) {
    const shape = [...a.shape.slice(0, -1), N];
    return {shape, data: product(a.data, b.data, K, N)};
  }
  const M = a.shape.at(-2);
  const outerA = a.shape.slice(0, -2), outerB = b.shape.slice(0, -2);
  const outer = broadcast(outerA, outerB), count = sizeOf(outer);
  const inA = placesIn(outerA, outer), inB = placesIn(outerB, outer);
  const data = new Float32Array(count * M * N);
  for (let i = 0; i < count; i++) {
    const fromA = (inA ? inA[i] : i) * M * K;
    const fromB = (inB ? inB[i] : i) * K * N;
    const found = product(
      a.data.subarray(fromA, fromA + M * K),
      b.data.subarray(fromB, fromB + K * N), K, N);
    data.set(found, i * M * N);
  }
  return {shape: [...outer, M, N], data};
});

operator("Gemm", ["transB"], ([a, b, bias], {transB = 0}) => {
  const matrix = transB ? OPERATORS.get("Transpose").run([b], {}) : b;
  const [K, N] = matrix.shape;
  const data = product(a.data, matrix.data, K, N, bias?.data);
  return {shape: [a.shape[0], N], data};
});

// --- windows over images, (batch, channels, height, width) ---------------

/** Return how a window goes over an image. */
function windowOf(sides, size, {strides, pads, dilations}) {
  const [down, right] = strides ?? [1, 1], [dy, dx] = dilations ?? [1, 1];
  const [top, left, bottom, far] = pads ?? [0, 0, 0, 0];
  const [height, width] = sides, [rows, columns] = size;
  if (sides.length !== 2) refuse(`A window over ${sides.length} sides`);
  const goesDown = height + top + bottom - dy * (rows - 1) - 1;
  const goesRight = width + left + far - dx * (columns - 1) - 1;
  return {
    down, right, dy, dx, top, left, rows, columns, height, width,
    outHeight: Math.floor(goesDown / down) + 1,
    outWidth: Math.floor(goesRight / right) + 1,
  };
}

/** Return the first and the last but one place that a step reaches. */
function reach(offset, stride, size, count) {
  const first = Math.max(Math.ceil(-offset / stride), 0);
  const end = Math.min(Math.floor((size - 1 - offset) / stride) + 1, count);
  return [first, end];
}

operator("Conv", ["strides", "pads", "dilations", "group", "kernel_shape"],
  ([x, kernel, bias], attributes) => {
    if (x.shape.length === 3) {
      return convolveSequence(x, kernel, bias, attributes);
    }
    const [batch, channels, ...sides] = x.shape;
    const [maps, perGroup, ...size] = kernel.shape;
    const mapsPerGroup = maps / (attributes.group ?? 1);
    const w = windowOf(sides, size, attributes);
    const plane = w.outHeight * w.outWidth, inPlane = w.height * w.width;
    const y = zeros([batch, maps, w.outHeight, w.outWidth], x);
    const sums = new Float64Array(plane);
    for (let n = 0; n < batch; n++) {
      for (let map = 0; map < maps; map++) {
        sums.fill(bias ? bias.data[map] : 0);
        const firstChannel = Math.floor(map / mapsPerGroup) * perGroup;
        for (let c = 0; c < perGroup; c++) {
          const from = (n * channels + firstChannel + c) * inPlane;
          const weights = (map * perGroup + c) * w.rows * w.columns;
          addConvolution(sums, x.data, from, kernel.data, weights, w);
        }
        y.data.set(sums, (n * maps + map) * plane);
      }
    }
    return y;
  });

/** Convolve (batch, channels, length): an image of one row. */
function convolveSequence(x, kernel, bias, {group, ...attributes}) {
  const asImage = ({shape: [count, channels, length], data}) =>
    ({shape: [count, channels, 1, length], data});
  const {strides = [1], dilations = [1], pads: [before, after] = [0, 0]} =
    attributes;
  const {shape, data} = OPERATORS.get("Conv").run(
    [asImage(x), asImage(kernel), bias],
    {
      group, strides: [1, ...strides], dilations: [1, ...dilations],
      pads: [0, before, 0, after],
    });
  return {shape: [shape[0], shape[1], shape[3]], data};
}

/** Add one channel under one kernel to the sums of a map. */
function addConvolution(sums, image, from, kernel, weights, w) {
  for (let row = 0; row < w.rows; row++) {
    const above = row * w.dy - w.top;
    const [firstY, endY] = reach(above, w.down, w.height, w.outHeight);
    for (let column = 0; column < w.columns; column++) {
      const weight = kernel[weights + row * w.columns + column];
      if (weight === 0) continue;
      const beside = column * w.dx - w.left;
      const [firstX, endX] = reach(beside, w.right, w.width, w.outWidth);
      for (let y = firstY; y < endY; y++) {
        const source = from + (y * w.down + above) * w.width + beside;
        const target = y * w.outWidth;
        for (let x = firstX; x < endX; x++) {
          sums[target + x] += weight * image[source + x * w.right];
        }
      }
    }
  }
}

operator("ConvTranspose", ["strides", "pads", "output_padding"],
  ([x, kernel, bias], {strides, pads, output_padding}) => {
    const [batch, channels, height, width] = x.shape;
    const [, maps, rows, columns] = kernel.shape;
    const [down, right] = strides ?? [1, 1];
    const [top, left, bottom, far] = pads ?? [0, 0, 0, 0];
    const [moreDown, moreRight] = output_padding ?? [0, 0];
    // It is the way back of a convolution over the image that it gives.
    const w = {
      down, right, dy: 1, dx: 1, top, left, rows, columns,
      height: (height - 1) * down + rows - top - bottom + moreDown,
      width: (width - 1) * right + columns - left - far + moreRight,
      outHeight: height, outWidth: width,
    };
    const y = zeros([batch, maps, w.height, w.width], x);
    const plane = w.height * w.width, sums = new Float64Array(plane);
    for (let n = 0; n < batch; n++) {
      for (let map = 0; map < maps; map++) {
        sums.fill(bias ? bias.data[map] : 0);
        for (let c = 0; c < channels; c++) {
          const from = (n * channels + c) * height * width;
          const weights = (c * maps + map) * rows * columns;
          addWayBack(sums, x.data, from, kernel.data, weights, w);
        }
        y.data.set(sums, (n * maps + map) * plane);
      }
    }
    return y;
  });

/** Add the way back of `addConvolution`: from a map to the image. */
function addWayBack(sums, map, from, kernel, weights, w) {
  for (let row = 0; row < w.rows; row++) {
    const above = row - w.top;
    const [firstY, endY] = reach(above, w.down, w.height, w.outHeight);
    for (let column = 0; column < w.columns; column++) {
      const weight = kernel[weights + row * w.columns + column];
      const beside = column - w.left;
      const [firstX, endX] = reach(beside, w.right, w.width, w.outWidth);
      for (let y = firstY; y < endY; y++) {
        const source = from + y * w.outWidth;
        const target = (y * w.down + above) * w.width + beside;
        for (let x = firstX; x < endX; x++) {
          sums[target + x * w.right] += weight * map[source + x];
        }
      }
    }
  }
}

/** Add an operation that makes one number of what is under a window. */
function ofWindows(name, first, add, finish) {
  operator(name, ["kernel_shape", "strides", "pads"], ([x], attributes) => {
    const [batch, channels, ...sides] = x.shape;
    const w = windowOf(sides, attributes.kernel_shape, attributes);
    const y = zeros([batch, channels, w.outHeight, w.outWidth], x);
    let place = 0;
    for (let plane = 0; plane < batch * channels; plane++) {
      for (let i = 0; i < w.outHeight; i++) {
        const firstY = i * w.down - w.top;
        const startY = Math.max(firstY, 0);
        const endY = Math.min(firstY + w.rows, w.height);
        for (let j = 0; j < w.outWidth; j++) {
          const firstX = j * w.right - w.left;
          const startX = Math.max(firstX, 0);
          const endX = Math.min(firstX + w.columns, w.width);
          let total = first;
          for (let row = startY; row < endY; row++) {
            const from = (plane * w.height + row) * w.width;
            for (let column = startX; column < endX; column++) {
              total = add(total, x.data[from + column]);
            }
          }
          const count = (endY - startY) * (endX - startX);
          y.data[place++] = finish(total, count);
        }
      }
    }
    return y;
  });
}

// Of what was padded nothing is under the window.
ofWindows("MaxPool", -Infinity, Math.max, (largest) => largest);
ofWindows("AveragePool", 0, (sum, x) => sum + x, (sum, count) => sum / count);

// --- recurrence ----------------------------------------------------------

const OF_GATES = {
  Relu: relu, Sigmoid: sigmoid, Softplus: softplus, Softsign: softsign,
  Tanh: Math.tanh,
};
const USUAL_ACTIVATIONS = {
  RNN: ["Tanh"], GRU: ["Sigmoid", "Tanh"], LSTM: ["Sigmoid", "Tanh", "Tanh"],
};

/** Add a recurrent layer.
 *
 * Args:
 *   name: What ONNX calls it.
 *   step: A function of what the matrices give for the input and for the
 *     state, gate by gate; of the state and the cells, which it changes; of the
 *     activations and of the attributes.
 */
function recurrence(name, step) {
  const attributes = ["activations", "direction", "hidden_size"];
  if (name === "GRU") attributes.push("linear_before_reset");
  operator(name, attributes, (tensors, options) => {
    const [x, kernel, recurrent, bias, lengths, start, ...more] = tensors;
    if (lengths) refuse(`${name} of sequences of several lengths`);
    if (more.some((input) => input)) refuse(`${name} with cells from before`);
    const [steps, batch, inputs] = x.shape;
    const [directions, width, units] = recurrent.shape;
    const states = zeros([steps, directions, batch, units], x);
    const last = zeros([directions, batch, units], x);
    for (let d = 0; d < directions; d++) {
      const activations = activationsOf(name, options.activations, d);
      const backward = d === 1 || options.direction === "reverse";
      const part = ({data}) => {
        const size = data.length / directions;
        return data.subarray(d * size, (d + 1) * size);
      };
      const ofInput = part(kernel), ofState = part(recurrent);
      const biases = bias ? part(bias) : new Float32Array(2 * width);
      for (let n = 0; n < batch; n++) {
        const state = new Float64Array(units), cells = new Float64Array(units);
        const at = (d * batch + n) * units;
        if (start) state.set(start.data.subarray(at, at + units));
        for (let i = 0; i < steps; i++) {
          const t = backward ? steps - 1 - i : i;
          const from = (t * batch + n) * inputs;
          const input = Float64Array.from(x.data.subarray(from, from + inputs));
          step(
            dots(ofInput, input, biases.subarray(0, width)),
            dots(ofState, state, biases.subarray(width)),
            state, cells, activations, options);
          states.data.set(state, ((t * directions + d) * batch + n) * units);
        }
        last.data.set(state, at);
      }
    }
    return [states, last];
  });
}

/** Return the functions of a direction's gates, by what the file calls them. */
function activationsOf(name, given, direction) {
  const usual = USUAL_ACTIVATIONS[name], first = direction * usual.length;
  const names = given ? given.slice(first, first + usual.length) : usual;
  return names.map((activation) =>
    OF_GATES[activation] ?? refuse(`The activation ${activation} of ${name}`));
}

/** Return a matrix times a vector, plus a bias. */
function dots(matrix, vector, bias) {
  const size = vector.length, y = new Float64Array(bias.length);
  for (let i = 0, at = 0; i < y.length; i++) {
    let sum = bias[i];
    for (let j = 0; j < size; j++) sum += matrix[at++] * vector[j];
    y[i] = sum;
  }
  return y;
}

recurrence("RNN", (ofInput, ofState, state, cells, [f]) => {
  for (let i = 0; i < state.length; i++) state[i] = f(ofInput[i] + ofState[i]);
});

recurrence("GRU", (ofInput, ofState, state, cells, [gate, f], options) => {
  if (!options.linear_before_reset) refuse("GRU without linear_before_reset");
  const units = state.length;
  for (let i = 0; i < units; i++) {
    const update = gate(ofInput[i] + ofState[i]);
    const reset = gate(ofInput[units + i] + ofState[units + i]);
    const candidate = f(
      ofInput[2 * units + i] + reset * ofState[2 * units + i]);
    state[i] = update * state[i] + (1 - update) * candidate;
  }
});

recurrence("LSTM", (ofInput, ofState, state, cells, [gate, f, g]) => {
  const units = state.length, sums = ofInput.map((x, i) => x + ofState[i]);
  for (let i = 0; i < units; i++) {
    const input = gate(sums[i]), output = gate(sums[units + i]);
    const forget = gate(sums[2 * units + i]);
    cells[i] = forget * cells[i] + input * f(sums[3 * units + i]);
    state[i] = output * g(cells[i]);
  }
});
