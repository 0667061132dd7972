/** Zig-zag varints as the records of a batch have them, for any safe integer. Read by RecordCursor. */

const zigZag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value)

export function sizeOfVarint(value: number): number {
  let size = 1
  for (let raw = zigZag(value); raw >= 0x80; raw = Math.floor(raw / 0x80)) size++
  return size
}

/** Returns where it ends. */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  let raw = zigZag(value)
  let next = at
  for (; raw >= 0x80; raw = Math.floor(raw / 0x80)) bytes[next++] = (raw % 0x80) | 0x80
  bytes[next++] = raw
  return next
}
