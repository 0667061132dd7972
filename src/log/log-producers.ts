/** The producers of one log: loaded when they are first needed, asked before an append, told after it. */
import { DiskError } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import * as batch from '../protocol/record-batch.ts'
import { ErrorCode } from '../protocol/error-codes.ts'
import { fault } from './append-validation.ts'
import type { LastRecord } from './cleaner/cleanable-log.ts'
import { endMarkerAt, producedBatchAt, recordProducer } from './produced-batch.ts'
import { replayProducers } from './producer-replay.ts'
import type { ProducerSnapshots } from './producer-snapshots.ts'
import type { ProducerEntry } from './producer-entry.ts'
import { ProducerState, type ProducerRules, type ProducerVerdict } from './producer-state.ts'
import type { Segment } from './segment.ts'
import { rebuildTransactions } from './transaction-check.ts'
import type { AppendOutcome } from './types.ts'
import type { FirstAppend, VerificationGuard } from './verifications.ts'

export interface ProducerHost {
  readonly logger: Logger
  readonly producerIdExpirationMs: number
  nowMs(): number
}

/** What a replay reads. */
export interface LogExtent {
  /** Oldest first. */
  readonly segments: readonly Segment[]
  readonly logStartOffset: number
  readonly logEndOffset: number
}

export interface LogProducersParts {
  readonly host: ProducerHost
  readonly directory: string
  readonly snapshots: ProducerSnapshots
  readonly producers: ProducerState
  /** `producers` holds the state at the log end. */
  readonly isLoaded: boolean
  extent(): LogExtent
}

function duplicate(firstOffset: number, lastOffset: number, logAppendTimeMs: number): AppendOutcome {
  return {
    error: ErrorCode.NONE,
    firstOffset,
    lastOffset,
    logAppendTimeMs,
    duplicate: true,
    convertedRecords: 0,
  }
}

export class LogProducers {
  readonly #parts: LogProducersParts
  readonly #snapshots: ProducerSnapshots
  readonly #producers: ProducerState
  #isLoaded: boolean

  constructor(parts: LogProducersParts) {
    this.#parts = parts
    this.#snapshots = parts.snapshots
    this.#producers = parts.producers
    this.#isLoaded = parts.isLoaded
  }

  /** Throws DiskError; then they are read again when they are needed next. */
  state(): ProducerState {
    if (!this.#isLoaded) this.#reload()
    return this.#producers
  }

  #reload(): void {
    this.#isLoaded = false
    const { segments, logStartOffset, logEndOffset } = this.#parts.extent()
    const { host } = this.#parts
    replayProducers({
      segments,
      offset: logEndOffset,
      logStartOffset,
      snapshots: this.#snapshots,
      producers: this.#producers,
      nowMs: host.nowMs(),
      producerIdExpirationMs: host.producerIdExpirationMs,
    })
    this.#isLoaded = true
  }

  /** null: all may be appended; else a refusal, or the offsets of the batch that this one repeats. Changes nothing. */
  refusalOf(bytes: Buffer, rules: ProducerRules): AppendOutcome | null {
    try {
      return this.#check(bytes, rules)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      const { directory, host } = this.#parts
      host.logger.log('error', 'producers cannot be read', { path: error.path, error: error.message })
      return fault(ErrorCode.KAFKA_STORAGE_ERROR, `Reading ${directory} failed: ${error.message}`)
    }
  }

