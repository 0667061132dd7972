/**
 * The producers of one partition: sequence and epoch checks, open transactions (KIP-98). Changed by `record` alone, so
 * that replaying the log gives the same state as appending did.
 */
import { ErrorCode } from '../protocol/error-codes.ts'
import { follows, ProducerEntry, type ProducedBatch, type ProducerBatch } from './producer-entry.ts'
import type { AbortedTransactionEntry } from './transaction-index.ts'
import { Verifications, type VerificationGuard } from './verifications.ts'

export interface EndMarker {
  readonly producerId: number
  readonly producerEpoch: number
  readonly coordinatorEpoch: number
  readonly isAbort: boolean
  readonly offset: number
  readonly timestampMs: number
}

export interface CompletedTransaction {
  readonly producerId: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly isAborted: boolean
}

export type ProducerVerdict =
  | { readonly verdict: 'accepted' }
  | { readonly verdict: 'duplicate'; readonly batch: ProducerBatch }
  /** A duplicate too, of a batch below that offset. */
  | { readonly verdict: 'left behind'; readonly belowOffset: number }
  | { readonly verdict: 'refused'; readonly error: number; readonly message: string }

/** Of transactions that have ended and are not replicated: beyond these they are taken together. */
const MAX_UNREPLICATED = 1000

/** No cluster has given out as many ids as this. */
const MAX_GIVEN_ID = 2 ** 48

const ACCEPTED: ProducerVerdict = { verdict: 'accepted' }

function refused(error: number, message: string): ProducerVerdict {
  return { verdict: 'refused', error, message }
}

export interface ProducerRules {
  /** Off for this broker's own coordinators. */
  readonly checksSequence: boolean
  /**
   * A transactional batch goes into a transaction that is open here, or comes with the guard that is held for its producer;
   * null: there is none. Left out: all are let in.
   */
  readonly guard?: VerificationGuard | null
}

export class ProducerState {
  readonly verifications = new Verifications()
  readonly #entries = new Map<number, ProducerEntry>()
  /** In the order of their first offsets. */
  readonly #inTransaction = new Set<ProducerEntry>()
  /** Ended by markers that may be above the high watermark: in order of these, looked through when somebody asks. */
  readonly #unreplicated: { firstOffset: number; lastOffset: number }[] = []

  get size(): number {
    return this.#entries.size
  }

  /**
   * -1 when there are none. Above MAX_GIVEN_ID is what a client made up (a broker takes any id in a batch): to go on from
   * there would leave no ids to give out.
   */
  get highestId(): number {
    let highest = -1
    for (const producerId of this.#entries.keys()) {
      if (producerId <= MAX_GIVEN_ID) highest = Math.max(highest, producerId)
    }
    return highest
  }

  entries(): Iterable<ProducerEntry> {
    return this.#entries.values()
  }

  get(producerId: number): ProducerEntry | undefined {
    return this.#entries.get(producerId)
  }

  /** In this epoch: a transaction of another one is another transaction, which has not ended here yet. */
  isInTransaction({ producerId, producerEpoch }: { producerId: number; producerEpoch: number }): boolean {
    const entry = this.#entries.get(producerId)
    return entry !== undefined && entry.transactionFirstOffset >= 0 && entry.epoch === producerEpoch
  }

