/**
 * Files as the broker uses them. Reads and writes are synchronous: they meet the page cache, where a system call costs
 * a hundredth of a trip through the thread pool (docs/decisions/0002). Only waiting for the platter is asynchronous.
 * Failures throw or reject with `DiskError`.
 */
export type DiskErrorCode =
  | 'NOT_FOUND'
  | 'EXISTS'
  | 'NO_SPACE'
  | 'NOT_PERMITTED'
  | 'NOT_EMPTY'
  | 'LOCKED'
  /** No descriptor or memory is left for it now: says nothing of the disk. */
  | 'EXHAUSTED'
  | 'IO'

export class DiskError extends Error {
  readonly code: DiskErrorCode
  readonly path: string
  constructor(code: DiskErrorCode, path: string, message: string) {
    super(message)
    this.name = 'DiskError'
    this.code = code
    this.path = path
  }
}

export interface DiskFile {
  readonly path: string
  /** Reads up to `length` bytes at `position` into `target` from `offset`; returns the count, 0 at end of file. */
  read(target: Uint8Array, offset: number, length: number, position: number): number
  /** Writes all of `chunks` one after the other at `position`, or throws; on a throw some bytes may have been written. */
  write(chunks: readonly Uint8Array[], position: number): void
  truncate(size: number): void
  size(): number
  /** Resolves when every byte written before the call is on stable storage (fdatasync). */
  sync(): Promise<void>
  /** As `sync`, blocking. For start and stop. */
  syncNow(): void
  close(): void
}

export interface DiskStat {
  readonly size: number
  readonly modifiedMs: number
  readonly isDirectory: boolean
}

export interface Disk {
  /** `'read'`: must exist. `'write'`: read and write, created when missing. */
  open(path: string, mode: 'read' | 'write'): DiskFile
  /** Throws NOT_FOUND. For small files. */
  readFile(path: string): Buffer
  /** Writes a small file so that after a crash either the old or the new content is there: temporary file, fsync (when
   * `durable`, the default), rename, fsync of the directory. */
  replaceFile(path: string, content: string | Uint8Array, options?: { durable?: boolean }): void
  /** null where nothing is. */
  stat(path: string): DiskStat | null
  /** Names in a directory, sorted. Throws NOT_FOUND. */
  list(path: string): string[]
  makeDirectory(path: string): void
  rename(from: string, to: string): void
  /** File or whole directory tree; nothing happens where nothing is. */
  remove(path: string): void
  setModifiedTime(path: string, modifiedMs: number): void
  /** Makes creations, renames and removals in a directory durable. */
  syncDirectory(path: string): void
  /** Takes an exclusive lock that dies with the process; throws LOCKED when another holds it. */
  lock(path: string): { release(): void }
  /** Bytes of the file system that holds `path`. */
  space(path: string): { totalBytes: number; usableBytes: number }
}
