/** Changes to bytes on their way. */
import fc from 'fast-check'

export type Mutation = {
  readonly kind: 'set' | 'cut' | 'insert' | 'int32'
  readonly at: number
  readonly byte: number
}

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('set', 'cut', 'insert', 'int32'),
  at: fc.nat(),
  byte: fc.oneof(fc.constantFrom(0, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 })),
})

export function mutated(frame: Buffer, changes: readonly Mutation[]): Buffer {
  let result = Buffer.from(frame)
  for (const { kind, at, byte } of changes) {
    if (result.length === 0) return result
    const place = at % result.length
    if (kind === 'set') result[place] = byte
    else if (kind === 'cut') result = result.subarray(0, place)
    else if (kind === 'insert') {
      result = Buffer.concat([result.subarray(0, place), Buffer.of(byte, byte), result.subarray(place)])
    } else if (place + 4 <= result.length) result.writeInt32BE((byte << 24) | 0xffffff, place)
  }
  return result
}
