/** The checker itself: each anomaly, in a made-up history, is found, and a clean history has none. */
import { describe, expect, test } from 'vitest'
import { anomalyKinds, type AnomalyKind } from './anomalies.ts'
import { TransactionChecker, type Verdict } from './checker.ts'
import { parseObservation, type LogRecord } from './history.ts'

/**
 * Two writers to two partitions of `in`, one of whose transactions is aborted, and a group of two that makes records of
 * `out` of what they have committed. Offsets left out are markers.
 */
const clean = [
  'i 10 a 1',
  'i 11 b 1',
  'w 20 a/1/1 0 in-0',
  'w 21 a/1/1 1 in-1',
  's 24 a/1/1 0 in-0 0',
  's 25 a/1/1 1 in-1 0',
  'c 26 a/1/1',
  'C 30 a/1/1',
  'w 31 b/1/1 0 in-0',
  's 32 b/1/1 0 in-0 2',
  'A 33 b/1/1',
  'w 34 a/1/2 0 in-0',
  'w 35 b/1/2 0 in-0',
  'w 36 a/1/2 1 in-0',
  's 37 a/1/2 0 in-0 4',
  's 38 b/1/2 0 in-0 5',
  's 39 a/1/2 1 in-0 6',
  'c 40 a/1/2',
  'c 41 b/1/2',
  'C 50 a/1/2',
  'C 51 b/1/2',
  'i 60 x 1',
  'p 61 g:m1 in-0 0',
  'p 62 g:m1 in-1 0',
  'r 63 g:m1 1 in-0 0 a/1/1 0',
  'r 63 g:m1 1 in-1 0 a/1/1 1',
  'w 64 x/1/1 0 out-0 g in-0 0',
  'w 64 x/1/1 1 out-0 g in-1 0',
  'o 65 x/1/1 g in-0 1',
  'o 65 x/1/1 g in-1 1',
  's 66 x/1/1 0 out-0 0',
  's 66 x/1/1 1 out-0 1',
  'c 67 x/1/1',
  'C 68 x/1/1',
  'r 70 g:m1 2 in-0 4 a/1/2 0',
  'i 71 x 2',
  'p 72 g:m2 in-0 1',
  'p 72 g:m2 in-1 1',
  'r 73 g:m2 1 in-0 4 a/1/2 0',
  'r 73 g:m2 1 in-0 5 b/1/2 0',
  'r 75 g:m2 2 in-0 6 a/1/2 1',
  'w 80 x/2/1 0 out-0 g in-0 4',
  'w 80 x/2/1 1 out-0 g in-0 5',
  'w 80 x/2/1 2 out-0 g in-0 6',
  'o 81 x/2/1 g in-0 7',
  'c 82 x/2/1',
  'C 83 x/2/1',
]

type Records = Record<string, string[]>
const log: Records = {
  'in-0': ['0 a/1/1 0', '2 b/1/1 0', '4 a/1/2 0', '5 b/1/2 0', '6 a/1/2 1'],
  'in-1': ['0 a/1/1 1'],
  'out-0': ['0 x/1/1 0', '1 x/1/1 1', '3 x/2/1 0', '4 x/2/1 1', '5 x/2/1 2'],
}

interface Case {
  history?: string[]
  all?: Records
  /** Lines of the log that a reader of committed transactions is not given; by default those of `b/1/1`. */
  hidden?: string[]
}

function check({ history = clean, all = log, hidden = ['2 b/1/1 0'] }: Case): Verdict {
  const checker = new TransactionChecker({ groups: { g: ['in'] }, transforming: ['g'] })
  for (const line of history) checker.observe(parseObservation(line))
  const logs = (isLeft: (line: string) => boolean): Map<string, LogRecord[]> =>
    new Map(
      Object.entries(all).map(([partition, lines]) => [partition, lines.filter(isLeft).map(parseRecord)]),
    )
  return checker.finish({ all: logs(() => true), committed: logs((line) => !hidden.includes(line)) })
}

