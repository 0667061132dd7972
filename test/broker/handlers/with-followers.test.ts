/** What clients and followers are answered of a partition that has followers. The followers are played by the test. */
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { produceApi } from '../../../src/protocol/messages/00-produce.ts'
import { fetchApi } from '../../../src/protocol/messages/01-fetch.ts'
import { listOffsetsApi } from '../../../src/protocol/messages/02-list-offsets.ts'
import { deleteRecordsApi } from '../../../src/protocol/messages/21-delete-records.ts'
import { offsetForLeaderEpochApi } from '../../../src/protocol/messages/23-offset-for-leader-epoch.ts'
import { incrementalAlterConfigsApi } from '../../../src/protocol/messages/44-incremental-alter-configs.ts'
import { LeadershipLease } from '../../../src/replication/leadership-lease.ts'
import type { Partition } from '../../../src/replication/partition.ts'
import { alterTopic, batchOf, createTopic, fetch, produce, valuesIn } from '../requests.ts'
import { useBroker } from '../use-broker.ts'
import type { Answer, WireClient } from '../wire-client.ts'

/** Longer than any test may take: what ends the waiting is never the clock. */
const LONG_MS = 3_600_123
const FOLLOWER = 7
const EMPTY_SESSION = { sessionId: 0, sessionEpoch: -1 }

const broker = useBroker({
  'broker.rack': 'here',
  'replica.selector.class': 'org.apache.kafka.common.replica.RackAwareReplicaSelector',
})
/** Connections of their own: requests of one connection are answered in order. */
let follower: WireClient
let consumer: WireClient
let topic = ''
let topics = 0

beforeAll(async () => {
  follower = await broker.process.connect()
  consumer = await broker.process.connect()
})
beforeEach(async () => {
  topic = `topic-${topics++}`
  await createTopic(broker.client, topic)
})

afterEach(() => void vi.restoreAllMocks())

/** As after a pause of this process, until the ensemble has said that its session holds. */
const beUnsure = (): void => void vi.spyOn(LeadershipLease.prototype, 'holds', 'get').mockReturnValue(false)

const partition = (): Partition => broker.process.broker.parts.services.replicas.get(topic, 0)!

/** As when the controller has spoken. `leader`: this broker, where it is not said. */
function become(change: { leader?: number; isr?: number[] } = {}): void {
  const here = partition()
  const self = broker.process.broker.brokerId
  const { leader = self, isr = [self, FOLLOWER] } = change
  const { topicId, leaderEpoch, partitionEpoch } = here
  const state = {
    topic,
    topicId,
    partition: 0,
    leader,
    leaderEpoch: leaderEpoch + 1,
    isr,
    replicas: [self, FOLLOWER],
    partitionEpoch: partitionEpoch + 1,
    isNew: false,
  }
  if (leader === self) here.makeLeader(state)
  else here.makeFollower(state)
}

/** This broker takes the follower for a live one, in another rack, until the function returned is called. */
function withLiveFollower(): () => void {
  const { metadata } = broker.process.broker.parts.services
  const known = [...metadata.brokers()].map(({ id, epoch, rack, endpoints }) => {
    const [[listenerName, { host, port }]] = endpoints
    return { id, epoch, rack, endpoints: [{ listenerName, securityProtocol: 'PLAINTEXT', host, port }] }
  })
  const there = { ...known[0], id: FOLLOWER, rack: 'there' }
  const tell = (brokers: typeof known): void =>
    metadata.updateMetadata(metadata.controllerId, { brokers, partitions: [] })
  tell([...known, there])
  return () => tell(known)
}

type FetchReply = Answer<typeof fetchApi>['responses'][number]['partitions'][number]

