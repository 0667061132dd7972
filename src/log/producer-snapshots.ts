/** The snapshot files of one partition directory. */
import { limited } from '../base/limited.ts'
import { DiskError, type Disk } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import { join, offsetFileName, offsetOfFileName, SNAPSHOT_SUFFIX } from './file-names.ts'
import type { ProducerEntry } from './producer-entry.ts'
import { decodeProducerSnapshot, encodeProducerSnapshot } from './producer-snapshot.ts'
import type { ProducerState } from './producer-state.ts'

/** Of files that are opened for it. */
const SYNCS_AT_ONCE = 4

export class ProducerSnapshots {
  readonly #disk: Disk
  readonly #directory: string
  readonly #logger: Logger
  /** Ascending. */
  #offsets: number[]
  /** Written, and covered by no sync. */
  readonly #unsynced = new Set<number>()

  constructor(disk: Disk, directory: string, options: { names: readonly string[]; logger: Logger }) {
    this.#disk = disk
    this.#directory = directory
    this.#logger = options.logger
    this.#offsets = options.names
      .filter((name) => name.endsWith(SNAPSHOT_SUFFIX) && offsetOfFileName(name) >= 0)
      .map(offsetOfFileName)
      .sort((a, b) => a - b)
  }

  get newestOffset(): number {
    return this.#offsets.at(-1) ?? -1
  }

  get count(): number {
    return this.#offsets.length
  }

  #path(offset: number): string {
    return join(this.#directory, offsetFileName(offset, SNAPSHOT_SUFFIX))
  }

  write(offset: number, state: ProducerState): void {
    this.#disk.replaceFile(this.#path(offset), encodeProducerSnapshot(state.entries()), { durable: false })
    this.#unsynced.add(offset)
    if (this.#offsets.includes(offset)) return
    this.#offsets.push(offset)
    this.#offsets.sort((a, b) => a - b)
  }

  /** The newest whole snapshot at or below `offset` and above `aboveOffset`; broken ones are deleted. */
  newest(offset: number, aboveOffset: number): { offset: number; entries: ProducerEntry[] } | null {
    for (const candidate of this.#offsets.slice().reverse()) {
      if (candidate > offset) continue
      if (candidate <= aboveOffset) return null
      const entries = this.#read(candidate)
      if (entries !== null) return { offset: candidate, entries }
      this.#logger.log('warn', 'producer snapshot is broken, deleting it', { path: this.#path(candidate) })
      this.remove(candidate)
    }
    return null
  }

  #read(offset: number): ProducerEntry[] | null {
    try {
      return decodeProducerSnapshot(this.#disk.readFile(this.#path(offset)))
    } catch (error) {
      if (error instanceof DiskError && error.code === 'NOT_FOUND') return null
      throw error
    }
  }

  /** Resolves when what was written is on disk; the names are synced with the directory's others. */
  async sync(): Promise<void> {
    const offsets = [...this.#unsynced]
    this.#unsynced.clear()
    try {
      await limited(offsets, SYNCS_AT_ONCE, (offset) => this.#syncFile(offset))
    } catch (error) {
      for (const offset of offsets) if (this.#offsets.includes(offset)) this.#unsynced.add(offset)
      throw error
    }
  }

  async #syncFile(offset: number): Promise<void> {
    const file = this.#disk.open(this.#path(offset), 'read')
    try {
      await file.sync()
    } finally {
      file.close()
    }
  }

  /** After a power cut, which may have come before the sync of some. */
  removeBroken(): void {
    for (const offset of this.#offsets.slice()) if (this.#read(offset) === null) this.remove(offset)
  }

  remove(offset: number): void {
    const kept = this.#offsets.filter((other) => other !== offset)
    if (kept.length === this.#offsets.length) return
    this.#offsets = kept
    this.#unsynced.delete(offset)
    this.#disk.remove(this.#path(offset))
  }

  removeAbove(offset: number): void {
    for (const other of this.#offsets.slice()) if (other > offset) this.remove(other)
  }

  removeAll(): void {
    this.removeAbove(-1)
  }

  /** Keeps those of segments' bases and the newest one. */
  removeStrays(segmentBases: ReadonlySet<number>): void {
    const newest = this.newestOffset
    for (const other of this.#offsets.slice()) {
      if (other !== newest && !segmentBases.has(other)) this.remove(other)
    }
  }
}
