/** The checker itself: each anomaly, in a made-up history, is found, and a clean history has none. */
import { describe, expect, test } from 'vitest'
import { HistoryChecker, type AnomalyKind, type LogRecord, type Observation } from './checker.ts'

const groups = { reader: 'alone', member1: 'group', member2: 'group' }

/** Six records of two producers, all acknowledged, read by one consumer alone and by the members of a group in turn. */
const log: LogRecord[] = [
  { offset: 0, producer: 'p', sequence: 0 },
  { offset: 1, producer: 'q', sequence: 0 },
  { offset: 2, producer: 'p', sequence: 1 },
  { offset: 3, producer: 'p', sequence: 2 },
  { offset: 4, producer: 'q', sequence: 1 },
  { offset: 5, producer: 'q', sequence: 2 },
]
const partition = 7
const polled = (consumer: string, record: LogRecord): Observation => ({
  kind: 'polled',
  consumer,
  partition,
  ...record,
})
const clean: Observation[] = [
  { kind: 'sending', producer: 'p', partition, upTo: 3 },
  { kind: 'sending', producer: 'q', partition, upTo: 3 },
  ...log.map((record): Observation => ({ kind: 'acknowledged', partition, ...record })),
  { kind: 'positioned', consumer: 'reader', partition, offset: 0 },
  ...log.map((record) => polled('reader', record)),
  { kind: 'positioned', consumer: 'member1', partition, offset: 0 },
  ...log.slice(0, 4).map((record) => polled('member1', record)),
  { kind: 'committed', consumer: 'member1', partition, offset: 3 },
  { kind: 'positioned', consumer: 'member2', partition, offset: 3 },
  ...log.slice(3).map((record) => polled('member2', record)),
]

function kindsOf(history: Observation[], records: LogRecord[] = log): AnomalyKind[] {
  const checker = new HistoryChecker(groups)
  for (const seen of history) checker.observe(seen)
  const anomalies = checker.finish(new Map([[partition, records]]))
  return [...new Set(anomalies.map(({ kind }) => kind))]
}

const without = (offset: number): LogRecord[] => log.filter((record) => record.offset !== offset)
const withAt = (offset: number, record: Partial<LogRecord>): LogRecord[] =>
  log.map((each) => (each.offset === offset ? { ...each, ...record } : each))
const neverPolled = clean.filter(({ kind }) => kind !== 'polled')

