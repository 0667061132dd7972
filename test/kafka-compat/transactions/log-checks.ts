/** The logs against what the producers did. Pure. */
import type { AnomalyList } from './anomalies.ts'
import type { FinalLogs } from './checker.ts'
import type { LogRecord } from './history.ts'
import { mayBeCommitted, type Transaction, type TransactionTable } from './transaction-table.ts'

export interface Judged extends FinalLogs {
  transactions: TransactionTable
}

/** Gives how many records of others lie between two records that a transaction sent to a partition one after the other. */
export function checkLogs(judged: Judged, found: AnomalyList): number {
  for (const [partition, records] of judged.all) checkPartition(partition, records, judged, found)
  checkAcknowledgedOffsets(judged, found)
  checkAtomicity(judged, found)
  for (const [partition, records] of judged.committed) {
    checkWriteOrder(partition, records, judged.transactions, found)
  }
  return [...judged.committed.values()].reduce((sum, records) => sum + countSendSkips(records), 0)
}

export function nameOf({ transaction, index }: Omit<LogRecord, 'offset'>): string {
  return `${transaction} ${index}`
}

export function at(partition: string, record: LogRecord): string {
  return `${nameOf(record)} at ${partition} ${record.offset}`
}

/** One partition: each record once, sent, and in its producer's order. */
function checkPartition(
  partition: string,
  records: readonly LogRecord[],
  { transactions }: Judged,
  found: AnomalyList,
): void {
  const present = new Set<string>()
  const last = new Map<string, { number: number; index: number; record: LogRecord }>()
  for (const record of records) {
    const detail = at(partition, record)
    if (transactions.writeOf(record)?.partition !== partition) {
      found.tell('phantom: in the log, and never sent', detail)
      continue
    }
    if (present.has(nameOf(record))) {
      found.tell('duplicate: twice in the log', detail)
      continue
    }
    present.add(nameOf(record))
    const { producer, life, number } = transactions.find(record.transaction)!
    const before = last.get(`${producer}/${life}`)
    const place = { number, index: record.index, record }
    const isBehind =
      before !== undefined &&
      (number < before.number || (number === before.number && record.index < before.index))
    if (isBehind) {
      found.tell(
        'send went back: behind a later record of its producer',
        `${detail}, behind ${at(partition, before.record)}`,
      )
    } else last.set(`${producer}/${life}`, place)
  }
}

function checkAcknowledgedOffsets({ all, transactions }: Judged, found: AnomalyList): void {
  const places = placesOf(all)
  for (const { name, writes } of transactions.all()) {
    for (const [index, { partition, offset }] of writes) {
      if (offset === null || offset < 0) continue
      const there = places.get(partition)?.get(offset)
      if (there === nameOf({ transaction: name, index })) continue
      const detail = `${at(partition, { transaction: name, index, offset })}, where ${there ?? 'nothing'} lies`
      found.tell('inconsistent offset: acknowledged where another record or none lies', detail)
    }
  }
}

export function placesOf(logs: FinalLogs['all']): Map<string, Map<number, string>> {
  return new Map(
    [...logs].map(([partition, records]) => [
      partition,
      new Map(records.map((record) => [record.offset, nameOf(record)])),
    ]),
  )
}

/** Each transaction: all of it or nothing, and which of both by what its producer was told. */
function checkAtomicity({ committed, transactions }: Judged, found: AnomalyList): void {
  const visible = new Map<string, Set<number>>()
  for (const records of committed.values()) {
    for (const { transaction, index } of records) {
      const indexes = visible.get(transaction) ?? new Set()
      visible.set(transaction, indexes.add(index))
    }
  }
  for (const transaction of transactions.all()) {
    const seen = visible.get(transaction.name) ?? new Set()
    const missing = [...transaction.writes.keys()].filter((index) => !seen.has(index))
    if (transaction.committedUs !== null) {
      for (const index of missing) {
        const { partition } = transaction.writes.get(index)!
        found.tell(
          'lost write: committed, and not in the log',
          `${transaction.name} ${index} of ${partition}`,
        )
      }
    }
    if (seen.size > 0 && missing.length > 0) {
      const detail = `${transaction.name}: ${[...seen].join(', ')} without ${missing.join(', ')}`
      found.tell('torn transaction: some of its records are committed, others are not', detail)
    }
    if (seen.size > 0 && !mayBeCommitted(transaction)) {
      found.tell(
        'aborted read: of a transaction that has not committed (G1a)',
        `${transaction.name} in the log`,
      )
    }
    checkFencing(transaction, seen.size > 0, transactions, found)
  }
}

function checkFencing(
  transaction: Transaction,
  isVisible: boolean,
  transactions: TransactionTable,
  found: AnomalyList,
): void {
  const { name, committingUs, committedUs } = transaction
  if (committingUs === null || (committedUs === null && !isVisible)) return
  const fencedUs = transactions.fencedUs(transaction)
  if (fencedUs === null || committingUs < fencedUs) return
  const detail = `${name} asked for its commit at ${committingUs}, fenced since ${fencedUs}`
  found.tell('zombie: committed after another instance was initialised', detail)
}

/** A record that is sent after a transaction has ended lies behind that transaction's. */
function checkWriteOrder(
  partition: string,
  records: readonly LogRecord[],
  transactions: TransactionTable,
  found: AnomalyList,
): void {
  let endedUs = Infinity
  let ended: LogRecord | null = null
  for (const record of records.toReversed()) {
    const write = transactions.writeOf(record)
    if (write === null) continue // a phantom
    if (write.writingUs > endedUs) {
      const detail = `${at(partition, record)}, before ${at(partition, ended!)}`
      found.tell('write order: before a record of a transaction that had ended before it was sent', detail)
    }
    const { committedUs } = transactions.find(record.transaction)!
    if (committedUs !== null && committedUs < endedUs) [endedUs, ended] = [committedUs, record]
  }
}

function countSendSkips(records: readonly LogRecord[]): number {
  let skips = 0
  const last = new Map<string, number>()
  for (const [place, { transaction }] of records.entries()) {
    const before = last.get(transaction)
    if (before !== undefined && before !== place - 1) skips++
    last.set(transaction, place)
  }
  return skips
}
