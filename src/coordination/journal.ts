/**
 * The embedded store's two files: a journal of transactions, and a snapshot that the journal continues. Plain files, since
 * Kafka's log loading refuses unknown directories below log.dirs but passes over files.
 *
 * What a crash may leave, and why it is enough:
 * - a torn or missing end of the journal: cut at the first record that is not intact; everything synced lies before it;
 * - a new snapshot beside the old journal: records at or below the snapshot's zxid are passed over;
 * - the journal emptied and partly rewritten: an old record behind a new one has a smaller zxid and ends the journal.
 */
import { CoordinationError } from '../env/coordination.ts'
import type { Disk, DiskFile } from '../env/disk.ts'
import type { Logger } from '../env/env.ts'
import { JOURNAL_HEADER, decodeRecord, decodeSnapshot, encodeSnapshot } from './journal-format.ts'
import { newTransaction } from './znode-tree.ts'
import type { ZnodeTree } from './znode-tree.ts'

export const JOURNAL_FILE = 'odradek-coordination.journal'
export const SNAPSHOT_FILE = 'odradek-coordination.snapshot'

/** The journal is folded into a snapshot when it is longer than this and than the snapshot. */
export const COMPACTION_BYTES = 512 * 1024
/** A clean stop folds a journal that is longer than this: a snapshot is loaded in half the time. */
const STOP_COMPACTION_BYTES = 32 * 1024

/** Zxids are `epoch * EPOCH_SIZE + counter`; each opening of the store begins an epoch. */
export const EPOCH_SIZE = 2 ** 32

export class Journal {
  readonly #disk: Disk
  readonly #logger: Logger
  readonly #directory: string
  readonly #file: DiskFile
  readonly #compactionBytes: number
  #size: number
  #snapshotSize: number
  /** It is certain that the journal is found again: its directory entry was synced before anything was written. */
  #entrySynced: boolean
  /** What was loaded may be in the page cache only: the process that wrote it was killed before its sync. */
  #loadedUnsynced: boolean
  /** A failed write or sync left it unknown what the file holds. The next append writes a snapshot first. */
  #damaged = false
  /** What the disk stands at after loading. */
  readonly lastZxid: number

