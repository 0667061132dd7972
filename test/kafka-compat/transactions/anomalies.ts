/** What can be wrong with a history of transactions, and what looks wrong and is allowed. */
export const anomalyKinds = [
  'lost write: committed, and not in the log',
  'aborted read: of a transaction that has not committed (G1a)',
  'uncommitted read: polled before the commit was asked for (G1b)',
  'torn transaction: some of its records are committed, others are not',
  'zombie: committed after another instance was initialised',
  'duplicate: twice in the log',
  'phantom: in the log, and never sent',
  'inconsistent offset: acknowledged where another record or none lies',
  'send went back: behind a later record of its producer',
  'write order: before a record of a transaction that had ended before it was sent',
  'poll went back: within one poll',
  'poll went back: from one poll to the next',
  'poll skipped a committed record: within one poll',
  'poll skipped a committed record: from one poll to the next',
  'polls differ: another record at the same offset',
  'read and lost: polled, and not in the log',
  'never read: no member of a group was given a committed record',
  'processed twice: two committed records of a group are made of one',
  'never processed: a committed record of which none is made',
  'offset of no transaction: a group began at one that none has committed',
  'committed offset lost: a group began before it',
  'circular information flow: by reads and the order of a session alone (G1c)',
] as const

export type AnomalyKind = (typeof anomalyKinds)[number]

/** Transactions run side by side, and the protocol does not order what they write: README.md says more. */
export const allowedKinds = [
  'write cycle: each has a record behind the other (G0)',
  'circular information flow by way of a write cycle (G1c)',
  'send skip: another record lies between two of a transaction',
] as const

export type AllowedKind = (typeof allowedKinds)[number]

export interface Anomaly {
  kind: AnomalyKind
  detail: string
}

/** Of each kind so many are told in full; all are counted. */
const TOLD_PER_KIND = 20

export class AnomalyList {
  readonly told: Anomaly[] = []
  /** Of those that occurred. */
  readonly counts: Partial<Record<AnomalyKind, number>> = {}

  tell(kind: AnomalyKind, detail: string): void {
    const count = (this.counts[kind] ?? 0) + 1
    this.counts[kind] = count
    if (count <= TOLD_PER_KIND) this.told.push({ kind, detail })
  }
}