/** A fetch of the follower. */
async function follow(
  fetchOffset: number,
  options: { version?: number; maxWaitMs?: number; replicaId?: number; logStartOffset?: number } = {},
): Promise<FetchReply> {
  const { version = 17, maxWaitMs = 0, replicaId = FOLLOWER, logStartOffset = 0 } = options
  const here = partition()
  const wanted = { partition: 0, fetchOffset, partitionMaxBytes: 1 << 20, logStartOffset }
  const reply = await follower.request(fetchApi, version, {
    ...(version < 15 ? { replicaId } : { replicaState: { replicaId, replicaEpoch: 1 } }),
    maxWaitMs,
    minBytes: 1,
    ...EMPTY_SESSION,
    topics: [
      { topic, topicId: here.topicId, partitions: [{ ...wanted, currentLeaderEpoch: here.leaderEpoch }] },
    ],
    forgottenTopicsData: [],
  })
  return reply.responses[0].partitions[0]
}

describe('Produce', () => {
  /** One batch with acks=all; not awaited. */
  const sequenced = (baseSequence: number): Buffer =>
    batchOf(['a'], { producerId: 9, producerEpoch: 0, baseSequence })
  const produceAll = async (timeoutMs: number, records = batchOf(['a', 'b'])): Promise<number> => {
    const topicData = [{ name: topic, partitionData: [{ index: 0, records }] }]
    const request = { transactionalId: null, acks: -1, timeoutMs, topicData }
    const reply = await broker.client.request(produceApi, 11, request)
    return reply.responses[0].partitionResponses[0].errorCode
  }

  test.each([12, 14, 15, 17])(
    'acks=all is answered by the fetch that acknowledges (Fetch %i)',
    async (version) => {
      become()
      const reply = produceAll(LONG_MS)
      const timer = await broker.process.waitsFor(LONG_MS)
      expect(valuesIn((await follow(0, { version })).records)).toEqual(['a', 'b'])
      expect(timer.pending).toBe(true)
      await follow(2, { version })
      expect(await reply).toBe(ErrorCode.NONE)
      expect(timer.pending).toBe(false)
    },
  )

  test('acks=1 is answered at once, and consumers do not see it before it is replicated', async () => {
    become()
    const reply = await produce(broker.client, topic, batchOf(['a']), { acks: 1 })
    expect(reply).toMatchObject({ errorCode: 0, baseOffset: 0 })
    expect(await fetch(consumer, topic)).toMatchObject({ highWatermark: 0 })
    await follow(1)
    expect(valuesIn((await fetch(consumer, topic)).records)).toEqual(['a'])
  })

  test('a batch that comes again behind more than five others is DUPLICATE_SEQUENCE_NUMBER, once it is committed', async () => {
    for (let sequence = 0; sequence < 8; sequence++) {
      const reply = await produce(broker.client, topic, sequenced(sequence), { acks: 1 })
      expect(reply.errorCode).toBe(ErrorCode.NONE)
      if (sequence === 0) become()
    }
    expect(await produceAll(1, sequenced(2))).toBe(ErrorCode.REQUEST_TIMED_OUT)
    const again = produceAll(LONG_MS, sequenced(2))
    const timer = await broker.process.waitsFor(LONG_MS)
    await follow(2)
    expect(timer.pending).toBe(true)
    await follow(3)
    expect(await again).toBe(ErrorCode.DUPLICATE_SEQUENCE_NUMBER)
    expect(await produceAll(LONG_MS, sequenced(1))).toBe(ErrorCode.DUPLICATE_SEQUENCE_NUMBER)
    expect(partition().log.logEndOffset).toBe(8)
  })

  test('a gap is told when no other can be the leader, who would have what is missing', async () => {
    await produce(broker.client, topic, sequenced(0))
    become()
    const withGap = (): Promise<number> => produceAll(LONG_MS, sequenced(5))
    const { NOT_LEADER_OR_FOLLOWER, OUT_OF_ORDER_SEQUENCE_NUMBER } = ErrorCode
    expect(await withGap()).toBe(NOT_LEADER_OR_FOLLOWER)
    await follow(1)
    expect(await withGap()).toBe(NOT_LEADER_OR_FOLLOWER)
    await follow(1)
    expect(await withGap()).toBe(OUT_OF_ORDER_SEQUENCE_NUMBER)
    expect(await withGap()).toBe(NOT_LEADER_OR_FOLLOWER)
    become({ isr: [broker.process.broker.brokerId] })
    expect(await withGap()).toBe(OUT_OF_ORDER_SEQUENCE_NUMBER)
    expect(partition().log.logEndOffset).toBe(1)
  })

  test('what is not replicated in time is REQUEST_TIMED_OUT, and stays', async () => {
    become()
    expect(await produceAll(1)).toBe(ErrorCode.REQUEST_TIMED_OUT)
    expect(valuesIn((await follow(0)).records)).toEqual(['a', 'b'])
  })

  test('a leader that is one no more answers what waits with NOT_LEADER_OR_FOLLOWER', async () => {
    become()
    const reply = produceAll(LONG_MS)
    await broker.process.waitsFor(LONG_MS)
    become({ leader: FOLLOWER })
    expect(await reply).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
  })

  test('NOT_ENOUGH_REPLICAS where the in-sync set is too small, and acks=1 is taken', async () => {
    const self = broker.process.broker.brokerId
    become({ isr: [self] })
    partition().log.config = { ...partition().log.config, minInsyncReplicas: 2 }
    expect(await produceAll(LONG_MS)).toBe(ErrorCode.NOT_ENOUGH_REPLICAS)
    expect((await produce(broker.client, topic, batchOf(['a']), { acks: 1 })).errorCode).toBe(0)
    expect(partition()).toMatchObject({ highWatermark: 0, log: { logEndOffset: 1 } })
  })
})

