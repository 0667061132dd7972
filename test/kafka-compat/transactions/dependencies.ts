/** The dependency graph of a history, and which of its cycles the protocol allows. Pure. */
import type { AllowedKind, AnomalyList } from './anomalies.ts'
import { DependencyGraph, type EdgeKind } from './dependency-graph.ts'
import type { Logs } from './history.ts'
import { mayBeCommitted, type TransactionTable } from './transaction-table.ts'

type CycleKind = Exclude<AllowedKind, `send skip${string}`>

/**
 * Gives how many transactions are in cycles that are allowed. A read comes after the commit of what is read, and a session's
 * next transaction after the commit of the one before: edges of these two kinds follow the order of the commits, and have no
 * cycle. Records of open transactions lie in each partition in the order of their arrival: ww edges have cycles.
 */
export function checkDependencies(
  committed: Logs,
  transactions: TransactionTable,
  found: AnomalyList,
): Record<CycleKind, number> {
  const graph = graphOf(committed, transactions)
  for (const cycle of graph.cycles(['wr', 'session'])) {
    const kind = 'circular information flow: by reads and the order of a session alone (G1c)'
    found.tell(kind, cycle.slice(0, 10).join(', '))
  }
  const inCycles = (kinds: readonly EdgeKind[]): Set<string> => new Set(graph.cycles(kinds).flat())
  const byWrites = inCycles(['ww'])
  const byBoth = inCycles(['ww', 'wr'])
  return {
    'write cycle: each has a record behind the other (G0)': byWrites.size,
    'circular information flow by way of a write cycle (G1c)': [...byBoth].filter(
      (name) => !byWrites.has(name),
    ).length,
  }
}

function graphOf(committed: Logs, transactions: TransactionTable): DependencyGraph {
  const graph = new DependencyGraph()
  const writers = new Map<string, string>()
  for (const [partition, log] of committed) {
    for (const [i, { offset, transaction }] of log.entries()) {
      writers.set(`${partition} ${offset}`, transaction)
      if (i > 0) graph.add('ww', log[i - 1].transaction, transaction)
    }
  }
  const sessions = new Map<string, { name: string; number: number }[]>()
  for (const transaction of transactions.all()) {
    if (!mayBeCommitted(transaction)) continue
    const { name, producer, life, number, writes } = transaction
    const session = sessions.get(`${producer}/${life}`) ?? []
    sessions.set(`${producer}/${life}`, session)
    session.push({ name, number })
    for (const { source } of writes.values()) {
      const from = source === null ? undefined : writers.get(`${source.partition} ${source.offset}`)
      if (from !== undefined) graph.add('wr', from, name)
    }
  }
  for (const session of sessions.values()) {
    session.sort((a, b) => a.number - b.number)
    for (const [i, { name }] of session.entries()) {
      if (i > 0) graph.add('session', session[i - 1].name, name)
    }
  }
  return graph
}