  /** Opens or creates the files and replays them into `tree`, which must be empty. Throws DiskError, CoordinationError. */
  constructor(
    world: { disk: Disk; logger: Logger; directory: string; compactionBytes?: number },
    tree: ZnodeTree,
  ) {
    this.#compactionBytes = world.compactionBytes ?? COMPACTION_BYTES
    this.#disk = world.disk
    this.#logger = world.logger
    this.#directory = world.directory
    const snapshotPath = `${this.#directory}/${SNAPSHOT_FILE}`
    const journalPath = `${this.#directory}/${JOURNAL_FILE}`
    if (this.#disk.stat(this.#directory) === null) this.#disk.makeDirectory(this.#directory)
    this.#file = this.#disk.open(journalPath, 'write')
    tree.recordUndo = false
    const hasSnapshot = this.#disk.stat(snapshotPath) !== null
    const snapshot = hasSnapshot ? this.#disk.readFile(snapshotPath) : null
    this.#snapshotSize = snapshot?.length ?? 0
    const snapshotZxid = snapshot === null ? 0 : this.#loadSnapshot(snapshot, tree)
    const loaded = this.#loadJournal(tree, snapshotZxid)
    this.#size = loaded.end
    this.#entrySynced = loaded.end > 0
    this.#loadedUnsynced = loaded.end > 0
    this.lastZxid = loaded.zxid
    tree.recordUndo = true
  }

  /** Writes the records of one batch. They are on stable storage when `sync` has resolved. */
  append(records: readonly Buffer[], tree: ZnodeTree, zxid: number): void {
    // The tree holds this batch already: a snapshot of it makes the records superfluous.
    if (this.#damaged) return this.compact(tree, zxid)
    const chunks = this.#size === 0 ? [JOURNAL_HEADER, ...records] : records
    try {
      if (!this.#entrySynced) this.#disk.syncDirectory(this.#directory)
      this.#entrySynced = true
      this.#file.write(chunks, this.#size)
    } catch (error) {
      this.#cutBack()
      throw error
    }
    for (const chunk of chunks) this.#size += chunk.length
  }

  async sync(): Promise<void> {
    try {
      await this.#file.sync()
      this.#loadedUnsynced = false
    } catch (error) {
      this.#damaged = true
      throw error
    }
  }

  /** The file may hold changes that memory has undone, or miss some that it has. */
  distrust(): void {
    this.#damaged = true
  }

  /** Nothing that was loaded may be shown before `sync`: a power cut could still undo it. */
  get wantsSync(): boolean {
    return this.#loadedUnsynced
  }

  wantsCompaction(atStop: boolean): boolean {
    if (atStop) return this.#size > STOP_COMPACTION_BYTES
    return this.#size > this.#compactionBytes && this.#size > this.#snapshotSize
  }

  /** Writes the tree as the snapshot, durably, and empties the journal. Throws DiskError. */
  compact(tree: ZnodeTree, zxid: number): void {
    const snapshot = encodeSnapshot(tree, zxid)
    this.#disk.replaceFile(`${this.#directory}/${SNAPSHOT_FILE}`, snapshot)
    this.#snapshotSize = snapshot.length
    this.#damaged = true
    this.#file.truncate(0)
    this.#size = 0
    this.#damaged = false
  }

  close(): void {
    this.#file.close()
  }

  #cutBack(): void {
    try {
      this.#file.truncate(this.#size)
    } catch {
      // The bytes beyond are known to be no records of ours only after a snapshot.
      this.#damaged = true
    }
  }

  #loadSnapshot(bytes: Buffer, tree: ZnodeTree): number {
    try {
      return decodeSnapshot(bytes, tree)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      const file = `${this.#directory}/${SNAPSHOT_FILE}`
      this.#logger.log('error', 'the coordination snapshot is damaged', { file, reason: error.message })
      throw new CoordinationError('STORAGE', file)
    }
  }

  #loadJournal(tree: ZnodeTree, snapshotZxid: number): { end: number; zxid: number } {
    const path = `${this.#directory}/${JOURNAL_FILE}`
    const bytes = Buffer.allocUnsafeSlow(this.#file.size())
    const size = this.#file.read(bytes, 0, bytes.length, 0)
    const journal = bytes.subarray(0, size)
    if (size < JOURNAL_HEADER.length) {
      this.#cut(0, size)
      return { end: 0, zxid: snapshotZxid }
    }
    if (!journal.subarray(0, JOURNAL_HEADER.length).equals(JOURNAL_HEADER)) {
      // A header that never reached the disk reads as zeros: nothing behind it was ever synced.
      if (!journal.subarray(0, JOURNAL_HEADER.length).every((byte) => byte === 0)) {
        this.#logger.log('error', 'the coordination journal is of another kind or version', { file: path })
        throw new CoordinationError('STORAGE', path)
      }
      this.#cut(0, size)
      return { end: 0, zxid: snapshotZxid }
    }
    const loaded = this.#replay(journal, tree, snapshotZxid)
    if (loaded.end < size) this.#cut(loaded.end, size)
    return loaded
  }

  #replay(journal: Buffer, tree: ZnodeTree, snapshotZxid: number): { end: number; zxid: number } {
    let zxid = snapshotZxid
    let end = JOURNAL_HEADER.length
    let last = 0
    for (;;) {
      const record = decodeRecord(journal, end)
      if (record === null || record.zxid <= last) return { end, zxid }
      end = record.end
      last = record.zxid
      if (record.zxid <= snapshotZxid) continue
      if (epochOf(record.zxid) !== epochOf(zxid)) dropEphemerals(tree, epochOf(record.zxid), record.timeMs)
      zxid = record.zxid
      const transaction = newTransaction(record.zxid, record.timeMs)
      for (const change of record.changes) tree.replay(transaction, change)
    }
  }

  #cut(end: number, size: number): void {
    if (end === size) return
    this.#logger.log('warn', 'cut an unfinished end off the coordination journal', { bytes: size - end })
    this.#file.truncate(end)
  }
}

export function epochOf(zxid: number): number {
  return Math.floor(zxid / EPOCH_SIZE)
}

/** A new epoch is a new process: the sessions of the one before it ended, and their ephemeral nodes with them. */
export function dropEphemerals(tree: ZnodeTree, epoch: number, timeMs: number): void {
  const transaction = newTransaction(epoch * EPOCH_SIZE, timeMs)
  for (const session of tree.sessionsWithEphemerals()) tree.closeSession(transaction, session)
}
