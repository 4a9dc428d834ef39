"use strict";
// A drawn digit as MNIST has its digits: scaled to fit 20 x 20 pixels, its
// center of mass in the middle of 28 x 28, in strokes as wide as pens made them
// then. zoo/_digits.py does the same, and more: there are no photos here.
//
// An image is {height, width, data}: numbers in the order of rows.

const SIDE = 28, BOX = 20; // pixels, of an image and of the digit in it
const SMALLEST = 8; // pixels of a drawing
const EDGE = 0.2; // the least ink in the outermost row of a digit
const FINE = 4; // strokes are looked at in a box of so many times 20 pixels
const THINNEST = 2; // pixels of the image; MNIST's strokes are 2.4 wide
const WIDEST = 1 / 8; // of the box; no more is added to a stroke on each side
const ROUNDING = 1e-9; // of pixels; sums differ by less

/** Prepare a drawing as MNIST's authors prepared theirs.
 *
 * Args:
 *   ink: An image of any size: how much ink is at each pixel, 0 to 1.
 *
 * Returns:
 *   Pixels, 0 to 255, of 28 x 28: a Uint8Array. null if there is no digit, or
 *   one that is too small.
 */
function prepareDigit(ink) {
  const digit = cropped(ink);
  if (!digit || Math.max(digit.height, digit.width) < SMALLEST) return null;
  return placed(scaled(digit));
}

/** Reduce a drawing to 28 x 28 pixels, wherever and however large it is. */
function leaveAsDrawn(ink) {
  const {data} = resized(ink, SIDE, SIDE);
  return Uint8Array.from(data, (value) => Math.round(255 * value));
}

function imageOf(height, width, compute) {
  const data = new Float64Array(height * width);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data[i++] = compute(y, x);
  }
  return {height, width, data};
}

/** Cut out what has ink; null if nothing has. */
function cropped(ink) {
  let top = ink.height, left = ink.width, bottom = -1, right = -1;
  for (let y = 0, i = 0; y < ink.height; y++) {
    for (let x = 0; x < ink.width; x++) {
      if (!(ink.data[i++] > EDGE)) continue;
      top = Math.min(top, y);
      bottom = y;
      left = Math.min(left, x);
      right = Math.max(right, x);
    }
  }
  if (bottom < 0) return null;
  return imageOf(bottom - top + 1, right - left + 1,
    (y, x) => ink.data[(top + y) * ink.width + left + x]);
}

/** Scale a digit to its box, with strokes as wide as those of MNIST. */
function scaled(ink) {
  const longest = Math.max(ink.height, ink.width), box = FINE * BOX;
  if (longest === BOX && widthOf(ink) >= THINNEST) {
    return imageOf(FINE * ink.height, FINE * ink.width, (y, x) =>
      ink.data[Math.floor(y / FINE) * ink.width + Math.floor(x / FINE)]);
  }
  const fit = (side) => {
    const [height, width] = [ink.height, ink.width].map(
      (size) => Math.max(roundHalfToEven(size * side / longest), 1));
    return resized(ink, height, width);
  };
  const fine = fit(box);
  const missing = (FINE * THINNEST - widthOf(fine)) / 2;
  if (missing <= 0) return fine;
  const add = Math.min(missing * box / (box - 2 * missing), WIDEST * box);
  return thickened(fit(roundHalfToEven(box - 2 * add)), add);
}

/** Return the mean width of strokes: twice their area over their outline. */
function widthOf({height, width, data}) {
  const at = (y, x) =>
    y >= 0 && x >= 0 && y < height && x < width ? data[y * width + x] : 0;
  let outline = 0;
  for (let y = -1; y < height; y++) {
    for (let x = -1; x < width; x++) {
      const here = at(y, x);
      const down = at(y + 1, x) - here, right = at(y, x + 1) - here;
      outline += Math.sqrt(down * down + right * right);
    }
  }
  return 2 * data.reduce((sum, value) => sum + value, 0) / outline;
}

/** Draw over strokes with a round pen that adds so much on each side. */
function thickened(ink, by) {
  const reach = Math.ceil(by), width = ink.width + 2 * reach;
  const found = imageOf(ink.height + 2 * reach, width, () => 0);
  for (let down = -reach; down <= reach; down++) {
    for (let right = -reach; right <= reach; right++) {
      const share = Math.min(by + 0.5 - Math.hypot(down, right), 1);
      if (share <= 0) continue;
      for (let y = 0, i = 0; y < ink.height; y++) {
        let place = (y + reach + down) * width + reach + right;
        for (let x = 0; x < ink.width; x++, i++, place++) {
          const value = share * ink.data[i];
          if (value > found.data[place]) found.data[place] = value;
        }
      }
    }
  }
  return found;
}

/** Reduce a digit to 20 x 20; put its center of mass into the middle. */
function placed(fine) {
  const height = Math.ceil(fine.height / FINE);
  const width = Math.ceil(fine.width / FINE);
  const digit = imageOf(height, width, () => 0);
  for (let y = 0, i = 0; y < fine.height; y++) {
    for (let x = 0; x < fine.width; x++) {
      digit.data[Math.floor(y / FINE) * width + Math.floor(x / FINE)] +=
        fine.data[i++] / FINE ** 2;
    }
  }
  let mass = 0, down = 0, right = 0, largest = 0;
  digit.data.forEach((value, i) => {
    mass += value;
    down += value * Math.floor(i / width);
    right += value * (i % width);
    largest = Math.max(largest, value);
  });
  const start = (center, side) => {
    const place = Math.floor(SIDE / 2 + 0.5 - center + ROUNDING);
    return Math.min(Math.max(place, 0), SIDE - side);
  };
  const top = start(down / mass, height), left = start(right / mass, width);
  const pixels = new Uint8Array(SIDE * SIDE);
  digit.data.forEach((value, i) => {
    const place = (top + Math.floor(i / width)) * SIDE + left + i % width;
    pixels[place] = roundHalfToEven(255 * value / largest);
  });
  return pixels;
}

/** Resize an image; a pixel is as wide as the larger of the two kinds. */
function resized(image, height, width) {
  const down = shares(image.height, height), right = shares(image.width, width);
  const narrow = imageOf(image.height, width, (y, x) => right[x].reduce(
    (sum, [from, share]) => sum + share * image.data[y * image.width + from],
    0));
  return imageOf(height, width, (y, x) => down[y].reduce(
    (sum, [from, share]) => sum + share * narrow.data[from * width + x], 0));
}

/** Return which of `size` pixels in a row make each of `wanted`, and how much
 * each adds: a list of pairs for each. */
function shares(size, wanted) {
  const step = size / wanted, reach = Math.max(step, 1);
  return Array.from({length: wanted}, (_, i) => {
    const middle = (i + 0.5) * step, found = [];
    const first = Math.max(Math.floor(middle - reach), 0);
    const last = Math.min(Math.ceil(middle + reach), size - 1);
    for (let from = first; from <= last; from++) {
      const share = 1 - Math.abs(from + 0.5 - middle) / reach;
      if (share > 0) found.push([from, share]);
    }
    const total = found.reduce((sum, [, share]) => sum + share, 0);
    return found.map(([from, share]) => [from, Math.fround(share / total)]);
  });
}
