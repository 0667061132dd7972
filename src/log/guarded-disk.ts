/**
 * The disk as one `log.dirs` entry uses it. The first error that says that the disk itself cannot be trusted any more closes
 * it: from then on nothing below the directory is read, written or acknowledged, until a restart looks again.
 *
 * A failed fsync is such an error even when the next one succeeds: the kernel may have dropped the pages that it could not
 * write and call the file clean (docs/decisions/0008-a-log-directory-that-fails.md). A full disk is not: it takes writes again
 * when there is room.
 */
import { DiskError, type Disk, type DiskFile, type DiskStat } from '../env/disk.ts'

type Missing = 'may-be-missing' | 'must-be-there'

export class GuardedDisk implements Disk {
  readonly #disk: Disk
  readonly #onFailure: (error: DiskError) => void
  #failure: DiskError | null = null

  /** `onFailure` runs once, inside the operation that failed. */
  constructor(disk: Disk, onFailure: (error: DiskError) => void) {
    this.#disk = disk
    this.#onFailure = onFailure
  }

  /** Why it is closed; null while it is open. */
  get failure(): DiskError | null {
    return this.#failure
  }

  fail(error: DiskError): void {
    if (this.#failure !== null) return
    this.#failure = error
    this.#onFailure(error)
  }

  /** Throws DiskError where the directory is closed. */
  check(path: string): void {
    const failure = this.#failure
    if (failure !== null) throw new DiskError('IO', path, `the log directory is offline: ${failure.message}`)
  }

  /** `error` as it is, after it has been judged. */
  judged(error: unknown, missing: Missing): unknown {
    if (!(error instanceof DiskError)) return error
    const isMissing = error.code === 'NOT_FOUND' && missing === 'must-be-there'
    if (error.code === 'IO' || error.code === 'NOT_PERMITTED' || isMissing) this.fail(error)
    return error
  }

  #run<T>(path: string, missing: Missing, operation: () => T): T {
    this.check(path)
    try {
      return operation()
    } catch (error) {
      throw this.judged(error, missing)
    }
  }

  open(path: string, mode: 'read' | 'write'): DiskFile {
    const file = this.#run(path, 'must-be-there', () => this.#disk.open(path, mode))
    return new GuardedFile(this, file)
  }

  readFile(path: string): Buffer {
    return this.#run(path, 'may-be-missing', () => this.#disk.readFile(path))
  }

  replaceFile(path: string, content: string | Uint8Array, options?: { durable?: boolean }): void {
    this.#run(path, 'must-be-there', () => this.#disk.replaceFile(path, content, options))
  }

  stat(path: string): DiskStat | null {
    return this.#run(path, 'may-be-missing', () => this.#disk.stat(path))
  }

  list(path: string): string[] {
    return this.#run(path, 'must-be-there', () => this.#disk.list(path))
  }

  makeDirectory(path: string): void {
    this.#run(path, 'must-be-there', () => this.#disk.makeDirectory(path))
  }

  rename(from: string, to: string): void {
    this.#run(from, 'must-be-there', () => this.#disk.rename(from, to))
  }

  remove(path: string): void {
    this.#run(path, 'may-be-missing', () => this.#disk.remove(path))
  }

  setModifiedTime(path: string, modifiedMs: number): void {
    this.#run(path, 'must-be-there', () => this.#disk.setModifiedTime(path, modifiedMs))
  }

  syncDirectory(path: string): void {
    this.#run(path, 'must-be-there', () => this.#disk.syncDirectory(path))
  }

  lock(path: string): { release(): void } {
    return this.#run(path, 'must-be-there', () => this.#disk.lock(path))
  }

  space(path: string): { totalBytes: number; usableBytes: number } {
    return this.#run(path, 'must-be-there', () => this.#disk.space(path))
  }
}

class GuardedFile implements DiskFile {
  readonly path: string
  readonly #guard: GuardedDisk
  readonly #file: DiskFile

  constructor(guard: GuardedDisk, file: DiskFile) {
    this.path = file.path
    this.#guard = guard
    this.#file = file
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    this.#guard.check(this.path)
    try {
      return this.#file.read(target, offset, length, position)
    } catch (error) {
      throw this.#guard.judged(error, 'must-be-there')
    }
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    this.#guard.check(this.path)
    try {
      this.#file.write(chunks, position)
    } catch (error) {
      throw this.#guard.judged(error, 'must-be-there')
    }
  }

  truncate(size: number): void {
    this.#guard.check(this.path)
    try {
      this.#file.truncate(size)
    } catch (error) {
      throw this.#guard.judged(error, 'must-be-there')
    }
  }

  size(): number {
    this.#guard.check(this.path)
    try {
      return this.#file.size()
    } catch (error) {
      throw this.#guard.judged(error, 'must-be-there')
    }
  }

  async sync(): Promise<void> {
    this.#guard.check(this.path)
    try {
      await this.#file.sync()
    } catch (error) {
      throw this.#failedSync(error)
    }
    // Another file's sync failed meanwhile: what this one says of the same disk proves nothing.
    this.#guard.check(this.path)
  }

  syncNow(): void {
    this.#guard.check(this.path)
    try {
      this.#file.syncNow()
    } catch (error) {
      throw this.#failedSync(error)
    }
  }

  /** Whatever its code: delayed allocation lets a full disk show itself here too, and then bytes are lost. */
  #failedSync(error: unknown): unknown {
    if (error instanceof DiskError) this.#guard.fail(error)
    return error
  }

  /** Works on a closed guard too: the descriptor must not stay. */
  close(): void {
    try {
      this.#file.close()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      this.#guard.fail(error)
    }
  }
}