function parseRecord(line: string): LogRecord {
  const [offset, transaction, index] = line.split(' ')
  return { offset: Number(offset), transaction, index: Number(index) }
}

const without = (lines: readonly string[], ...gone: string[]): string[] => {
  for (const line of gone) expect(lines).toContain(line)
  return lines.filter((line) => !gone.includes(line))
}
const instead = (lines: readonly string[], line: string, ...others: string[]): string[] => {
  expect(lines).toContain(line)
  return lines.flatMap((each) => (each === line ? others : [each]))
}
const logWith = (partition: string, change: (lines: string[]) => string[]): Records => ({
  ...log,
  [partition]: change(log[partition]),
})

const more = (...lines: string[]): string[] => [...clean, ...lines]

/** What is found, and in which history; each differs from the clean one by little. */
const cases: [found: AnomalyKind[], what: string, given: Case][] = [
  [
    [
      'lost write: committed, and not in the log',
      'inconsistent offset: acknowledged where another record or none lies',
    ],
    'a transaction of one record is not in the log',
    { history: more('w 90 a/1/3 0 in-1', 's 91 a/1/3 0 in-1 2', 'c 92 a/1/3', 'C 93 a/1/3') },
  ],
  [
    ['aborted read: of a transaction that has not committed (G1a)'],
    'a reader is given a record of an aborted transaction',
    { history: more('p 74 g:m3 in-0 1', 'r 90 g:m3 1 in-0 2 b/1/1 0') },
  ],
  [
    [
      'aborted read: of a transaction that has not committed (G1a)',
      'never read: no member of a group was given a committed record',
      'never processed: a committed record of which none is made',
      'poll skipped a committed record: from one poll to the next',
    ],
    'a record of an aborted transaction is committed',
    { hidden: [] },
  ],
  [
    ['uncommitted read: polled before the commit was asked for (G1b)'],
    'a record is polled while its transaction is open',
    { history: instead(clean, 'c 82 x/2/1', 'r 81 g:m3 1 out-0 3 x/2/1 0', 'c 82 x/2/1') },
  ],
  [
    [
      'lost write: committed, and not in the log',
      'torn transaction: some of its records are committed, others are not',
      'never processed: a committed record of which none is made',
    ],
    'one of two records of a committed transaction is gone',
    { hidden: ['2 b/1/1 0', '1 x/1/1 1'] },
  ],
  [
    ['torn transaction: some of its records are committed, others are not'],
    'one of two records of a transaction whose end nobody knows is gone',
    {
      history: more('w 90 a/1/3 0 out-0', 'w 90 a/1/3 1 out-0', 'c 91 a/1/3'),
      all: logWith('out-0', (lines) => [...lines, '7 a/1/3 0']),
    },
  ],
  [
    ['zombie: committed after another instance was initialised'],
    'an instance commits after its successor was initialised',
    { history: instead(clean, 'i 71 x 2', 'i 66 x 2') },
  ],
  [
    ['duplicate: twice in the log'],
    'a record of an aborted transaction lies there twice',
    {
      all: logWith('in-0', (lines) => instead(lines, '2 b/1/1 0', '2 b/1/1 0', '3 b/1/1 0')),
      hidden: ['2 b/1/1 0', '3 b/1/1 0'],
    },
  ],
  [
    ['phantom: in the log, and never sent'],
    'a record that nobody has sent, hidden from readers',
    { all: logWith('in-1', (lines) => [...lines, '2 z/1/1 0']), hidden: ['2 b/1/1 0', '2 z/1/1 0'] },
  ],
  [
    ['inconsistent offset: acknowledged where another record or none lies'],
    'a record is acknowledged at another offset',
    { history: instead(clean, 's 66 x/1/1 0 out-0 0', 's 66 x/1/1 0 out-0 1') },
  ],
  [
    ['send went back: behind a later record of its producer'],
    'two records of a transaction lie the wrong way round',
    {
      history: without(clean, 's 66 x/1/1 0 out-0 0', 's 66 x/1/1 1 out-0 1'),
      all: logWith('out-0', (lines) => ['0 x/1/1 1', '1 x/1/1 0', ...lines.slice(2)]),
    },
  ],
  [
    ['write order: before a record of a transaction that had ended before it was sent'],
    'a transaction that begins after the end of another lies before it',
    {
      history: more('i 90 y 1', 'w 91 y/1/1 0 out-0', 'c 92 y/1/1', 'C 93 y/1/1'),
      all: logWith('out-0', (lines) => instead(lines, '3 x/2/1 0', '2 y/1/1 0', '3 x/2/1 0')),
    },
  ],
  [
    ['poll went back: within one poll'],
    'a poll gives an offset before another one of it',
    { history: more('r 90 g:m2 2 in-0 5 b/1/2 0') },
  ],
  [
    ['poll went back: from one poll to the next'],
    'a poll gives an offset before those of the last',
    { history: more('r 90 g:m2 3 in-0 5 b/1/2 0') },
  ],
  [
    ['poll skipped a committed record: within one poll'],
    'a record is left out by a poll, which another member was given',
    { history: more('p 74 g:m3 in-0 1', 'r 91 g:m3 1 in-0 4 a/1/2 0', 'r 91 g:m3 1 in-0 6 a/1/2 1') },
  ],
  [
    ['poll skipped a committed record: from one poll to the next'],
    'a record is left out between two polls',
    { history: more('p 74 g:m3 in-0 1', 'r 91 g:m3 1 in-0 4 a/1/2 0', 'r 91 g:m3 2 in-0 6 a/1/2 1') },
  ],
  [
    ['polls differ: another record at the same offset', 'read and lost: polled, and not in the log'],
    'two members are given different records at an offset',
    { history: instead(clean, 'r 70 g:m1 2 in-0 4 a/1/2 0', 'r 70 g:m1 2 in-0 4 a/1/2 1') },
  ],
  [
    ['read and lost: polled, and not in the log'],
    'a record that was read lies elsewhere in the end',
    { history: more('r 90 g:m3 1 out-0 6 x/2/1 2') },
  ],
  [
    ['never read: no member of a group was given a committed record'],
    'a group is not given a record',
    { history: without(clean, 'r 75 g:m2 2 in-0 6 a/1/2 1') },
  ],
  [
    ['processed twice: two committed records of a group are made of one'],
    'two records are made of one',
    {
      history: more('w 90 x/2/2 0 out-0 g in-0 6', 'c 91 x/2/2', 'C 92 x/2/2'),
      all: logWith('out-0', (lines) => [...lines, '7 x/2/2 0']),
    },
  ],
  [
    ['never processed: a committed record of which none is made'],
    'none is made of a record',
    {
      history: without(clean, 'w 80 x/2/1 2 out-0 g in-0 6'),
      all: logWith('out-0', (lines) => without(lines, '5 x/2/1 2')),
    },
  ],
  [
    ['offset of no transaction: a group began at one that none has committed'],
    'a member begins where no transaction has left the group',
    { history: more('p 90 g:m3 in-1 2') },
  ],
  [
    ['offset of no transaction: a group began at one that none has committed'],
    'a member begins at the offset of a transaction that was aborted',
    {
      history: more('w 84 x/2/2 0 out-0', 'o 85 x/2/2 g in-1 2', 'A 86 x/2/2', 'p 90 g:m3 in-1 2'),
      all: logWith('out-0', (lines) => [...lines, '7 x/2/2 0']),
      hidden: ['2 b/1/1 0', '7 x/2/2 0'],
    },
  ],
  [
    ['committed offset lost: a group began before it'],
    'a member begins before what was committed before it asked',
    { history: more('p 90 g:m3 in-0 1') },
  ],
  [
    ['committed offset lost: a group began before it'],
    'a member begins at the start again',
    { history: more('p 90 g:m3 in-1 0') },
  ],
  [
    ['circular information flow: by reads and the order of a session alone (G1c)'],
    'two transactions are made of each other',
    {
      history: more(
        'w 90 y/1/1 0 out-0 h out-1 0',
        'w 90 z/1/1 0 out-1 h out-0 7',
        'c 91 y/1/1',
        'c 91 z/1/1',
      ),
      all: { ...logWith('out-0', (lines) => [...lines, '7 y/1/1 0']), 'out-1': ['0 z/1/1 0'] },
    },
  ],
]