describe('Fetch of a follower', () => {
  test('waits for records, and gets them before they are committed', async () => {
    become()
    const reply = follow(0, { maxWaitMs: LONG_MS })
    const timer = await broker.process.waitsFor(LONG_MS)
    await produce(broker.client, topic, batchOf(['a']), { acks: 1 })
    expect(valuesIn((await reply).records)).toEqual(['a'])
    expect(timer.pending).toBe(false)
    expect(partition().highWatermark).toBe(0)
  })

  test('is told of the high watermark that it has moved', async () => {
    become()
    await produce(broker.client, topic, batchOf(['a']), { acks: 1 })
    expect((await follow(1)).highWatermark).toBe(1)
  })

  test('of a broker that has no replica is UNKNOWN_LEADER_EPOCH, and moves nothing', async () => {
    become()
    await produce(broker.client, topic, batchOf(['a']), { acks: 1 })
    expect((await follow(1, { replicaId: 99 })).errorCode).toBe(ErrorCode.UNKNOWN_LEADER_EPOCH)
    expect(partition().highWatermark).toBe(0)
  })

  test('that waits is answered when leadership goes', async () => {
    become()
    const reply = follow(0, { maxWaitMs: LONG_MS })
    await broker.process.waitsFor(LONG_MS)
    become({ leader: FOLLOWER })
    expect((await reply).errorCode).toBe(ErrorCode.FENCED_LEADER_EPOCH)
  })
})

describe('Fetch of a throttled follower (KIP-73)', () => {
  const setRate = async (value: string | null): Promise<void> => {
    const configs = [
      { name: 'leader.replication.throttled.rate', configOperation: value === null ? 1 : 0, value },
    ]
    const resources = [{ resourceType: 4, resourceName: '', configs }]
    const reply = await broker.client.request(incrementalAlterConfigsApi, 1, {
      resources,
      validateOnly: false,
    })
    expect(reply.responses[0].errorCode).toBe(ErrorCode.NONE)
  }
  const isThrottled = (): boolean => broker.process.broker.parts.services.leaderQuota.isThrottled(topic, 0)

  test('that is not in sync gets nothing while the quota is used up; one that is in sync is served', async () => {
    const self = broker.process.broker.brokerId
    await setRate('1')
    await alterTopic(broker.client, topic, 'leader.replication.throttled.replicas', `0:${self}`)
    await expect.poll(() => isThrottled()).toBe(true)
    become({ isr: [self] })
    await produce(broker.client, topic, batchOf(['a']), { acks: 1 })
    expect(valuesIn((await follow(0)).records)).toEqual(['a'])
    expect(await follow(0)).toMatchObject({ errorCode: 0, records: Buffer.alloc(0) })
    become()
    expect(valuesIn((await follow(0)).records)).toEqual(['a'])
    become({ isr: [self] })
    await alterTopic(broker.client, topic, 'leader.replication.throttled.replicas', null)
    await expect.poll(() => isThrottled()).toBe(false)
    expect(valuesIn((await follow(0)).records)).toEqual(['a'])
    await setRate(null)
  })
})

