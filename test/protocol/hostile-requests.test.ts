/** Requests that were changed on their way: they decode, or they are malformed; nothing else, and nothing large. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  readRequestHeader,
} from '../../src/protocol/frame.ts'
import { apis } from '../../src/protocol/messages/index.ts'
import { MalformedMessageError } from '../../src/protocol/reader.ts'
import type { AnyApi } from '../../src/protocol/schema.ts'
import { valueOf } from './arbitrary.ts'
import { mutated, mutation } from './mutations.ts'

const RUNS_PER_API = 400

/** The elements, characters and bytes that a decoded value holds. */
function weight(value: unknown): number {
  if (Buffer.isBuffer(value)) return value.length
  if (typeof value === 'string') return value.length
  if (Array.isArray(value)) return value.reduce((sum, each) => sum + 1 + weight(each), 0)
  if (value === null || typeof value !== 'object') return 0
  return Object.values(value).reduce((sum: number, each) => sum + weight(each), 0)
}

/** Decodes, and gives null for what is malformed. Any other error passes. */
function decodedOrNull<T>(decode: () => T): T | null {
  try {
    return decode()
  } catch (error) {
    if (error instanceof MalformedMessageError) return null
    throw error
  }
}

function hostile(api: AnyApi, version: number, frame: Buffer): void {
  const decoded = decodedOrNull(() => {
    const header = readRequestHeader(frame)
    return decodeRequest(api, version, frame, header.bodyOffset)
  })
  // A uuid is 22 characters of 16 bytes, absent ones are 22 characters of none: at most one per element.
  if (decoded !== null) expect(weight(decoded)).toBeLessThanOrEqual(30 * (frame.length + 1))
}

const versionOf = (api: AnyApi): fc.Arbitrary<number> =>
  fc.integer({ min: api.versions[0], max: api.versions[1] })

describe('a changed request either decodes or is malformed', () => {
  for (const api of apis) {
    test(api.name, () => {
      const input = versionOf(api).chain((version) =>
        fc.tuple(
          fc.constant(version),
          valueOf(api.request.fields, version),
          fc.array(mutation, { minLength: 1, maxLength: 4 }),
        ),
      )
      const property = fc.property(input, ([version, value, changes]) => {
        const frame = Buffer.concat(encodeRequest(api, version, 1, 'client', value as never)).subarray(4)
        hostile(api, version, mutated(frame, changes))
      })
      fc.assert(property, { numRuns: RUNS_PER_API })
    })
  }
})

describe('bytes that never were a request either decode or are malformed', () => {
  for (const api of apis) {
    test(api.name, () => {
      const property = fc.property(versionOf(api), fc.uint8Array({ maxLength: 300 }), (version, bytes) => {
        const frame = Buffer.from(bytes)
        hostile(api, version, frame)
        decodedOrNull(() => decodeRequest(api, version, frame, 0))
      })
      fc.assert(property, { numRuns: RUNS_PER_API })
    })
  }
})

describe('a response that is cut is malformed', () => {
  for (const api of apis) {
    test(api.name, () => {
      const input = versionOf(api).chain((version) =>
        fc.tuple(fc.constant(version), valueOf(api.response.fields, version), fc.nat()),
      )
      const property = fc.property(input, ([version, value, at]) => {
        const frame = Buffer.concat(encodeResponse(api, version, 1, value as never)).subarray(4)
        const cut = frame.subarray(0, at % frame.length)
        expect(() => decodeResponse(api, version, cut)).toThrow(MalformedMessageError)
      })
      fc.assert(property, { numRuns: 50 })
    })
  }
})

describe('a claimed count', () => {
  const counts = ['7fffffff', '10000000', '00ffffff', 'fffffffe', '80000000']

  test.each(counts)('of %s (hex) elements is refused where it is read', (count) => {
    const metadata = apis.find(({ name }) => name === 'Metadata')!
    const frame = Buffer.concat([Buffer.from(count, 'hex'), Buffer.alloc(1000)])
    expect(() => decodeRequest(metadata, 0, frame, 0)).toThrow('an array of')
  })

  test('of an array within an array is held against what is left', () => {
    const deleteRecords = apis.find(({ name }) => name === 'DeleteRecords')!
    // 100 topics, the first of which claims as many partitions as there are bytes.
    const frame = Buffer.concat([Buffer.from('00000064' + '0000' + '000003e8', 'hex'), Buffer.alloc(1000)])
    expect(() => decodeRequest(deleteRecords, 0, frame, 0)).toThrow('an array of 1000 elements')
  })
})
