import { describe, expect, test } from 'vitest'
import { FetchSessionCache, hasNews, MIN_EVICTION_MS, moveToEnd } from '../../src/broker/fetch-sessions.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import type { FetchRequest } from '../../src/protocol/messages/01-fetch.ts'
import { ZERO_UUID } from '../../src/protocol/schema.ts'

const partitionOf = (partition: number, fetchOffset = 0) => ({
  partition,
  currentLeaderEpoch: -1,
  fetchOffset,
  lastFetchedEpoch: -1,
  logStartOffset: -1,
  partitionMaxBytes: 1000,
  replicaDirectoryId: ZERO_UUID,
})

function request(
  session: [id: number, epoch: number],
  partitions: number[],
  forgotten: number[] = [],
): FetchRequest {
  return {
    clusterId: null,
    replicaId: -1,
    replicaState: { replicaId: -1, replicaEpoch: -1 },
    maxWaitMs: 0,
    minBytes: 1,
    maxBytes: 1000,
    isolationLevel: 0,
    sessionId: session[0],
    sessionEpoch: session[1],
    topics: partitions.length
      ? [{ topic: 't', topicId: ZERO_UUID, partitions: partitions.map((p) => partitionOf(p)) }]
      : [],
    forgottenTopicsData: forgotten.length ? [{ topic: 't', topicId: ZERO_UUID, partitions: forgotten }] : [],
    rackId: '',
  }
}

function cache(slots = 10) {
  let nowMs = 0
  let nextId = 0
  const sessions = new FetchSessionCache(
    slots,
    () => nowMs,
    () => ++nextId,
  )
  const plan = (session: [number, number], partitions: number[], forgotten: number[] = [], version = 11) =>
    sessions.plan(request(session, partitions, forgotten), version, () => 't')
  return { sessions, plan, advance: (ms: number) => (nowMs += ms) }
}

describe('fetch sessions (KIP-227)', () => {
  test('a full fetch with epoch 0 makes a session, epoch 1 continues it with what changed', () => {
    const { plan } = cache()
    const full = plan([0, 0], [0, 1])
    if (full.kind !== 'full') throw new Error(full.kind)
    const next = plan([full.session.id, 1], [2], [0])
    if (next.kind !== 'incremental') throw new Error(next.kind)
    expect(next.partitions.map(({ partition }) => partition)).toEqual([1, 2])
    expect(plan([full.session.id, 2], []).kind).toBe('incremental')
  })

  test('a session may begin without partitions', () => {
    const { plan } = cache()
    expect(plan([0, 0], []).kind).toBe('full')
  })

  test('epoch -1 is a full fetch without a session and closes the one that is named', () => {
    const { plan, sessions } = cache()
    const full = plan([0, 0], [0])
    if (full.kind !== 'full') throw new Error(full.kind)
    expect(plan([full.session.id, -1], [0]).kind).toBe('sessionless')
    expect(sessions.size).toBe(0)
    expect(plan([full.session.id, 1], [])).toEqual({
      kind: 'error',
      errorCode: ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
    })
  })

  test('a wrong epoch and a change between names and ids are refused', () => {
    const { plan } = cache()
    const full = plan([0, 0], [0])
    if (full.kind !== 'full') throw new Error(full.kind)
    const { id } = full.session
    expect(plan([id, 5], [])).toEqual({ kind: 'error', errorCode: ErrorCode.INVALID_FETCH_SESSION_EPOCH })
    expect(plan([id, 1], [], [], 13)).toEqual({
      kind: 'error',
      errorCode: ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
    })
  })

  test('the epoch after 2147483647 is 1', () => {
    const { plan } = cache()
    const full = plan([0, 0], [0])
    if (full.kind !== 'full') throw new Error(full.kind)
    full.session.nextEpoch = 0x7fffffff
    expect(plan([full.session.id, 0x7fffffff], []).kind).toBe('incremental')
    expect(plan([full.session.id, 1], []).kind).toBe('incremental')
  })

  test('a session that forgets its last partition is closed', () => {
    const { plan, sessions } = cache()
    const full = plan([0, 0], [0])
    if (full.kind !== 'full') throw new Error(full.kind)
    expect(plan([full.session.id, 1], [], [0])).toEqual({ kind: 'sessionless', partitions: [] })
    expect(sessions.size).toBe(0)
  })

  test('a full cache grants no session until one has been idle for two minutes', () => {
    const { plan, advance, sessions } = cache(2)
    plan([0, 0], [0])
    plan([0, 0], [0])
    expect(plan([0, 0], [0]).kind).toBe('sessionless')
    advance(MIN_EVICTION_MS + 1)
    expect(plan([0, 0], [0]).kind).toBe('full')
    expect(sessions.size).toBe(2)
  })

  test('news are records, errors, divergence and changed watermarks; after an error the partition is told again', () => {
    const { plan } = cache()
    const full = plan([0, 0], [0])
    if (full.kind !== 'full') throw new Error(full.kind)
    const [partition] = full.partitions
    const quiet = { errorCode: 0, bytes: 0, highWatermark: 5, logStartOffset: 0, isAboutPosition: false }
    expect(hasNews(partition, quiet)).toBe(true)
    expect(hasNews(partition, quiet)).toBe(false)
    expect(hasNews(partition, { ...quiet, bytes: 10 })).toBe(true)
    expect(hasNews(partition, { ...quiet, highWatermark: 6 })).toBe(true)
    expect(hasNews(partition, { ...quiet, highWatermark: 6, logStartOffset: 1 })).toBe(true)
    expect(hasNews(partition, { ...quiet, highWatermark: -1, logStartOffset: -1, errorCode: 3 })).toBe(true)
    expect(hasNews(partition, { ...quiet, highWatermark: 6, logStartOffset: 1 })).toBe(true)
  })

  test('a partition that gave data goes to the end of the line', () => {
    const { plan } = cache()
    const full = plan([0, 0], [0, 1, 2])
    if (full.kind !== 'full') throw new Error(full.kind)
    moveToEnd(full.session, full.partitions[0])
    const next = plan([full.session.id, 1], [])
    if (next.kind !== 'incremental') throw new Error(next.kind)
    expect(next.partitions.map(({ partition }) => partition)).toEqual([1, 2, 0])
  })

  test('a topic that was not known at first is found by its id when it is', () => {
    const { sessions } = cache()
    const full = sessions.plan(request([0, 0], [0]), 13, () => '')
    if (full.kind !== 'full') throw new Error(full.kind)
    const next = sessions.plan(request([full.session.id, 1], []), 13, () => 't')
    if (next.kind !== 'incremental') throw new Error(next.kind)
    expect(next.partitions.map(({ topic }) => topic)).toEqual(['t'])
  })
})
