import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { kcat, KcatMember } from '../harness/kcat.ts'

let broker: TestBroker
const members: KcatMember[] = []

beforeAll(async () => {
  broker = await startBroker({ config: { 'num.partitions': '4' } })
})
afterEach(async () => {
  await Promise.all(members.splice(0).map((member) => member.end('SIGKILL')))
})
afterAll(() => broker?.stop())

function join(group: string, topic: string, settings: string[] = []): KcatMember {
  const quick = [
    'heartbeat.interval.ms=200',
    'session.timeout.ms=6000',
    'topic.metadata.refresh.interval.ms=500',
  ]
  const member = new KcatMember(broker.bootstrap, group, [topic], [...quick, ...settings])
  members.push(member)
  return member
}

/** Sends the lines, spread over the topic's four partitions. */
async function send(topic: string, lines: string[]): Promise<void> {
  for (let partition = 0; partition < 4; partition++) {
    const own = lines.filter((_, i) => i % 4 === partition)
    await kcat(broker.bootstrap, ['-P', '-t', topic, '-p', String(partition)], `${own.join('\n')}\n`)
  }
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`)
}

function readBy(...readers: KcatMember[]): (string | null)[] {
  return readers.flatMap((reader) => reader.payloads()).sort()
}

describe('a group of kcat consumers', () => {
  for (const strategy of ['range', 'roundrobin', 'cooperative-sticky']) {
    test(`shares out the partitions by the ${strategy} assignor and reads every record once`, async () => {
      const topic = `grouped-${strategy}`
      const group = `${strategy}-group`
      const settings = [`partition.assignment.strategy=${strategy}`]
      await send(topic, numbered('a', 40))
      const first = join(group, topic, settings)
      await eventually('the first member reads all', () => first.payloads().length === 40)
      const second = join(group, topic, settings)
      await eventually(
        'both own half',
        () => first.assigned()?.length === 2 && second.assigned()?.length === 2,
      )
      await send(topic, numbered('b', 40))
      await eventually('all is read', () => new Set(readBy(first, second)).size === 80)
      expect(second.payloads().length).toBe(20)
      expect(readBy(first, second)).toEqual([...numbered('a', 40), ...numbered('b', 40)].sort())

      await first.end('SIGTERM')
      await send(topic, numbered('c', 40))
      await eventually('the second reads what the first would have', () => second.payloads().length === 60)
      expect(second.payloads().filter((payload) => payload!.startsWith('c'))).toHaveLength(40)
    })
  }

  test('goes on without a member that was killed, once its session has run out', async () => {
    const topic = 'grouped-killed'
    await send(topic, numbered('a', 8))
    const first = join('killed-group', topic)
    await eventually('the first member reads', () => first.payloads().length === 8)
    const second = join('killed-group', topic)
    await eventually('the second member owns half', () => second.assigned()?.length === 2)
    await first.end('SIGKILL')
    await send(topic, numbered('b', 40))
    await eventually('the second reads all', () => new Set(second.payloads()).size === 40, 40_000)
  })

  test('lets a static member come back to its partitions without a rebalance', async () => {
    const topic = 'grouped-static'
    await send(topic, numbered('a', 8))
    const asInstance = (id: string): KcatMember =>
      join('static-group', topic, [`group.instance.id=${id}`, 'session.timeout.ms=30000'])
    const first = asInstance('one')
    await eventually('the first member reads', () => first.payloads().length === 8)
    const second = asInstance('two')
    await eventually('both own half', () => second.assigned()?.length === 2 && first.assigned()?.length === 2)
    const owned = second.assigned()
    const rebalances = first.rebalances()
    await second.end('SIGTERM')
    const back = asInstance('two')
    await eventually('it is back', () => back.assigned() !== undefined)
    expect(back.assigned()).toEqual(owned)
    await send(topic, numbered('b', 40))
    await eventually('all is read', () => readBy(first, second, back).length === 48)
    expect(first.rebalances()).toEqual(rebalances)
  })

  test('follows a pattern to topics that come later', async () => {
    await send('pattern-1', ['p1-0', 'p1-1', 'p1-2', 'p1-3'])
    const member = join('pattern-group', '^pattern-[0-9]$')
    await eventually('the first topic is read', () => member.payloads().length === 4)
    await send('pattern-2', ['p2-0', 'p2-1', 'p2-2', 'p2-3'])
    await eventually('the second topic is read', () => member.payloads().length === 8)
  })
})