describe('the checker', () => {
  test('finds nothing in a clean history, whatever the order of its clients', () => {
    expect(check({})).toMatchObject({ anomalies: [], anomalyCounts: {} })
    const consumer = (line: string): boolean => /^[pr]/.test(line)
    const consumersFirst = clean.toSorted((a, b) => Number(consumer(b)) - Number(consumer(a)))
    expect(check({ history: consumersFirst }).anomalies).toEqual([])
  })

  test.each(cases)('finds %j: %s', (found, _, given) => {
    const kinds = [...new Set(check(given).anomalies.map(({ kind }) => kind))]
    expect(kinds.toSorted()).toEqual(found.toSorted())
  })

  test('has a history for every anomaly that it knows', () => {
    const shown = new Set(cases.flatMap(([found]) => found))
    expect([...shown].toSorted()).toEqual(anomalyKinds.toSorted())
  })

  test('of two instances that are initialised at the same time, either may fence the other', () => {
    const asked = 'i 66 x 2 60'
    expect(check({ history: instead(clean, 'i 71 x 2', asked) }).anomalyCounts).toEqual({})
  })

  test('a commit whose end nobody knows is no anomaly, in the log or not', () => {
    const asked = more('w 90 a/1/3 0 out-0', 'w 90 a/1/3 1 out-0', 'c 91 a/1/3')
    expect(check({ history: asked }).anomalies).toEqual([])
    const all = logWith('out-0', (lines) => [...lines, '7 a/1/3 0', '8 a/1/3 1'])
    expect(check({ history: asked, all }).anomalies).toEqual([])
  })

  test('counts what the protocol allows: writes of open transactions that lie between each other', () => {
    const { allowed } = check({})
    // a/1/2 has a record on each side of b/1/2's.
    expect(allowed['write cycle: each has a record behind the other (G0)']).toBe(2)
    expect(allowed['circular information flow by way of a write cycle (G1c)']).toBe(0)
    expect(allowed['send skip: another record lies between two of a transaction']).toBe(1)
  })

  test('counts what the protocol allows: an open transaction reads of one that has written behind it', () => {
    const history = more(
      'w 90 y/1/1 0 out-0',
      'w 91 z/1/1 0 out-0',
      'w 91 z/1/1 1 out-1',
      'c 92 z/1/1',
      'C 93 z/1/1',
      'w 94 y/1/1 1 out-2 h out-1 0',
      'c 95 y/1/1',
      'C 96 y/1/1',
    )
    const all = {
      ...logWith('out-0', (lines) => [...lines, '7 y/1/1 0', '8 z/1/1 0']),
      'out-1': ['0 z/1/1 1'],
      'out-2': ['0 y/1/1 1'],
    }
    const { anomalies, allowed } = check({ history, all })
    expect(anomalies).toEqual([])
    expect(allowed['circular information flow by way of a write cycle (G1c)']).toBe(2)
    expect(allowed['write cycle: each has a record behind the other (G0)']).toBe(2)
  })

  test('a client that says something else is noticed', () => {
    expect(() => parseObservation('x 1 2')).toThrow('a client said: x 1 2')
  })
})
