/** What a long run says of itself: sums over its rounds, and over runs that go on where another ended. */
import type { RoundResult } from './round.ts'

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

export function figuresOf(rounds: readonly RoundResult[], elapsedMs: number) {
  return {
    runs: 1,
    minutes: Math.round(elapsedMs / 60_000),
    rounds: rounds.length,
    faults: sum(rounds.map(({ faultCount }) => faultCount)),
    inPairs: sum(rounds.map(({ faults }) => faults.inPairs)),
    withProgress: sum(rounds.map(({ faults }) => faults.withProgress)),
    acknowledged: sum(rounds.flatMap(({ acknowledged }) => Object.values(acknowledged))),
    givenUpByClients: sum(rounds.map(({ failed }) => failed)),
    polled: sum(rounds.map(({ polled }) => polled)),
    committed: sum(rounds.map(({ committed }) => committed)),
    differentReplicas: sum(rounds.map(({ differences }) => differences.length)),
    replicasCompared: 3 * sum(rounds.map(({ partitionsCompared }) => partitionsCompared)),
    endsOfTheirOwn: sum(rounds.map(({ faults }) => faults.unexpectedEnds.length)),
    longestGapMs: Math.max(...rounds.map(({ longestGapMs }) => longestGapMs)),
    anomalies: added(rounds.map(({ anomalyCounts }) => anomalyCounts)),
    happened: added(rounds.map(({ faults }) => faults.happened)),
  }
}

export type Figures = ReturnType<typeof figuresOf> & {
  readonly command: string
  readonly seed: string
  readonly kinds: string
  readonly machine: string
}

/** Of two runs: the sum of everything that counts. */
export function together(before: Figures, after: Figures): Figures {
  const summed = Object.entries(after).map(([name, value]) => {
    return [name, typeof value === 'number' ? value + Number(before[name as keyof Figures]) : value]
  })
  return {
    ...(Object.fromEntries(summed) as Figures),
    command: `${before.command}; ${after.command}`,
    seed: `${before.seed}, ${after.seed}`,
    longestGapMs: Math.max(before.longestGapMs, after.longestGapMs),
    anomalies: added([before.anomalies, after.anomalies]),
    happened: added([before.happened, after.happened]),
  }
}

function added(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const all: Record<string, number> = {}
  for (const each of counts)
    for (const [name, times] of Object.entries(each)) all[name] = (all[name] ?? 0) + times
  return all
}
