import { expect, test } from 'vitest'
import { figuresOf, together } from './long-figures.ts'
import type { RoundResult } from './round.ts'

const round = (change: Partial<RoundResult>): RoundResult => ({
  anomalies: [],
  anomalyCounts: {},
  differences: [],
  partitionsCompared: 7,
  acknowledged: { java: 10, rdkafka: 20, kafkajs: 30 },
  failed: 0,
  polled: 180,
  committed: 5,
  recordsInLog: 60,
  faults: {
    happened: { cut: 2, kill: 1 },
    inPairs: 2,
    withoutEffect: 0,
    withProgress: 3,
    unexpectedEnds: [],
  },
  faultCount: 3,
  longestGapMs: 400,
  elapsedMs: 600_000,
  diary: [],
  ...change,
})
const run = (rounds: RoundResult[], seed: string) => ({
  ...figuresOf(rounds, rounds.length * 600_000),
  command: `run ${seed}`,
  seed,
  kinds: 'odradek',
  machine: 'here',
})

test('what a run has found is the sum of its rounds', () => {
  const bad = round({ anomalyCounts: { lost: 1 }, differences: ['0: differs'], failed: 2, longestGapMs: 900 })
  expect(run([round({}), bad], '1')).toMatchObject({
    runs: 1,
    minutes: 20,
    rounds: 2,
    faults: 6,
    acknowledged: 120,
    givenUpByClients: 2,
    differentReplicas: 1,
    replicasCompared: 42,
    longestGapMs: 900,
    anomalies: { lost: 1 },
    happened: { cut: 4, kill: 2 },
  })
})

test('a run that goes on adds to what was found, and hides nothing of it', () => {
  const before = run([round({ anomalyCounts: { lost: 1 }, longestGapMs: 900 })], '1')
  const after = run([round({ anomalyCounts: { lost: 2, twice: 1 } }), round({})], '2')
  expect(together(before, after)).toMatchObject({
    command: 'run 1; run 2',
    seed: '1, 2',
    runs: 2,
    minutes: 30,
    rounds: 3,
    faults: 9,
    longestGapMs: 900,
    anomalies: { lost: 3, twice: 1 },
    happened: { cut: 6, kill: 3 },
  })
})
