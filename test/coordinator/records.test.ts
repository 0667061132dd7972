import { describe, expect, it } from 'vitest'
import { decodeRecord, encodeRecord } from '../../src/coordinator/groups/records.ts'
import type { GroupRecord } from '../../src/coordinator/groups/records.ts'
import { partitionFor } from '../../src/coordinator/partition-for.ts'
import { subscribedTopicsOf } from '../../src/coordinator/groups/subscription.ts'
import { subscription } from './client.ts'

/** Spaces and whatever is in parentheses are for the reader. */
const hex = (text: string): Buffer => Buffer.from(text.replace(/\(.*?\)|\s/g, ''), 'hex')

const offsetKey = hex('0001 (group) 0001 67 (topic) 0001 74 (partition) 00000007')
const offset: GroupRecord = {
  type: 'offset',
  groupId: 'g',
  topic: 't',
  partition: 7,
  value: { offset: 258, leaderEpoch: 5, metadata: 'm', commitTimestamp: 4, expireTimestamp: -1 },
}

const groupKey = hex('0002 (group) 0001 67')
const member = {
  memberId: 'm',
  groupInstanceId: 'i',
  clientId: 'c',
  clientHost: '/h',
  rebalanceTimeout: 3,
  sessionTimeout: 2,
  subscription: Buffer.from('s'),
  assignment: Buffer.from('as'),
}
const group: GroupRecord = {
  type: 'group',
  groupId: 'g',
  value: {
    protocolType: 'p',
    generation: 9,
    protocol: 'r',
    leader: 'm',
    currentStateTimestamp: 4,
    members: [member],
  },
}

describe('a committed offset', () => {
  it('has a key of version 1 and a value of version 3', () => {
    const value = hex(
      '0003 (offset) 0000000000000102 (epoch) 00000005 (metadata) 0001 6d (time) 0000000000000004',
    )
    expect(encodeRecord(offset)).toEqual({ key: offsetKey, value })
    expect(decodeRecord(offsetKey, value)).toEqual(offset)
  })

  it('with an expiry of its own has a value of version 1, which has no leader epoch', () => {
    const expiring = { ...offset, value: { ...offset.value!, leaderEpoch: -1, expireTimestamp: 8 } }
    const value = hex('0001 0000000000000102 0001 6d 0000000000000004 (expires) 0000000000000008')
    expect(encodeRecord(expiring)).toEqual({ key: offsetKey, value })
    expect(decodeRecord(offsetKey, value)).toEqual(expiring)
  })

  const readOnly: [string, Buffer][] = [
    ['0', hex('0000 0000000000000102 0001 6d 0000000000000004')],
    ['2', hex('0002 0000000000000102 0001 6d 0000000000000004')],
    ['4', hex('0004 0000000000000102 ffffffff 02 6d 0000000000000004 (no tags) 00')],
    [
      '4 with a tag of the future',
      hex('0004 0000000000000102 ffffffff 02 6d 0000000000000004 01 05 02 aabb'),
    ],
  ]
  it.each(readOnly)('of value version %s is read', (_, value) => {
    expect(decodeRecord(offsetKey, value)).toEqual({ ...offset, value: { ...offset.value, leaderEpoch: -1 } })
  })

  it('with a key of version 0 is read', () => {
    expect(decodeRecord(hex('0000 0001 67 0001 74 00000007'), null)).toEqual({ ...offset, value: null })
  })

  it('is removed by a value of null', () => {
    expect(encodeRecord({ ...offset, value: null })).toEqual({ key: offsetKey, value: null })
  })
})

