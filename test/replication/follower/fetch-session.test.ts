import { describe, expect, test } from 'vitest'
import {
  epochAfter,
  FetchSession,
  NO_TOPIC_ID,
  type SessionPartition,
  type SessionRequest,
} from '../../../src/replication/follower/fetch-session.ts'

class Part implements SessionPartition {
  readonly topic: string
  readonly index: number
  readonly topicId: string
  offset = 0
  constructor(topic: string, index: number, topicId = `id-of-${topic}`) {
    this.topic = topic
    this.index = index
    this.topicId = topicId
  }
  position() {
    return { currentLeaderEpoch: 3, fetchOffset: this.offset, lastFetchedEpoch: 2, logStartOffset: 0 }
  }
}

const named = (request: SessionRequest | null): string[] =>
  request!.topics.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, fetchOffset }) => `${topic}-${partition}@${fetchOffset}`),
  )
const forgotten = (request: SessionRequest | null): string[] =>
  request!.forgottenTopicsData.flatMap(({ topicId, partitions }) =>
    partitions.map((partition) => `${topicId}-${partition}`),
  )
const ids = (request: SessionRequest | null): [number, number] => [request!.sessionId, request!.sessionEpoch]

/** A session that has been granted as 77. */
function granted(...partitions: Part[]) {
  const session = new FetchSession<Part>(() => 1000)
  for (const partition of partitions) session.add(partition)
  session.next()
  session.accepted(77)
  return session
}

describe('a follower in a fetch session', () => {
  test('names all at first, and then only what has moved', () => {
    const [a0, a1, b0] = [new Part('a', 0), new Part('a', 1), new Part('b', 0)]
    const session = new FetchSession<Part>(() => 1000)
    for (const partition of [a0, a1, b0]) session.add(partition)
    const first = session.next()
    expect([ids(first), named(first)]).toEqual([
      [0, 0],
      ['a-0@0', 'a-1@0', 'b-0@0'],
    ])
    expect(first!.topics.map(({ topic }) => topic)).toEqual(['a', 'b'])
    expect(first!.topics[0].partitions[0]).toMatchObject({
      currentLeaderEpoch: 3,
      lastFetchedEpoch: 2,
      partitionMaxBytes: 1000,
    })
    session.accepted(77)
    a1.offset = 5
    session.moved(a1)
    const second = session.next()
    expect([ids(second), named(second), forgotten(second)]).toEqual([[77, 1], ['a-1@5'], []])
    session.accepted(77)
    expect([ids(session.next()), session.asked(a1)!.fetchOffset]).toEqual([[77, 2], 5])
  })

  test('counts its requests from 1 to the largest int32, and then from 1 again', () => {
    expect([0, 1, 0x7ffffffe, 0x7fffffff].map(epochAfter)).toEqual([1, 2, 0x7fffffff, 1])
  })

  test('tells what is not fetched any more, once', () => {
    const [a0, a1] = [new Part('a', 0), new Part('a', 1)]
    const session = granted(a0, a1)
    session.remove(a1)
    session.remove(a1)
    const request = session.next()
    expect([named(request), forgotten(request)]).toEqual([[], ['id-of-a-1']])
    session.accepted(77)
    expect(forgotten(session.next())).toEqual([])
  })

  test('what comes and goes between two requests is never named', () => {
    const session = granted(new Part('a', 0))
    const passing = new Part('a', 1)
    session.add(passing)
    session.remove(passing)
    const request = session.next()
    expect([named(request), forgotten(request)]).toEqual([[], []])
  })

  test('what is followed anew is named again, and not forgotten: the leader would do that last', () => {
    const [old, other] = [new Part('a', 0), new Part('a', 1)]
    const session = granted(old, other)
    session.remove(old)
    const anew = new Part('a', 0)
    anew.offset = 9
    session.add(anew)
    const request = session.next()
    expect([named(request), forgotten(request)]).toEqual([['a-0@9'], []])
    expect(session.asked(old)).toBe(null)
  })

  test('a topic of the same name with another id takes the place of the old one', () => {
    const [old, other] = [new Part('a', 0, 'id-1'), new Part('b', 0)]
    const session = granted(old, other)
    session.remove(old)
    session.add(new Part('a', 0, 'id-2'))
    const request = session.next()
    expect(request!.topics.map(({ topicId }) => topicId)).toEqual(['id-2'])
    expect(forgotten(request)).toEqual(['id-1-0'])
  })

  test('goes by names as soon as one topic has no id, in a new session each time', () => {
    const [a, b] = [new Part('a', 0), new Part('b', 0, NO_TOPIC_ID)]
    const session = granted(a)
    session.add(b)
    const byName = session.next()
    expect([byName!.usesTopicIds, ids(byName), named(byName)]).toEqual([false, [77, 0], ['a-0@0', 'b-0@0']])
    session.accepted(78)
    session.remove(b)
    const byId = session.next()
    expect([byId!.usesTopicIds, ids(byId), named(byId)]).toEqual([true, [78, 0], ['a-0@0']])
  })

  test('asks for all again after a failure, and closes the session', () => {
    const session = granted(new Part('a', 0), new Part('b', 0))
    session.next()
    session.failed()
    const again = session.next()
    expect([ids(again), named(again)]).toEqual([
      [77, 0],
      ['a-0@0', 'b-0@0'],
    ])
    session.accepted(78)
    expect(ids(session.next())).toEqual([78, 1])
  })

  test('does not ask to close a session that the leader has forgotten', () => {
    const session = granted(new Part('a', 0))
    session.next()
    session.lost()
    expect(ids(session.next())).toEqual([0, 0])
  })

  test.each([
    ['closed', 0],
    ['another', 5],
  ])('an answer that says that the session is %s begins a new one', (_, sessionId) => {
    const session = granted(new Part('a', 0))
    session.next()
    session.accepted(sessionId)
    expect(ids(session.next())).toEqual([0, 0])
  })

  test('without a session, what gave data comes last next time', () => {
    const [a0, b0, c0] = [new Part('a', 0), new Part('b', 0), new Part('c', 0)]
    const session = new FetchSession<Part>(() => 1000)
    for (const partition of [a0, b0, c0]) session.add(partition)
    session.next()
    session.accepted(0)
    session.gaveData(a0)
    const request = session.next()
    expect([ids(request), named(request)]).toEqual([
      [0, 0],
      ['b-0@0', 'c-0@0', 'a-0@0'],
    ])
  })

  test('has nothing to say while nothing is fetched', () => {
    const part = new Part('a', 0)
    const session = granted(part)
    session.remove(part)
    expect(session.next()).toBe(null)
  })
})