describe('a checker of histories', () => {
  test('finds nothing where all is well', () => {
    expect(kindsOf(clean)).toEqual([])
  })

  test('finds nothing where a record that failed is in the log, or is not', () => {
    const failed: Observation = { kind: 'failed', producer: 'q', partition, sequence: 2, error: 'timed out' }
    const unknown = clean.filter((seen) => !(seen.kind === 'acknowledged' && seen.offset === 5))
    expect(kindsOf([...unknown, failed])).toEqual([])
    const unread = unknown.filter((seen) => !(seen.kind === 'polled' && seen.offset === 5))
    expect(kindsOf([...unread, failed], without(5))).toEqual([])
  })

  test.each([-1, -1001])('finds nothing where an offset was not told (%i)', (offset) => {
    const untold = clean.map((seen): Observation =>
      seen.kind === 'acknowledged' ? { ...seen, offset } : seen,
    )
    expect(kindsOf(untold)).toEqual([])
  })

  test('finds an acknowledged record that is lost', () => {
    expect(kindsOf(clean, without(5))).toContain('lost: acknowledged, and not in the log')
  })

  test('finds a record that is lost where another took its offset', () => {
    const kinds = kindsOf(clean, withAt(5, { producer: 'p', sequence: 3 }))
    expect(kinds).toContain('lost: acknowledged, and not in the log')
    expect(kinds).toContain('read and lost: polled, and not in the log at that offset')
  })

  test('finds all records of a partition without a log', () => {
    const checker = new HistoryChecker(groups)
    for (const seen of clean) checker.observe(seen)
    checker.finish(new Map())
    expect(checker.counts()['lost: acknowledged, and not in the log']).toBe(6)
  })

  test('finds a duplicate', () => {
    const twice = [...log, { offset: 6, producer: 'p', sequence: 2 }]
    expect(kindsOf(clean, twice)).toContain('duplicate: twice in the log')
    expect(kindsOf(clean, twice)).not.toContain('reordered: behind a later record of its producer')
  })

  test('finds records out of their order', () => {
    const swapped = withAt(2, { sequence: 2 }).map((each) =>
      each.offset === 3 ? { ...each, sequence: 1 } : each,
    )
    expect(kindsOf(clean, swapped)).toContain('reordered: behind a later record of its producer')
  })

  test('finds a record that nobody sent', () => {
    const phantom = 'phantom: in the log, and never sent'
    expect(kindsOf(clean, [...log, { offset: 6, producer: 'p', sequence: 3 }])).toContain(phantom)
    expect(kindsOf(clean, [...log, { offset: 6, producer: 'x', sequence: 0 }])).toContain(phantom)
  })

  test('finds a record that is elsewhere than acknowledged', () => {
    const moved = withAt(4, { producer: 'q', sequence: 2 }).map((each) =>
      each.offset === 5 ? { ...each, sequence: 1 } : each,
    )
    expect(kindsOf(neverPolled, moved)).toContain('misplaced: acknowledged at another offset')
  })

  test('finds an offset that the log lacks', () => {
    expect(kindsOf(clean, without(2))).toContain('offset gap: the log lacks an offset')
    expect(kindsOf(clean, without(0))).toContain('offset gap: the log lacks an offset')
  })

  test('finds polls that go back', () => {
    expect(kindsOf([...clean, polled('reader', log[2])])).toEqual(['poll went back'])
    expect(kindsOf([...clean, polled('reader', log[5])])).toEqual(['poll went back'])
  })

  test('finds polls that skip an offset, even where the log has all of them', () => {
    const skipping = clean.filter(
      (seen) => !(seen.kind === 'polled' && seen.consumer === 'reader' && seen.offset === 2),
    )
    expect(kindsOf(skipping)).toContain('poll skipped an offset')
    expect(kindsOf(skipping)).toContain('never read: no member of a group was given it')
  })

  test('finds two consumers that read different records at one offset', () => {
    const other = polled('member3', { offset: 5, producer: 'p', sequence: 2 })
    expect(kindsOf([...clean, other])).toEqual(['polls differ: another record at an offset read before'])
  })

  test('finds a record that was read and is not in the log', () => {
    const other = polled('reader', { offset: 6, producer: 'q', sequence: 3 })
    expect(kindsOf([...clean, other])).toEqual(['read and lost: polled, and not in the log at that offset'])
  })

  test('finds a committed offset that is lost', () => {
    const begun: Observation = { kind: 'positioned', consumer: 'member1', partition, offset: 2 }
    expect(kindsOf([...clean, begun])).toEqual(['committed offset lost: a group began before it'])
  })

  test('finds a record that no member of a group was given', () => {
    const ahead: Observation = { kind: 'positioned', consumer: 'member1', partition, offset: 6 }
    const late: LogRecord[] = [...log, { offset: 6, producer: 'q', sequence: 3 }]
    const more: Observation[] = [
      { kind: 'sending', producer: 'q', partition, upTo: 4 },
      polled('reader', late[6]),
    ]
    expect(kindsOf([...clean, ahead, ...more], late)).toEqual([
      'never read: no member of a group was given it',
    ])
  })

  test('tells a few of each kind, and counts all', () => {
    const checker = new HistoryChecker({})
    for (let sequence = 0; sequence < 1000; sequence++) {
      checker.observe({ kind: 'acknowledged', producer: 'p', partition, sequence, offset: sequence })
    }
    expect(checker.finish(new Map()).length).toBe(20)
    expect(checker.counts()).toEqual({ 'lost: acknowledged, and not in the log': 1000 })
  })
})
