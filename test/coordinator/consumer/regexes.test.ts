/** Subscriptions by regular expression: RE2's, resolved after the heartbeat that brings them. */
import { RE2JS } from 're2js'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  MAX_REGEX_BRANCHES,
  MAX_REGEX_LENGTH,
  MAX_UNICODE_CLASSES,
  RegexEngine,
} from '../../../src/coordinator/groups/consumer/regex-engine.ts'
import { decodeRecord } from '../../../src/coordinator/groups/records.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import type { ConsumerGroupHeartbeatResponse } from '../../../src/protocol/messages/68-consumer-group-heartbeat.ts'
import { GROUP } from '../client.ts'
import type { Answer } from '../client.ts'
import { settled, world } from '../world.ts'
import type { World } from '../world.ts'
import { Consumer, joinAs, settle } from './heartbeats.ts'

beforeAll(async () => {
  expect(RE2JS.matches('a', 'a')).toBe(true)
  await new RegexEngine().load()
})

async function answered(w: World, answer: Answer<ConsumerGroupHeartbeatResponse>) {
  for (let i = 0; i < 1000 && answer.isWaiting; i++) await new Promise((resolve) => setImmediate(resolve))
  await settled()
  w.time.advance(1)
  return answer.now
}

async function joined(w: World, id: string, subscribedTopicRegex: string): Promise<Consumer> {
  const consumer = new Consumer(w, id)
  consumer.take(await answered(w, joinAs(w, id, { subscribedTopicRegex })))
  await settled()
  w.time.advance(1)
  return consumer
}

const recordTypes = (w: World) =>
  w.log.records().map(({ key, value }) => `${decodeRecord(key!, value)?.type}${value === null ? ' -' : ''}`)

describe('a regular expression', () => {
  it('gives the topics that it matches as a whole, with the heartbeat after it was resolved', async () => {
    const w = world()
    w.topics.set('orders-dead', 2)
    const a = await joined(w, 'a', 'orders|cli.*')
    expect(a.partitions).toEqual([])
    a.beat().beat()
    expect(a.owned).toEqual({ orders: [0, 1, 2, 3], clicks: [0, 1, 2, 3] })
    expect(recordTypes(w)).toContain('consumer-regex')
    expect(w.groups.describeConsumerGroup(GROUP).members[0]).toMatchObject({
      subscribedTopicNames: [],
      subscribedTopicRegex: 'orders|cli.*',
    })
  })

  it('takes in a topic that is new, and loses one that is gone', async () => {
    const w = world()
    const a = await joined(w, 'a', 'or.*')
    a.beat().beat()
    w.time.advance(11_000)
    w.topics.set('orbits', 2)
    w.groups.consumers.onTopicsChanged(new Set(['orbits']), false)
    a.beat()
    await settled()
    w.time.advance(1)
    settle([a])
    expect(a.owned).toEqual({ orders: [0, 1, 2, 3], orbits: [0, 1] })
    w.topics.delete('orders')
    w.groups.consumers.onTopicsChanged(new Set(['orders']), false)
    settle([a])
    expect(a.owned).toEqual({ orbits: [0, 1] })
  })

  it('is stored, shared by all who have it, and forgotten with the last of them', async () => {
    const w = world()
    const a = await joined(w, 'a', 'or.*')
    const b = await joined(w, 'b', 'or.*')
    settle([a, b])
    expect([...a.partitions, ...b.partitions].sort()).toEqual([
      'orders/0',
      'orders/1',
      'orders/2',
      'orders/3',
    ])
    const again = world({ log: w.log })
    expect(again.groups.describeConsumerGroup(GROUP)).toEqual(w.groups.describeConsumerGroup(GROUP))
    a.leave()
    expect(recordTypes(w)).not.toContain('consumer-regex -')
    b.leave()
    expect(recordTypes(w)).toContain('consumer-regex -')
  })

  it('is not looked up more often than every ten seconds, but again when its time has come', async () => {
    const w = world({ config: { consumerGroupRegexRefreshIntervalMs: 30_000 } })
    const a = await joined(w, 'a', 'or.*')
    const resolutions = () => recordTypes(w).filter((type) => type === 'consumer-regex').length
    for (const [ms, expected] of [
      [5_000, 1],
      [6_000, 1],
      [20_000, 2],
      [10_000, 2],
      [21_000, 3],
    ]) {
      w.time.advance(ms)
      a.beat()
      await settled()
      w.time.advance(1)
      expect(resolutions(), `after ${ms} ms more`).toBe(expected)
    }
  })

  it.each(['(', '[a', 'a(?=b)', '(a)\\1', 'x'.repeat(MAX_REGEX_LENGTH + 1)])(
    '%s is none of RE2',
    async (regex) => {
      const w = world()
      const response = await answered(w, joinAs(w, 'a', { subscribedTopicRegex: regex }))
      expect(response.errorCode).toBe(ErrorCode.INVALID_REGULAR_EXPRESSION)
      expect(response.errorMessage).toContain('is not a valid regular expression')
      expect(w.groups.listGroups([], []).groups).toEqual([])
    },
  )

  it.each([
    ['ways to go on', `(?:a?){${MAX_REGEX_BRANCHES}}`, `(?:a?){${MAX_REGEX_BRANCHES + 1}}`],
    ['ways to go on', 'or.*', '(?:(?:a?b?c?d?e?f?g?h?){100}){10}'],
    ['Unicode classes', '\\pL'.repeat(MAX_UNICODE_CLASSES), `(?i)${'\\pL'.repeat(MAX_UNICODE_CLASSES + 1)}`],
  ])('that costs too much is refused: more than so many %s', async (what, taken, refused) => {
    const w = world()
    expect(await answered(w, joinAs(w, 'a', { subscribedTopicRegex: taken }))).toMatchObject({ errorCode: 0 })
    const response = await answered(w, joinAs(w, 'b', { subscribedTopicRegex: refused }))
    expect(response.errorCode).toBe(ErrorCode.INVALID_REGULAR_EXPRESSION)
    expect(response.errorMessage).toContain(what)
  })

  it('may list hundreds of names', async () => {
    const w = world()
    const names = Array.from({ length: 250 }, (_, i) => `${i}-topic-${i * 7}`)
    for (const name of names) w.topics.set(name, 1)
    const a = await joined(w, 'a', names.join('|'))
    settle([a])
    expect(Object.keys(a.owned)).toHaveLength(250)
  })

  it('that is as long as a string may be is refused with a text that is not', async () => {
    const w = world()
    const response = await answered(w, joinAs(w, 'a', { subscribedTopicRegex: '('.repeat(32_767) }))
    expect(response.errorCode).toBe(ErrorCode.INVALID_REGULAR_EXPRESSION)
    expect(response.errorMessage!.length).toBeLessThan(20_000)
  })

  it('that would take a backtracking engine for ever takes this one no time', async () => {
    const w = world()
    w.topics.set('a'.repeat(240), 1)
    const a = await joined(w, 'a', '(a*)*b')
    settle([a])
    expect(a.partitions).toEqual([])
  })

  it('beside names, with others who have none of it', async () => {
    const w = world()
    const a = await joined(w, 'a', 'or.*')
    const b = new Consumer(w, 'b', { subscribedTopicNames: ['orders', 'clicks'] }).join()
    settle([a, b])
    expect(b.owned.clicks).toEqual([0, 1, 2, 3])
    expect([...(a.owned.orders ?? []), ...(b.owned.orders ?? [])].sort()).toEqual([0, 1, 2, 3])
  })
})
