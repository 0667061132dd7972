/**
 * Under which leader epoch each part of the log was written: (epoch, start offset), both growing. Kept in memory and
 * written to `leader-epoch-checkpoint` by `persist`, lazily: what a crash loses is found again in the batches above the
 * recovery point, so it must be on disk before that point moves past them. (KIP-101, KIP-279)
 */
import type { Disk } from '../env/disk.ts'
import { formatCheckpoint, readCheckpointLines } from './checkpoint-file.ts'
import type { EpochEndOffset } from './types.ts'

interface EpochStart {
  readonly epoch: number
  readonly startOffset: number
}

export class LeaderEpochs {
  readonly #disk: Disk
  readonly #path: string
  /** null: not read yet */
  #loaded: EpochStart[] | null
  #dirty = false

  constructor(disk: Disk, path: string, options: { isNew: boolean }) {
    this.#disk = disk
    this.#path = path
    this.#loaded = options.isNew ? [] : null
  }

  get #entries(): EpochStart[] {
    return (this.#loaded ??= this.#read())
  }

  #read(): EpochStart[] {
    const entries: EpochStart[] = []
    for (const [epoch, startOffset] of readCheckpointLines(this.#disk, this.#path) ?? []) {
      const entry = { epoch: Number(epoch), startOffset: Number(startOffset) }
      const last = entries.at(-1)
      const grows = !last || (entry.epoch > last.epoch && entry.startOffset >= last.startOffset)
      if (Number.isSafeInteger(entry.epoch) && Number.isSafeInteger(entry.startOffset) && grows) {
        entries.push(entry)
      }
    }
    return entries
  }

  get isDirty(): boolean {
    return this.#dirty
  }

  /** -1 when there is none. */
  get latestEpoch(): number {
    return this.#entries.at(-1)?.epoch ?? -1
  }

  /** Entries that contradict the new one (same or higher epoch, same or higher start) go. */
  assign(epoch: number, startOffset: number): void {
    if (epoch < 0) return
    const entries = this.#entries
    const last = entries.at(-1)
    if (last !== undefined && last.epoch === epoch && last.startOffset <= startOffset) return
    while (entries.length > 0) {
      const { epoch: lastEpoch, startOffset: lastStart } = entries[entries.length - 1]
      if (lastEpoch < epoch && lastStart < startOffset) break
      entries.pop()
    }
    entries.push({ epoch, startOffset })
    this.#dirty = true
  }

  /** End of an epoch, as OffsetForLeaderEpoch answers it. */
  endOffsetFor(epoch: number, logEndOffset: number): EpochEndOffset {
    const entries = this.#entries
    const undefinedEnd = { leaderEpoch: -1, endOffset: -1 }
    const latest = this.latestEpoch
    if (epoch === -1 || epoch > latest || entries.length === 0) return undefinedEnd
    if (epoch === latest) return { leaderEpoch: epoch, endOffset: logEndOffset }
    const above = entries.findIndex((entry) => entry.epoch > epoch)
    if (above === 0) return { leaderEpoch: epoch, endOffset: entries[0].startOffset }
    return { leaderEpoch: entries[above - 1].epoch, endOffset: entries[above].startOffset }
  }

  /** -1 when unknown. */
  epochFor(offset: number): number {
    const entries = this.#entries
    for (let i = entries.length - 1; i >= 0; i--)
      if (entries[i].startOffset <= offset) return entries[i].epoch
    return -1
  }

  /** Forgets epochs that began at or above `offset`. */
  truncateFromEnd(offset: number): void {
    const entries = this.#entries
    while (entries.length > 0 && entries[entries.length - 1].startOffset >= offset) {
      entries.pop()
      this.#dirty = true
    }
  }

  /** Forgets epochs that ended at or below `offset`; the one that covers it begins there. */
  truncateFromStart(offset: number): void {
    const entries = this.#entries
    let covering: EpochStart | undefined
    while (entries.length > 0 && entries[0].startOffset <= offset) covering = entries.shift()
    if (covering === undefined) return
    entries.unshift({ epoch: covering.epoch, startOffset: offset })
    if (covering.startOffset !== offset) this.#dirty = true
  }

  clear(): void {
    this.#loaded = []
    this.#dirty = true
  }

  /** Throws DiskError. */
  persist(options: { durable: boolean }): void {
    if (!this.#dirty) return
    const lines = this.#entries.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`)
    this.#disk.replaceFile(this.#path, formatCheckpoint(lines), options)
    this.#dirty = false
  }
}