describe('Fetch of a consumer', () => {
  const read = (version: number) => fetch(consumer, topic, 0, { version, maxWaitMs: 0 })

  test('from a follower reaches to its high watermark from version 11 on, and is refused before', async () => {
    become()
    await produce(broker.client, topic, batchOf(['a']), { acks: 1 })
    await follow(1)
    await produce(broker.client, topic, batchOf(['b']), { acks: 1 })
    become({ leader: FOLLOWER })
    expect((await read(10)).errorCode).toBe(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    const { errorCode, highWatermark, records } = await read(11)
    expect([errorCode, highWatermark, valuesIn(records)]).toEqual([0, 1, ['a']])
  })

  test('that waits at a follower is answered when its high watermark moves', async () => {
    become()
    await produce(broker.client, topic, batchOf(['a']), { acks: 1 })
    become({ leader: FOLLOWER })
    const reply = fetch(consumer, topic, 0, { version: 11, maxWaitMs: LONG_MS })
    await broker.process.waitsFor(LONG_MS)
    partition().appendFetched(null, { highWatermark: 1, logStartOffset: 0 })
    expect(valuesIn((await reply).records)).toEqual(['a'])
  })

  test('goes to an in-sync replica in its rack (KIP-392), with nothing read', async () => {
    const forget = withLiveFollower()
    become()
    await produce(broker.client, topic, batchOf(['a']), { acks: 1 })
    await follow(1)
    const asked = async (rackId: string, version = 11) => {
      const topicsWanted = [
        { topic, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] },
      ]
      const limits = { maxWaitMs: 0, minBytes: 1, ...EMPTY_SESSION, forgottenTopicsData: [] }
      const request = { ...limits, replicaId: -1, topics: topicsWanted, rackId }
      const [reply] = (await consumer.request(fetchApi, version, request)).responses[0].partitions
      return [reply.preferredReadReplica, valuesIn(reply.records)]
    }
    expect(await asked('there')).toEqual([FOLLOWER, []])
    expect(await asked('here')).toEqual([-1, ['a']])
    expect(await asked('')).toEqual([-1, ['a']])
    expect(await asked('elsewhere')).toEqual([-1, ['a']])
    const self = broker.process.broker.brokerId
    become({ isr: [self] })
    expect(await asked('there')).toEqual([-1, ['a']])
    forget()
  })
})

describe('ListOffsets', () => {
  const latest = async (version: number, replicaId = -1) => {
    const wanted = [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1 }] }]
    const [reply] = (await consumer.request(listOffsetsApi, version, { replicaId, topics: wanted })).topics
    const { errorCode, offset } = reply.partitions[0]
    return [errorCode, offset]
  }

  test('gives consumers the high watermark, followers the log end', async () => {
    become()
    await produce(broker.client, topic, batchOf(['a', 'b']), { acks: 1 })
    await follow(1)
    expect(await latest(7)).toEqual([0, 1])
    expect(await latest(7, FOLLOWER)).toEqual([0, 2])
  })

  test('a leader that may have been replaced sends consumers to look for another, and answers followers', async () => {
    become()
    await produce(broker.client, topic, batchOf(['a']), { acks: 1 })
    await follow(1)
    beUnsure()
    expect(await latest(7)).toEqual([ErrorCode.NOT_LEADER_OR_FOLLOWER, -1])
    expect(await latest(1)).toEqual([ErrorCode.NOT_LEADER_OR_FOLLOWER, -1])
    expect(await latest(7, FOLLOWER)).toEqual([0, 1])
    vi.restoreAllMocks()
    expect(await latest(7)).toEqual([0, 1])
  })

  test('does not tell the end before a new leader knows it (KIP-207)', async () => {
    become()
    await produce(broker.client, topic, batchOf(['a']), { acks: 1 })
    become()
    expect(await latest(5)).toEqual([ErrorCode.OFFSET_NOT_AVAILABLE, -1])
    expect(await latest(4)).toEqual([ErrorCode.LEADER_NOT_AVAILABLE, -1])
    expect(await latest(5, FOLLOWER)).toEqual([0, 1])
    await follow(1)
    expect(await latest(5)).toEqual([0, 1])
  })
})