describe('a group', () => {
  const members = `00000001 0001 6d (instance) 0001 69 (client) 0001 63 (host) 0002 2f68 (rebalance) 00000003
    (session) 00000002 (subscription) 00000001 73 (assignment) 00000002 6173`

  it('has a key of version 2 and a value of version 3', () => {
    const value = hex(
      `0003 0001 70 00000009 (protocol) 0001 72 (leader) 0001 6d (time) 0000000000000004 ${members}`,
    )
    expect(encodeRecord(group)).toEqual({ key: groupKey, value })
    expect(decodeRecord(groupKey, value)).toEqual(group)
  })

  it('without members has neither protocol nor leader', () => {
    const empty = { ...group.value!, protocol: null, leader: null, members: [] }
    const value = hex('0003 0001 70 00000009 ffff ffff 0000000000000004 00000000')
    expect(encodeRecord({ type: 'group', groupId: 'g', value: empty as never }).value).toEqual(value)
    expect(decodeRecord(groupKey, value)).toEqual({ type: 'group', groupId: 'g', value: empty })
  })

  const dynamic = { ...member, groupInstanceId: null }
  const olderMembers: [string, Buffer, object][] = [
    [
      '0: the session timeout is the rebalance timeout',
      hex(
        '0000 0001 70 00000009 0001 72 0001 6d 00000001 0001 6d 0001 63 0002 2f68 00000002 00000001 73 00000002 6173',
      ),
      { currentStateTimestamp: -1, members: [{ ...dynamic, rebalanceTimeout: 2 }] },
    ],
    [
      '1',
      hex(
        '0001 0001 70 00000009 0001 72 0001 6d 00000001 0001 6d 0001 63 0002 2f68 00000003 00000002 00000001 73 00000002 6173',
      ),
      { currentStateTimestamp: -1, members: [dynamic] },
    ],
    [
      '2',
      hex(`0002 0001 70 00000009 0001 72 0001 6d 0000000000000004 00000001 0001 6d 0001 63 0002 2f68 00000003 00000002
        00000001 73 00000002 6173`),
      { members: [dynamic] },
    ],
    [
      '4',
      hex(
        '0004 02 70 00000009 02 72 02 6d 0000000000000004 02 02 6d 02 69 02 63 03 2f68 00000003 00000002 02 73 03 6173 00 00',
      ),
      {},
    ],
  ]
  it.each(olderMembers)('of value version %s is read', (_, value, differs) => {
    expect(decodeRecord(groupKey, value)).toEqual({ ...group, value: { ...group.value, ...differs } })
  })

  it('is removed by a value of null', () => {
    expect(encodeRecord({ ...group, value: null })).toEqual({ key: groupKey, value: null })
    expect(decodeRecord(groupKey, null)).toEqual({ ...group, value: null })
  })
})

describe('records of other kinds', () => {
  it.each([9, 11, 15, 17, 99, -1])('of key version %i are not known', (version) => {
    const key = Buffer.alloc(9)
    key.writeInt16BE(version)
    expect(decodeRecord(key, Buffer.from('whatever'))).toBeNull()
  })

  it('and keys too short to have a version are not known', () => {
    expect(decodeRecord(Buffer.alloc(0), null)).toBeNull()
    expect(decodeRecord(Buffer.alloc(1), null)).toBeNull()
  })

  it('that are cut or of an unknown value version are an error', () => {
    expect(() => decodeRecord(offsetKey.subarray(0, 5), null)).toThrow('left')
    expect(() => decodeRecord(offsetKey, hex('0005 00'))).toThrow('version 5')
    expect(() => decodeRecord(groupKey, hex('0003 00'))).toThrow()
  })
})

describe('the partition of a group', () => {
  it("goes by Java's hash, without its sign", () => {
    for (const id of ['', 'a', 'console-consumer-12345', 'polygenelubricants', 'grüße', '\u{1f9f5}']) {
      let hash = 0n
      for (let i = 0; i < id.length; i++) hash = BigInt.asIntN(32, hash * 31n + BigInt(id.charCodeAt(i)))
      // Kafka's abs of the least int is 0.
      const abs = hash === -2147483648n ? 0n : hash < 0n ? -hash : hash
      expect(partitionFor(id, 50)).toBe(Number(abs % 50n))
    }
    expect(partitionFor('a', 50)).toBe(47)
    // Its hash is the least int.
    expect(partitionFor('polygenelubricants', 7)).toBe(0)
  })
})

describe('a subscription', () => {
  it('names its topics, whatever comes behind them', () => {
    expect(subscribedTopicsOf(subscription('orders', 'clicks'))).toEqual(['orders', 'clicks'])
    expect(subscribedTopicsOf(hex('0003 00000000 ffffffff 00000000 00000001'))).toEqual([])
  })

  const bad = [
    '',
    '00',
    '0000',
    '0000 0000',
    'ffff 00000000',
    '0000 ffffffff',
    '0000 00000001',
    '0000 00000001 0005 61',
    '0000 00000001 ffff',
    '0000 7fffffff',
  ]
  it.each(bad)('that does not comply is not known: %s', (bytes) => {
    expect(subscribedTopicsOf(hex(bytes))).toBeNull()
  })
})
