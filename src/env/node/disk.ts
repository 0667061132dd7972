/** The real disk. The only place that calls node:fs for log data. */
import * as fs from 'node:fs'
import { dirname } from 'node:path'
import { DiskError, type Disk, type DiskErrorCode, type DiskFile, type DiskStat } from '../disk.ts'
import { takeLock } from './file-lock.ts'

const CODES: Record<string, DiskErrorCode> = {
  ENOENT: 'NOT_FOUND',
  ENOTDIR: 'NOT_FOUND',
  EEXIST: 'EXISTS',
  ENOSPC: 'NO_SPACE',
  EDQUOT: 'NO_SPACE',
  EFBIG: 'NO_SPACE',
  EACCES: 'NOT_PERMITTED',
  EPERM: 'NOT_PERMITTED',
  EROFS: 'NOT_PERMITTED',
  ENOTEMPTY: 'NOT_EMPTY',
  EMFILE: 'EXHAUSTED',
  ENFILE: 'EXHAUSTED',
  ENOMEM: 'EXHAUSTED',
}

function toDiskError(error: unknown, path: string): DiskError {
  if (error instanceof DiskError) return error
  const { code = '', message = String(error) } = error as NodeJS.ErrnoException
  return new DiskError(CODES[code] ?? 'IO', path, message)
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw toDiskError(error, path)
  }
}

/**
 * With its parents. Node's own `recursive` never returns where the parent is there and yet nothing can be made in it
 * (below /proc, for one).
 */
function makeDirectories(path: string): void {
  if (fs.statSync(path, { throwIfNoEntry: false })?.isDirectory()) return
  try {
    fs.mkdirSync(path)
  } catch (error) {
    const parent = dirname(path)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error
    makeDirectories(parent)
    fs.mkdirSync(path)
  }
}

class NodeFile implements DiskFile {
  readonly path: string
  readonly #descriptor: number
  /** Descriptors are reused by the kernel: one is closed only when no sync of it is under way. */
  #syncsUnderWay = 0
  #closed = false

  constructor(path: string, descriptor: number) {
    this.path = path
    this.#descriptor = descriptor
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    try {
      const count = fs.readSync(this.#descriptor, target, offset, length, position)
      return count === length || count === 0 ? count : this.#readRest(target, offset, length, position, count)
    } catch (error) {
      throw toDiskError(error, this.path)
    }
  }

  #readRest(target: Uint8Array, offset: number, length: number, position: number, first: number): number {
    let done = first
    while (done < length) {
      const count = fs.readSync(this.#descriptor, target, offset + done, length - done, position + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    try {
      if (chunks.length === 1) this.#writeFrom(chunks[0], 0, position)
      else this.#writeGathered(chunks, position)
    } catch (error) {
      throw toDiskError(error, this.path)
    }
  }

  #writeFrom(chunk: Uint8Array, from: number, position: number): void {
    let done = from
    while (done < chunk.length) {
      done += fs.writeSync(this.#descriptor, chunk, done, chunk.length - done, position + done - from)
    }
  }

  #writeGathered(chunks: readonly Uint8Array[], position: number): void {
    const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    let done = total === 0 ? 0 : fs.writevSync(this.#descriptor, chunks, position)
    if (done === total) return
    let start = 0
    for (const chunk of chunks) {
      const end = start + chunk.length
      if (done < end) {
        this.#writeFrom(chunk, done - start, position + done)
        done = end
      }
      start = end
    }
  }

  truncate(size: number): void {
    attempt(this.path, () => fs.ftruncateSync(this.#descriptor, size))
  }

  size(): number {
    return attempt(this.path, () => fs.fstatSync(this.#descriptor).size)
  }

  sync(): Promise<void> {
    this.#syncsUnderWay++
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#descriptor, (error) => {
        this.#syncsUnderWay--
        if (this.#closed && this.#syncsUnderWay === 0) fs.close(this.#descriptor)
        if (error) reject(toDiskError(error, this.path))
        else resolve()
      })
    })
  }

  syncNow(): void {
    attempt(this.path, () => fs.fdatasyncSync(this.#descriptor))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#syncsUnderWay === 0) attempt(this.path, () => fs.closeSync(this.#descriptor))
  }
}

class NodeDisk implements Disk {
  open(path: string, mode: 'read' | 'write'): DiskFile {
    const flags = mode === 'read' ? fs.constants.O_RDONLY : fs.constants.O_RDWR | fs.constants.O_CREAT
    return attempt(path, () => new NodeFile(path, fs.openSync(path, flags, 0o644)))
  }

  readFile(path: string): Buffer {
    return attempt(path, () => fs.readFileSync(path))
  }

  replaceFile(path: string, content: string | Uint8Array, options: { durable?: boolean } = {}): void {
    const durable = options.durable ?? true
    const temporary = `${path}.tmp`
    attempt(path, () => {
      const descriptor = fs.openSync(temporary, 'w', 0o644)
      try {
        fs.writeFileSync(descriptor, content)
        if (durable) fs.fdatasyncSync(descriptor)
      } finally {
        fs.closeSync(descriptor)
      }
      fs.renameSync(temporary, path)
    })
    if (durable) this.syncDirectory(dirname(path))
  }

  stat(path: string): DiskStat | null {
    return attempt(path, () => {
      const stat = fs.statSync(path, { throwIfNoEntry: false })
      return stat ? { size: stat.size, modifiedMs: stat.mtimeMs, isDirectory: stat.isDirectory() } : null
    })
  }

  list(path: string): string[] {
    return attempt(path, () => fs.readdirSync(path).sort())
  }

  makeDirectory(path: string): void {
    attempt(path, () => makeDirectories(path))
  }

  rename(from: string, to: string): void {
    attempt(from, () => fs.renameSync(from, to))
  }

  remove(path: string): void {
    attempt(path, () => fs.rmSync(path, { recursive: true, force: true }))
  }

  setModifiedTime(path: string, modifiedMs: number): void {
    attempt(path, () => fs.utimesSync(path, modifiedMs / 1000, modifiedMs / 1000))
  }

  syncDirectory(path: string): void {
    // Windows cannot open a directory; its renames are journaled by the file system.
    if (process.platform === 'win32') return
    attempt(path, () => {
      const descriptor = fs.openSync(path, 'r')
      try {
        fs.fsyncSync(descriptor)
      } finally {
        fs.closeSync(descriptor)
      }
    })
  }

  lock(path: string): { release(): void } {
    return attempt(path, () => takeLock(path))
  }

  space(path: string): { totalBytes: number; usableBytes: number } {
    return attempt(path, () => {
      const stat = fs.statfsSync(path)
      return { totalBytes: stat.blocks * stat.bsize, usableBytes: stat.bavail * stat.bsize }
    })
  }
}

export function createNodeDisk(): Disk {
  return new NodeDisk()
}