  #check(bytes: Buffer, rules: ProducerRules): AppendOutcome | null {
    for (let at = 0; at < bytes.length; at += batch.batchSize(bytes, at)) {
      if (batch.producerId(bytes, at) < 0) continue
      const verdict = this.#checkBatch(bytes, at, rules)
      if (verdict.verdict === 'refused') return fault(verdict.error, verdict.message)
      if (verdict.verdict === 'duplicate') {
        const { lastOffset, offsetDelta, timestampMs } = verdict.batch
        return duplicate(lastOffset - offsetDelta, lastOffset, timestampMs)
      }
      if (verdict.verdict === 'left behind') return duplicate(-1, verdict.belowOffset - 1, -1)
    }
    return null
  }

  #checkBatch(bytes: Buffer, at: number, rules: ProducerRules): ProducerVerdict {
    const producers = this.state()
    if (batch.isControl(batch.attributes(bytes, at))) {
      const marker = endMarkerAt(bytes, at)
      return marker === null ? { verdict: 'accepted' } : producers.checkMarker(marker)
    }
    return producers.check(producedBatchAt(bytes, at)!, rules)
  }

  /** null: its transaction is open here. Throws DiskError. */
  startVerification(first: FirstAppend): VerificationGuard | 'fenced' | null {
    const producers = this.state()
    const { producerId, producerEpoch, isBumping } = first
    if (isBumping && producerEpoch < (producers.get(producerId)?.epoch ?? -1)) return 'fenced'
    if (producers.isInTransaction(first)) return null
    return producers.verifications.start(first, this.#parts.host.nowMs())
  }

  /** Throws DiskError. */
  entries(): Iterable<ProducerEntry> {
    return this.state().entries()
  }

  /** After the batches were appended to `active`, the log's last segment. */
  record(bytes: Buffer, active: Segment): void {
    for (let at = 0; at < bytes.length; at += batch.batchSize(bytes, at)) {
      if (batch.producerId(bytes, at) < 0) continue
      const completed = recordProducer(this.state(), bytes, at)
      if (completed?.isAborted) active.transactions.append(this.#producers.abortedEntryOf(completed))
    }
  }

  /** Its transaction index was found to be wrong. Throws DiskError. */
  rebuildTransactions(segment: Segment): void {
    const { segments, logStartOffset } = this.#parts.extent()
    const { host } = this.#parts
    const producers = new ProducerState()
    replayProducers({
      segments: segments.filter(({ baseOffset }) => baseOffset < segment.baseOffset),
      offset: segment.baseOffset,
      logStartOffset,
      snapshots: this.#snapshots,
      producers,
      nowMs: host.nowMs(),
      producerIdExpirationMs: host.producerIdExpirationMs,
    })
    rebuildTransactions(segment, producers)
    const path = segment.transactions.path
    host.logger.log('warn', 'transaction index is wrong, made anew from the batches', { path })
  }

  /** What each active producer wrote last. Throws DiskError. */
  lastRecords(): Map<number, LastRecord> {
    const last = new Map<number, LastRecord>()
    for (const { producerId, batches, epoch } of this.state().entries()) {
      last.set(producerId, { lastDataOffset: batches.at(-1)?.lastOffset ?? -1, producerEpoch: epoch })
    }
    return last
  }

  expire(nowMs: number): void {
    if (this.#isLoaded) this.#producers.expire(nowMs, this.#parts.host.producerIdExpirationMs)
  }

  /** At a roll: the state at the log end. */
  takeSnapshot(logEndOffset: number): void {
    this.#snapshots.write(logEndOffset, this.state())
  }

  /** At a clean stop. False where nothing was ever produced with an id, or has changed since the last one. */
  takeLastSnapshot(logEndOffset: number): boolean {
    const hasProducers = this.#snapshots.count > 0 || this.#producers.size > 0
    if (!this.#isLoaded || !hasProducers || this.#snapshots.newestOffset >= logEndOffset) return false
    this.#snapshots.write(logEndOffset, this.#producers)
    return true
  }

  /** Of a log with the same records: it may know producers whose records have gone. Throws DiskError. */
  takeSnapshotOf(other: LogProducers, logEndOffset: number): void {
    const state = other.state()
    if (state.size > 0 || this.#snapshots.count > 0) this.#snapshots.write(logEndOffset, state)
  }

  /** Of a segment that has gone. */
  removeSnapshot(offset: number): void {
    this.#snapshots.remove(offset)
  }

  /** The log was cut: its extent ends at `logEndOffset` now. Throws DiskError. */
  truncatedTo(logEndOffset: number): void {
    this.#snapshots.removeAbove(logEndOffset)
    this.#reload()
  }

  clear(): void {
    this.#snapshots.removeAll()
    this.#producers.clear()
    this.#isLoaded = true
  }
}
