/** What the long runs have found, in the README. */
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { generatedSection } from './generated-section.ts'

interface Run {
  readonly minutes: number
  readonly faults: number
  readonly anomalies: Record<string, number>
}
interface FaultsRun extends Run {
  readonly runs: number
  readonly inPairs: number
  readonly acknowledged: number
  readonly polled: number
  readonly replicasCompared: number
  readonly differentReplicas: number
}
interface TransactionsRun extends Run {
  readonly transactions: number
  readonly committed: number
  readonly aborted: number
  readonly polled: number
}
interface GroupsRun extends Omit<Run, 'faults'> {
  readonly members: number
  readonly crashed: number
  readonly polled: number
  readonly groups: readonly { readonly size: number; readonly kind: string }[]
}

function read<T extends Pick<Run, 'anomalies'>>(name: string): T | null {
  const path = `bench/results/${name}.json`
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as T) : null
}

const count = (number: number): string => number.toLocaleString('en-US')

function found({ anomalies }: Pick<Run, 'anomalies'>): string {
  const kinds = Object.entries(anomalies).filter(([, times]) => times > 0)
  return kinds.length === 0 ? 'no anomaly' : kinds.map(([kind, times]) => `${kind}: ${times}`).join('; ')
}

function lines(): string[] {
  const [faults, transactions] = [read<FaultsRun>('faults'), read<TransactionsRun>('transactions-checked')]
  const text: string[] = []
  if (faults !== null) {
    text.push(
      `- [A cluster under faults](bench/results/faults.md), ${faults.minutes} minutes${faults.runs > 1 ? ` in ${faults.runs} runs` : ''}, three families of clients: ${count(faults.faults)} faults, ` +
        `${count(faults.inPairs)} of them in pairs; ${count(faults.acknowledged)} records acknowledged, ${count(faults.polled)} polled: ${found(faults)}; ` +
        `${count(faults.replicasCompared)} replicas compared byte by byte, ${count(faults.differentReplicas)} differed.`,
    )
  }
  if (transactions !== null) {
    text.push(
      `- [Transactions under faults](bench/results/transactions-checked.md), ${transactions.minutes} minutes: ${count(transactions.transactions)} transactions, ` +
        `${count(transactions.committed)} committed, ${count(transactions.aborted)} aborted, clients and brokers killed, frozen and replaced ${count(transactions.faults)} times; ` +
        `${count(transactions.polled)} records polled: ${found(transactions)}.`,
    )
  }
  const groups = read<GroupsRun>('groups-churned')
  if (groups !== null) {
    const sizes = [...new Set(groups.groups.map(({ size }) => size))].sort((one, other) => one - other)
    const kinds = new Set(groups.groups.map(({ kind }) => kind))
    text.push(
      `- [Groups under churn](bench/results/groups-churned.md), ${groups.minutes} minutes: groups of ${sizes.slice(0, -1).join(', ')} and ${sizes.at(-1)} in ${kinds.size} kinds ` +
        `(protocols, assignors, clients), ${count(groups.members)} members started, ${count(groups.crashed)} of them crashed, brokers killed and restarted; ` +
        `${count(groups.polled)} records polled: ${found(groups)}.`,
    )
  }
  return text
}

test("README's trials are those of bench/results (npm run docs)", () => {
  const content = lines()
    .map((line) => `${line}\n`)
    .join('')
  expect(generatedSection('README.md', 'trials', content)).toBe(content)
})
