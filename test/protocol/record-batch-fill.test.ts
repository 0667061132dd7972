import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BatchFiller, buildBatch, checkBatch, checkRecords } from '../../src/protocol/record-batch.ts'

const TIME = 1_700_000_000_000

/** Lengths whose varints have one to three bytes. */
const some = fc
  .oneof(fc.nat(3), fc.constantFrom(63, 64, 8191, 8192))
  .chain((length) => fc.nat(255).map((byte) => Buffer.alloc(length, byte)))
const records = fc.array(fc.record({ key: some, value: some }), { minLength: 1, maxLength: 70, size: 'max' })

function filled(all: readonly { key: Buffer; value: Buffer }[], expectedBytes: number): BatchFiller {
  const filler = new BatchFiller(expectedBytes)
  for (const { key, value } of all) {
    filler.next(key.length, value.length)
    filler.bytes.set(key, filler.keyAt)
    filler.bytes.set(value, filler.valueAt)
  }
  return filler
}

describe('a batch that is filled in place', () => {
  test('is the one that is built of its records, however many bytes were expected', () => {
    fc.assert(
      fc.property(records, fc.constantFrom(0, 1000, 1_000_000), (all, expectedBytes) => {
        const batch = filled(all, expectedBytes).finish(TIME)
        const built = buildBatch({ records: all.map((each) => ({ timestampMs: TIME, ...each })) })
        expect(batch.equals(built)).toBe(true)
        expect(checkBatch(batch, 0, batch.length)).toBeNull()
        expect(checkRecords(batch).fault).toBeNull()
      }),
      { numRuns: 50 },
    )
  })

  test('may be of a transaction', () => {
    const one = { key: Buffer.from('k'), value: Buffer.from('v') }
    const producer = { producerId: 2 ** 40, producerEpoch: 9, baseSequence: 0 }
    const built = buildBatch({ records: [{ timestampMs: TIME, ...one }], ...producer, transactional: true })
    expect(filled([one], 0).finish(TIME, producer)).toEqual(built)
  })

  test('has a record at least', () => {
    expect(() => new BatchFiller(0).finish(TIME)).toThrow('a batch has at least one record')
  })
})
