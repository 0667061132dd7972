/** Records of `__transaction_state` as Kafka's generated classes write them (generate.sh), every version. */
import { describe, expect, test } from 'vitest'
import { decodeRecord, encodeRecord } from '../../src/coordinator/transactions/records.ts'
import { readGolden, toJson } from './golden-data.ts'
import type { JsonObject } from './golden-data.ts'

interface GoldenRecord {
  type: 'TransactionLogKey' | 'TransactionLogValue'
  version: number
  variant: string
  value: JsonObject
  bytes: string
}

const golden = readGolden<GoldenRecord[]>('transaction-records.json')!
const bytesOf = (record: GoldenRecord): Buffer => Buffer.from(record.bytes, 'base64')
const ofType = (type: GoldenRecord['type']): GoldenRecord[] => golden.filter((each) => each.type === type)
const titled = (type: GoldenRecord['type']) =>
  ofType(type).map((each) => [`version ${each.version}, ${each.variant}`, each] as const)

/** The version that Odradek writes of what Kafka 3.9 knows; it reads all. */
const VALUE_WRITTEN = 0
/** Fields of Kafka 4. */
const NOT_TAGGED = {
  previousProducerId: -1,
  nextProducerId: -1,
  clientTransactionVersion: 0,
  nextProducerEpoch: -1,
}

test('there are golden records of every version', () => {
  const versionsOf = (type: GoldenRecord['type']) => [...new Set(ofType(type).map((each) => each.version))]
  expect(versionsOf('TransactionLogKey')).toEqual([0])
  expect(versionsOf('TransactionLogValue')).toEqual([0, 1])
})

describe('TransactionLogKey', () => {
  test.each(titled('TransactionLogKey'))('%s', (_title, record) => {
    const decoded = decodeRecord(bytesOf(record), null)!
    expect(decoded).toEqual({ transactionalId: record.value.transactionalId, value: null })
    expect(encodeRecord(decoded)).toEqual({ key: bytesOf(record), value: null })
  })
})

describe('TransactionLogValue', () => {
  test.each(titled('TransactionLogValue'))('%s', (_title, record) => {
    const key = bytesOf(ofType('TransactionLogKey')[0])
    const decoded = decodeRecord(key, bytesOf(record))!
    expect(toJson(decoded.value)).toEqual({ ...record.value, ...NOT_TAGGED })
    if (record.version === VALUE_WRITTEN) expect(encodeRecord(decoded).value).toEqual(bytesOf(record))
  })
})

describe('TransactionLogValue of Kafka 4.1, with tags', () => {
  const ofLater = readGolden<GoldenRecord[]>('transaction-records-4.1.json')!
  test('there are records of it', () => expect(ofLater.length).toBeGreaterThan(3))

  test.each(ofLater.map((each) => [each.variant, each] as const))('%s', (_title, record) => {
    const key = bytesOf(ofType('TransactionLogKey')[0])
    const decoded = decodeRecord(key, bytesOf(record))!
    expect(toJson(decoded.value)).toEqual(record.value)
    const isWritten = record.variant !== 'unknown-tags' && decoded.value!.clientTransactionVersion !== 0
    if (isWritten) expect(encodeRecord(decoded).value).toEqual(bytesOf(record))
  })
})

test('a key of another version is passed over', () => {
  expect(decodeRecord(Buffer.from('0001000161', 'hex'), null)).toBe(null)
  expect(decodeRecord(Buffer.alloc(1), null)).toBe(null)
})
