/**
 * Flushes of one log. Whoever asks while a sync is under way shares the next one (group commit). The recovery point moves
 * when everything below it is on disk.
 */
import { limited } from '../base/limited.ts'
import type { Disk } from '../env/disk.ts'
import type { LeaderEpochs } from './leader-epochs.ts'
import type { ProducerSnapshots } from './producer-snapshots.ts'
import type { Segment } from './segment.ts'

export interface FlushParts {
  readonly disk: Disk
  readonly directory: string
  readonly logDirectory: string
  readonly epochs: LeaderEpochs
  readonly snapshots: ProducerSnapshots
  readonly recoveryPoint: number
  /** The last stop synced the names of the files. */
  readonly namesAreDurable: boolean
}

export interface FlushScope {
  readonly endOffset: number
  readonly segments: readonly Segment[]
}

/**
 * Each sync has up to three files open, and after an unclean start every segment may need one: all at once they would
 * use up the process's descriptors. Node's thread pool does no more than four at a time anyway.
 */
const SYNCS_AT_ONCE = 8

function syncAll(segments: readonly Segment[]): Promise<void> {
  return limited(segments, SYNCS_AT_ONCE, (segment) => segment.sync())
}

export class FlushQueue {
  readonly #parts: FlushParts
  #recoveryPoint: number
  #underWay: Promise<void> | null = null
  #next: Promise<void> | null = null
  /** Files were made or renamed, which a power cut may undo. */
  #namesChanged: boolean
  #directoryIsDurable = false
  /** Counts truncations: a flush that began before one must not move the recovery point by what it saw. */
  #truncations = 0
  #abandoned = false

  constructor(parts: FlushParts) {
    this.#parts = parts
    this.#recoveryPoint = parts.recoveryPoint
    this.#namesChanged = !parts.namesAreDurable
  }

  get recoveryPoint(): number {
    return this.#recoveryPoint
  }

  namesChanged(): void {
    this.#namesChanged = true
  }

  truncatedTo(offset: number): void {
    this.#truncations++
    this.#recoveryPoint = Math.min(this.#recoveryPoint, offset)
  }

  /** The directory goes, or goes elsewhere: what is under way or waits ends without touching it again. */
  abandon(): void {
    this.#abandoned = true
  }

  /** `scope` is asked when the sync begins. */
  flush(scope: () => FlushScope): Promise<void> {
    if (this.#next !== null) return this.#next
    if (this.#underWay !== null) {
      this.#next = this.#underWay.then(
        () => this.#startNext(scope),
        () => this.#startNext(scope),
      )
      return this.#next
    }
    const { endOffset, segments } = scope()
    if (this.#recoveryPoint >= endOffset && !this.#namesChanged) return Promise.resolve()
    return this.#start(endOffset, segments)
  }

  #startNext(scope: () => FlushScope): Promise<void> {
    this.#next = null
    if (this.#abandoned) return Promise.resolve()
    const { endOffset, segments } = scope()
    return this.#start(endOffset, segments)
  }

  #start(endOffset: number, segments: readonly Segment[]): Promise<void> {
    const underWay = this.flushUpTo(endOffset, segments).finally(() => {
      if (this.#underWay === underWay) this.#underWay = null
    })
    this.#underWay = underWay
    return underWay
  }

  /**
   * At a clean stop, with nothing else under way afterwards. The leader epochs' file is not synced but for its name: one
   * that a power cut tears is noticed and made anew.
   */
  async flushLast(endOffset: number, segments: readonly Segment[]): Promise<void> {
    await Promise.allSettled([this.#underWay, this.#next])
    await limited(segments, SYNCS_AT_ONCE, async (segment) => {
      await Promise.all([segment.sync(), segment.indexes.sync()])
    })
    await this.#parts.snapshots.sync()
    this.syncNames()
    this.#recoveryPoint = Math.max(this.#recoveryPoint, endOffset)
  }

  async flushUpTo(endOffset: number, segments: readonly Segment[]): Promise<void> {
    const truncations = this.#truncations
    await Promise.all([syncAll(segments), this.#parts.snapshots.sync()])
    if (this.#abandoned || truncations !== this.#truncations) return
    this.syncNames()
    this.#parts.epochs.persist({ durable: true })
    this.#recoveryPoint = Math.max(this.#recoveryPoint, endOffset)
  }

  /** Throws DiskError. */
  syncNames(): void {
    if (!this.#namesChanged) return
    const { disk, directory, logDirectory } = this.#parts
    this.#namesChanged = false
    try {
      disk.syncDirectory(directory)
      if (!this.#directoryIsDurable) disk.syncDirectory(logDirectory)
      this.#directoryIsDurable = true
    } catch (error) {
      this.#namesChanged = true
      throw error
    }
  }
}
