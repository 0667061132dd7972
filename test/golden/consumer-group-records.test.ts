/** Records of consumer groups (KIP-848) in `__consumer_offsets` as Kafka 4.1's generated classes write them (generate.sh). */
import { describe, expect, test } from 'vitest'
import { decodeConsumerRecord, encodeConsumerRecord } from '../../src/coordinator/groups/consumer/records.ts'
import { readGolden, toJson } from './golden-data.ts'
import type { JsonObject } from './golden-data.ts'

interface GoldenRecord {
  type: string
  part: 'key' | 'value'
  version: number
  variant: string
  value: JsonObject
  bytes: string
}

const golden = readGolden<GoldenRecord[]>('consumer-group-records.json')!
const bytesOf = (record: GoldenRecord): Buffer => Buffer.from(record.bytes, 'base64')
const keys = golden.filter(({ part }) => part === 'key')
const values = golden.filter(({ part }) => part === 'value')
const title = ({ type, variant }: GoldenRecord): string => `${type}, ${variant}`

/** Of a value: a key of its kind. Those of a kind follow one another. */
function keyOf(record: GoldenRecord): GoldenRecord {
  return keys.find(({ type }) => type.replace(/Key$/, 'Value') === record.type)!
}

/** We keep 64 bits that are only compared as digits. */
function asWeDo({ type, value }: GoldenRecord): JsonObject {
  if (type !== 'ConsumerGroupMetadataValue') return value
  const bits = BigInt.asUintN(64, BigInt(value.metadataHash as number))
  return { ...value, metadataHash: bits.toString(16).padStart(16, '0') }
}

test('there are golden records of every kind, and values with and without what is optional', () => {
  expect([...new Set(keys.map(({ version }) => version))]).toEqual([3, 4, 5, 6, 7, 8, 16])
  expect(new Set(values.map(({ variant }) => variant))).toEqual(
    new Set(['defaults', 'filled', 'extremes', 'null-leaves', 'unknown-tags']),
  )
})

describe('keys', () => {
  test.each(keys.map((record) => [title(record), record] as const))('%s', (_title, record) => {
    const decoded = decodeConsumerRecord(record.version, bytesOf(record), null)!
    const { groupId, memberId, regularExpression } = record.value
    expect(decoded).toMatchObject({ groupId, name: memberId ?? regularExpression ?? '', value: null })
    expect(encodeConsumerRecord(decoded)).toEqual({ key: bytesOf(record), value: null })
  })
})

test('a member that speaks no classic protocol: a null struct behind a tag is one byte, 0', () => {
  // By Kafka 4.1's ConsumerGroupMemberMetadataValue; generate.sh makes no structs null.
  const hex =
    '00000000076265736964650b2f3132372e302e302e31030b6c6f676765642d6f6e650b6c6f676765642d74776f01000493e00672616e676501000100'
  const key = bytesOf(keys.find(({ version, variant }) => version === 5 && variant === 'filled')!)
  const decoded = decodeConsumerRecord(5, key, Buffer.from(hex, 'hex'))!
  expect(decoded.value).toMatchObject({
    clientId: 'beside',
    serverAssignor: 'range',
    classicMemberMetadata: null,
  })
  expect(encodeConsumerRecord(decoded).value!.toString('hex')).toBe(hex)
})

describe('values', () => {
  test.each(values.map((record) => [title(record), record] as const))('%s', (_title, record) => {
    const key = keyOf(record)
    const decoded = decodeConsumerRecord(key.version, bytesOf(key), bytesOf(record))!
    expect(toJson(decoded.value)).toEqual(asWeDo(record))
    if (record.variant !== 'unknown-tags')
      expect(encodeConsumerRecord(decoded).value).toEqual(bytesOf(record))
  })
})
