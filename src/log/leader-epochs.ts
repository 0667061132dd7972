/**
 * Under which leader epoch each part of the log was written: (epoch, start offset), both growing. Kept in memory and
 * written to `leader-epoch-checkpoint` by `persist`, lazily: what a crash loses is found again in the batches above the
 * recovery point, so it must be on disk before that point moves past them. A broken file is made anew from the batches.
 * (KIP-101, KIP-279)
 */
import type { Disk } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import { formatCheckpoint, readCheckpointLines } from './checkpoint-file.ts'
import type { EpochEndOffset } from './types.ts'

export interface EpochStart {
  readonly epoch: number
  readonly startOffset: number
}

export class LeaderEpochs {
  readonly #disk: Disk
  readonly #path: string
  readonly #logger: Logger
  /** null: not read yet */
  #loaded: EpochStart[] | null
  /** Memory is ahead of the file. */
  #dirty = false
  /** The file is ahead of what a power cut would leave of it. */
  #unsynced = false
  /** Asked where the file is broken. Throws DiskError. */
  rebuild: () => Iterable<EpochStart> = () => []

  constructor(disk: Disk, path: string, options: { isNew: boolean; logger: Logger }) {
    this.#disk = disk
    this.#path = path
    this.#logger = options.logger
    this.#loaded = options.isNew ? [] : null
  }

  get #entries(): EpochStart[] {
    return (this.#loaded ??= this.#read() ?? this.#rebuilt())
  }

  /** null: broken. */
  #read(): EpochStart[] | null {
    const stat = this.#disk.stat(this.#path)
    if (stat === null) return []
    // Kafka makes an empty file with an empty log; where there are batches it is one that a power cut has emptied.
    const lines = stat.size === 0 ? null : readCheckpointLines(this.#disk, this.#path)
    if (lines === null) return null
    const entries: EpochStart[] = []
    for (const words of lines) {
      const entry = { epoch: Number(words[0]), startOffset: Number(words[1]) }
      const last = entries.at(-1)
      const grows = !last || (entry.epoch > last.epoch && entry.startOffset >= last.startOffset)
      if (words.length !== 2 || !isCount(entry.epoch) || !isCount(entry.startOffset) || !grows) return null
      entries.push(entry)
    }
    return entries
  }

  #rebuilt(): EpochStart[] {
    this.#loaded = []
    try {
      for (const { epoch, startOffset } of this.rebuild()) this.assign(epoch, startOffset)
    } catch (error) {
      this.#loaded = null
      throw error
    }
    if (this.#loaded.length > 0) {
      this.#logger.log('warn', 'leader epochs are broken, taken from the batches', { path: this.#path })
    }
    this.#dirty = true
    return this.#loaded
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

  /** False where the file was right already. Throws DiskError. */
  persist({ durable }: { durable: boolean }): boolean {
    if (!this.#dirty && !(durable && this.#unsynced)) return false
    const lines = this.#entries.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`)
    this.#disk.replaceFile(this.#path, formatCheckpoint(lines), { durable })
    this.#dirty = false
    this.#unsynced = !durable
    return true
  }
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0
