/**
 * Judges a history of transactions by what Kafka promises: atomic, and each record of a group's input processed once. Takes
 * observations in any order between clients, in a client's own order for each of them; pure. `finish` is given the logs.
 */
import { AnomalyList, type AllowedKind, type Anomaly, type AnomalyKind } from './anomalies.ts'
import { checkDependencies } from './dependencies.ts'
import { GroupHistory } from './group-history.ts'
import type { Logs, Observation } from './history.ts'
import { checkLogs } from './log-checks.ts'
import { TransactionTable } from './transaction-table.ts'

export interface CheckerOptions {
  /** By group: the topics of which its members read everything. */
  groups: Readonly<Record<string, readonly string[]>>
  /** Groups among them that make one record of each that they read, in transactions with their offsets. */
  transforming: readonly string[]
}

export interface FinalLogs {
  /** Everything, in the order of the log. */
  all: Logs
  /** What a reader of committed transactions is given. */
  committed: Logs
}

export interface Verdict {
  anomalies: Anomaly[]
  anomalyCounts: Partial<Record<AnomalyKind, number>>
  /** Transactions, or records, of which each is told. */
  allowed: Record<AllowedKind, number>
}

export class TransactionChecker {
  readonly transactions = new TransactionTable()
  readonly #groups = new Map<string, GroupHistory>()
  readonly #found = new AnomalyList()
  readonly #transforming: ReadonlySet<string>
  polled = 0

  constructor({ groups, transforming }: CheckerOptions) {
    this.#transforming = new Set(transforming)
    for (const [name, topics] of Object.entries(groups)) {
      this.#groups.set(name, new GroupHistory(name, topics, this.#found))
    }
  }

  observe(seen: Observation): void {
    if (seen.kind === 'positioned' || seen.kind === 'polled') {
      if (seen.kind === 'polled') this.polled++
      this.#group(seen.consumer.split(':', 1)[0]).observe(seen)
      return
    }
    this.transactions.observe(seen)
  }

  /** How many offsets of a partition the members of a group were given. */
  countRead(group: string, partition: string): number {
    return this.#group(group).countRead(partition)
  }

  /** How far a group has come in a partition that it transforms, as far as its members know. */
  committedOffset(group: string, partition: string): number {
    return Math.max(
      this.transactions.committedOffset(group, partition),
      this.#group(group).begunAt(partition),
    )
  }

  /** Gives what was found from the beginning on. Call it once. */
  finish({ all, committed }: FinalLogs): Verdict {
    const { transactions } = this
    const sendSkips = checkLogs({ all, committed, transactions }, this.#found)
    for (const group of this.#groups.values()) {
      group.finish({ all, committed, transactions })
      if (this.#transforming.has(group.name)) group.checkProcessed(committed, transactions)
    }
    const cycles = checkDependencies(committed, transactions, this.#found)
    return {
      anomalies: this.#found.told,
      anomalyCounts: this.#found.counts,
      allowed: { ...cycles, 'send skip: another record lies between two of a transaction': sendSkips },
    }
  }

  #group(name: string): GroupHistory {
    const group = this.#groups.get(name)
    if (group === undefined) throw new Error(`a group that nobody told of: ${name}`)
    return group
  }
}