describe('OffsetForLeaderEpoch', () => {
  const endOf = async (leaderEpoch: number, replicaId = -1) => {
    const wanted = { partition: 0, currentLeaderEpoch: -1, leaderEpoch }
    const topics = [{ topic, partitions: [wanted] }]
    const reply = await consumer.request(offsetForLeaderEpochApi, 4, { replicaId, topics })
    const { errorCode, leaderEpoch: epoch, endOffset } = reply.topics[0].partitions[0]
    return [errorCode, epoch, endOffset]
  }

  test('of an epoch that is later than its own: the leader is out of date, and the reader looks for another', async () => {
    await produce(broker.client, topic, batchOf(['a']))
    const { leaderEpoch } = partition()
    expect(await endOf(leaderEpoch)).toEqual([0, leaderEpoch, 1])
    // There is no other leader.
    expect(await endOf(leaderEpoch + 2)).toEqual([0, -1, -1])
    become()
    expect(await endOf(leaderEpoch)).toEqual([0, leaderEpoch, 1])
    expect(await endOf(leaderEpoch + 2)).toEqual([ErrorCode.UNKNOWN_LEADER_EPOCH, -1, -1])
    expect(await endOf(leaderEpoch + 2, FOLLOWER)).toEqual([0, -1, -1])
  })

  test('a leader that may have been replaced sends consumers to look for another, and answers followers', async () => {
    await produce(broker.client, topic, batchOf(['a']))
    const { leaderEpoch } = partition()
    become()
    beUnsure()
    expect(await endOf(leaderEpoch)).toEqual([ErrorCode.NOT_LEADER_OR_FOLLOWER, -1, -1])
    expect(await endOf(leaderEpoch, FOLLOWER)).toEqual([0, leaderEpoch, 1])
  })
})

describe('DeleteRecords', () => {
  const deleteTo = async (offset: number, timeoutMs: number) => {
    const request = { topics: [{ name: topic, partitions: [{ partitionIndex: 0, offset }] }], timeoutMs }
    const [reply] = (await broker.client.request(deleteRecordsApi, 2, request)).topics[0].partitions
    return [reply.errorCode, reply.lowWatermark]
  }
  const followed = async (): Promise<void> => {
    become()
    await produce(broker.client, topic, batchOf(['a', 'b', 'c']), { acks: 1 })
    await follow(3)
  }

  test('is answered when the follower has raised its log start, of which it is told at once', async () => {
    const forget = withLiveFollower()
    await followed()
    const told = follow(3, { maxWaitMs: LONG_MS })
    await broker.process.waitsFor(LONG_MS)
    const reply = deleteTo(2, LONG_MS)
    expect((await told).logStartOffset).toBe(2)
    await broker.process.waitsFor(LONG_MS)
    await follow(3, { logStartOffset: 2 })
    expect(await reply).toEqual([0, 2])
    forget()
  })

  test('is REQUEST_TIMED_OUT where the follower does not hear of it', async () => {
    const forget = withLiveFollower()
    await followed()
    expect(await deleteTo(2, 1)).toEqual([ErrorCode.REQUEST_TIMED_OUT, 0])
    forget()
  })
})
