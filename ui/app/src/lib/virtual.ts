/** The top of each row and, last, the height of all. */
export function rowOffsets(count: number, heightOf: (index: number) => number): Float64Array {
  const offsets = new Float64Array(count + 1);
  for (let i = 0; i < count; i++) offsets[i + 1] = (offsets[i] ?? 0) + heightOf(i);
  return offsets;
}

/** The rows [first, last) that touch the window, widened by overscan pixels. */
export function windowOf(offsets: Float64Array, top: number, height: number, overscan: number): [number, number] {
  const count = offsets.length - 1;
  const first = Math.max(0, rowAt(offsets, top - overscan));
  let last = first;
  while (last < count && (offsets[last] ?? 0) < top + height + overscan) last++;
  return [first, last];
}

/** The row at a height, by bisection. */
export function rowAt(offsets: Float64Array, y: number): number {
  let low = 0;
  let high = Math.max(0, offsets.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((offsets[middle] ?? 0) <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}