  check(batch: ProducedBatch, { checksSequence, guard }: ProducerRules): ProducerVerdict {
    const { producerId, producerEpoch, firstSequence } = batch
    const entry = this.#entries.get(producerId)
    if (checksSequence) {
      const duplicate = entry?.duplicateOf(producerEpoch, firstSequence, batch.lastSequence)
      if (duplicate) return { verdict: 'duplicate', batch: duplicate }
    }
    const isOpen = entry !== undefined && entry.transactionFirstOffset >= 0
    if (
      batch.isTransactional &&
      !this.isInTransaction(batch) &&
      guard !== undefined &&
      !this.verifications.isHeld(producerId, guard)
    )
      return refused(ErrorCode.INVALID_TXN_STATE, 'Record was not part of an ongoing transaction')
    if (entry !== undefined && producerEpoch < entry.epoch)
      return refused(ErrorCode.INVALID_PRODUCER_EPOCH, staleEpoch(batch, entry))
    if (checksSequence && entry?.hasLeftBehind(producerEpoch, firstSequence, batch.lastSequence))
      return { verdict: 'left behind', belowOffset: entry.firstOffsetKept }
    const fault = checksSequence ? this.#sequenceFault(batch, entry) : null
    if (fault !== null) return refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, fault)
    if (isOpen && !batch.isTransactional) {
      return refused(
        ErrorCode.INVALID_TXN_STATE,
        `Expected a transactional write from producer ${producerId}: its transaction is open`,
      )
    }
    return ACCEPTED
  }

  #sequenceFault(batch: ProducedBatch, entry: ProducerEntry | undefined): string | null {
    const { producerId, producerEpoch, firstSequence } = batch
    const isWrong = `Out of order sequence number for producer ${producerId}: ${firstSequence} (epoch ${producerEpoch})`
    const lowest = this.verifications.lowestSequenceOf(producerId)
    // So that the first of its records is never taken for a later one (KIP-890).
    const mustBegin = entry === undefined && this.verifications.isBumping(producerId)
    if (mustBegin && firstSequence !== 0) return `${isWrong}, where nothing is known of the producer`
    if (firstSequence > lowest) return `${isWrong}, while ${lowest} has not been appended yet`
    if (entry === undefined || sequenceIsRight(batch, entry)) return null
    return `${isWrong} after ${entry.lastSequence} (epoch ${entry.epoch})`
  }

  checkMarker(marker: EndMarker): ProducerVerdict {
    const entry = this.#entries.get(marker.producerId)
    if (entry === undefined) return ACCEPTED
    if (marker.producerEpoch < entry.epoch) {
      return refused(ErrorCode.INVALID_PRODUCER_EPOCH, staleEpoch(marker, entry))
    }
    if (marker.coordinatorEpoch < entry.coordinatorEpoch) {
      return refused(
        ErrorCode.TRANSACTION_COORDINATOR_FENCED,
        `Coordinator epoch ${marker.coordinatorEpoch} is older than ${entry.coordinatorEpoch}`,
      )
    }
    return ACCEPTED
  }

  record(batch: ProducedBatch): void {
    const entry = this.#entryOf(batch.producerId)
    entry.add(batch)
    if (!batch.isTransactional) return
    this.#inTransaction.add(entry)
    this.verifications.end(batch.producerId)
  }

  /** null when the marker ended an empty transaction. */
  recordMarker(marker: EndMarker): CompletedTransaction | null {
    const entry = this.#entryOf(marker.producerId)
    const firstOffset = entry.transactionFirstOffset
    entry.endTransaction(marker)
    this.#inTransaction.delete(entry)
    this.verifications.endByMarker(marker.producerId, marker.producerEpoch)
    if (firstOffset < 0) return null
    const { producerId, offset, isAbort } = marker
    this.#noteUnreplicated(firstOffset, offset)
    return { producerId, firstOffset, lastOffset: offset, isAborted: isAbort }
  }

  #noteUnreplicated(firstOffset: number, lastOffset: number): void {
    const last = this.#unreplicated.at(-1)
    if (last === undefined || this.#unreplicated.length < MAX_UNREPLICATED) {
      this.#unreplicated.push({ firstOffset, lastOffset })
      return
    }
    last.firstOffset = Math.min(last.firstOffset, firstOffset)
    last.lastOffset = lastOffset
  }

  #entryOf(producerId: number): ProducerEntry {
    let entry = this.#entries.get(producerId)
    if (entry === undefined) {
      entry = new ProducerEntry(producerId)
      this.#entries.set(producerId, entry)
    }
    return entry
  }

  /** First offset of the oldest open transaction; -1 when none is open. */
  firstOpenTransactionOffset(): number {
    for (const { transactionFirstOffset } of this.#inTransaction) return transactionFirstOffset
    return -1
  }

  /**
   * First offset of the oldest transaction of which it is not settled how it ends: it is open, or its marker is not below the
   * high watermark yet. -1 when there is none.
   */
  firstUnstableOffset(highWatermark: number): number {
    let replicated = 0
    while (this.#unreplicated[replicated]?.lastOffset < highWatermark) replicated++
    if (replicated > 0) this.#unreplicated.splice(0, replicated)
    let first = this.firstOpenTransactionOffset()
    for (const { firstOffset } of this.#unreplicated)
      if (first < 0 || firstOffset < first) first = firstOffset
    return first
  }

  /** Of a transaction that was just aborted, as the transaction index names it. */
  abortedEntryOf({ producerId, firstOffset, lastOffset }: CompletedTransaction): AbortedTransactionEntry {
    const open = this.firstOpenTransactionOffset()
    return { producerId, firstOffset, lastOffset, lastStableOffset: open < 0 ? lastOffset + 1 : open }
  }

  /** Replaces everything by what a snapshot held. */
  restore(entries: readonly ProducerEntry[], nowMs: number, expirationMs: number): void {
    this.clear()
    for (const entry of entries) this.#entries.set(entry.producerId, entry)
    const open = entries.filter(({ transactionFirstOffset }) => transactionFirstOffset >= 0)
    open.sort((a, b) => a.transactionFirstOffset - b.transactionFirstOffset)
    for (const entry of open) this.#inTransaction.add(entry)
    this.expire(nowMs, expirationMs)
  }

  clear(): void {
    this.#entries.clear()
    this.#inTransaction.clear()
    this.#unreplicated.length = 0
    this.verifications.clear()
  }

  /** Forgets producers that were idle for too long and have no open transaction. */
  expire(nowMs: number, expirationMs: number): void {
    for (const entry of this.#entries.values()) {
      const idle = nowMs - entry.lastTimestampMs >= expirationMs
      if (idle && entry.transactionFirstOffset < 0) this.#entries.delete(entry.producerId)
    }
    this.verifications.expire(nowMs, expirationMs)
  }
}

function staleEpoch(batch: { producerId: number; producerEpoch: number }, entry: ProducerEntry): string {
  return `Epoch ${batch.producerEpoch} of producer ${batch.producerId} is smaller than the last seen epoch ${entry.epoch}`
}

function sequenceIsRight(batch: ProducedBatch, entry: ProducerEntry): boolean {
  if (entry.epoch === -1) return true
  if (batch.producerEpoch !== entry.epoch) return batch.firstSequence === 0
  return follows(entry.lastSequence, batch.firstSequence)
}
