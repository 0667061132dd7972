/** Slot of the last of `length` ascending keys that is at or below `target`; -1 when all lie above. */
export function lastAtOrBelow(length: number, target: number, keyAt: (slot: number) => number): number {
  let low = 0
  let high = length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    if (keyAt(middle) <= target) low = middle + 1
    else high = middle - 1
  }
  return high
}
