/** Records of `__consumer_offsets` as Kafka's generated classes write them (generate.sh), every version. */
import { describe, expect, test } from 'vitest'
import { decodeRecord, encodeRecord } from '../../src/coordinator/groups/records.ts'
import { readGolden, toJson } from './golden-data.ts'
import type { JsonObject } from './golden-data.ts'

interface GoldenRecord {
  type: 'OffsetCommitKey' | 'OffsetCommitValue' | 'GroupMetadataKey' | 'GroupMetadataValue'
  part: 'key' | 'value'
  version: number
  variant: string
  value: JsonObject
  bytes: string
}

const golden = readGolden<GoldenRecord[]>('group-records.json')!
const bytesOf = (record: GoldenRecord): Buffer => Buffer.from(record.bytes, 'base64')
const ofType = (type: GoldenRecord['type']): GoldenRecord[] => golden.filter((each) => each.type === type)
const titled = (type: GoldenRecord['type']) =>
  ofType(type).map((each) => [`version ${each.version}, ${each.variant}`, each] as const)

/** The versions that Odradek writes; it reads all. */
const OFFSET_KEY_WRITTEN = 1
const OFFSET_VALUES_WRITTEN = [1, 3]
const GROUP_VALUE_WRITTEN = 3

const anOffsetKey = bytesOf(ofType('OffsetCommitKey').find((each) => each.version === OFFSET_KEY_WRITTEN)!)
const aGroupKey = bytesOf(ofType('GroupMetadataKey')[0])

test('there are golden records of every version', () => {
  const versionsOf = (type: GoldenRecord['type']) => [...new Set(ofType(type).map((each) => each.version))]
  expect(versionsOf('OffsetCommitKey')).toEqual([0, 1])
  expect(versionsOf('OffsetCommitValue')).toEqual([0, 1, 2, 3, 4])
  expect(versionsOf('GroupMetadataKey')).toEqual([2])
  expect(versionsOf('GroupMetadataValue')).toEqual([0, 1, 2, 3, 4])
})

describe('OffsetCommitKey', () => {
  test.each(titled('OffsetCommitKey'))('%s', (_title, record) => {
    const decoded = decodeRecord(bytesOf(record), null)
    const {
      group: groupId,
      topic,
      partition,
    } = record.value as { group: string; topic: string; partition: number }
    expect(decoded).toEqual({ type: 'offset', groupId, topic, partition, value: null })
    if (record.version === OFFSET_KEY_WRITTEN) expect(encodeRecord(decoded!).key).toEqual(bytesOf(record))
  })
})

describe('GroupMetadataKey', () => {
  test.each(titled('GroupMetadataKey'))('%s', (_title, record) => {
    const decoded = decodeRecord(bytesOf(record), null)
    expect(decoded).toEqual({ type: 'group', groupId: record.value.group, value: null })
    expect(encodeRecord(decoded!)).toEqual({ key: bytesOf(record), value: null })
  })
})

describe('OffsetCommitValue', () => {
  test.each(titled('OffsetCommitValue'))('%s', (_title, record) => {
    const decoded = decodeRecord(anOffsetKey, bytesOf(record))!
    expect(toJson(decoded.value)).toEqual({ leaderEpoch: -1, expireTimestamp: -1, ...record.value })
    const expires = 'expireTimestamp' in record.value && record.value.expireTimestamp !== -1
    if (OFFSET_VALUES_WRITTEN.includes(record.version) && expires === (record.version === 1)) {
      expect(encodeRecord(decoded).value).toEqual(bytesOf(record))
    }
  })
})

describe('GroupMetadataValue', () => {
  test.each(titled('GroupMetadataValue'))('%s', (_title, record) => {
    const decoded = decodeRecord(aGroupKey, bytesOf(record))!
    const members = (record.value.members as JsonObject[]).map((member) => ({
      groupInstanceId: null,
      // Version 0 has none: the session timeout stands for it, as in Kafka.
      rebalanceTimeout: member.sessionTimeout,
      ...member,
    }))
    expect(toJson(decoded.value)).toEqual({ currentStateTimestamp: -1, ...record.value, members })
    if (record.version === GROUP_VALUE_WRITTEN) expect(encodeRecord(decoded).value).toEqual(bytesOf(record))
  })
})
