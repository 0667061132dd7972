/** A disk in memory that dies at a chosen byte, and can show what a kill -9 or a power cut leaves of it. */
import { DiskError } from '../../src/env/disk.ts'
import type { Disk, DiskFile, DiskStat } from '../../src/env/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'

type Mutation =
  | { readonly type: 'write'; readonly position: number; readonly bytes: Buffer }
  | { readonly type: 'truncate'; readonly size: number }

interface FileState {
  /** As last synced. */
  durable: Buffer
  current: Buffer
  unsynced: Mutation[]
  /** The directory entry is on disk. */
  entryDurable: boolean
}

const SECTOR_BYTES = 512

export class CrashDisk implements Disk {
  readonly #files = new Map<string, FileState>()
  #bytesLeft: number
  #replacementsLeft = Infinity
  #dead = false
  full = false
  syncs = 0
  writtenBytes = 0

  constructor(options: { dieAfterBytes?: number } = {}) {
    this.#bytesLeft = options.dieAfterBytes ?? Infinity
  }

  /** Dies in a replaceFile, or right behind it, after `count` half steps. */
  dieAfterReplacements(count: number): void {
    this.#replacementsLeft = count
  }

  /** The page cache lives on. */
  afterKill(): CrashDisk {
    const disk = new CrashDisk()
    for (const [path, { current }] of this.#files)
      disk.#files.set(path, { durable: current, current, unsynced: [], entryDurable: true })
    return disk
  }

  /** Any part of what was not synced is on the platter, in any order, torn at sectors. */
  afterPowerCut(seed: number): CrashDisk {
    const random = new SeededRandom(seed)
    const disk = new CrashDisk()
    for (const [path, file] of this.#files) {
      if (!file.entryDurable && random.next() < 0.5) continue
      let bytes = file.durable
      for (const mutation of file.unsynced) bytes = tear(bytes, mutation, random)
      disk.#files.set(path, { durable: bytes, current: bytes, unsynced: [], entryDurable: true })
    }
    return disk
  }

  open(path: string, mode: 'read' | 'write'): DiskFile {
    let file = this.#files.get(path)
    if (file === undefined) {
      if (mode === 'read') throw new DiskError('NOT_FOUND', path, 'not found')
      file = { durable: Buffer.alloc(0), current: Buffer.alloc(0), unsynced: [], entryDurable: false }
      this.#files.set(path, file)
    }
    return this.#handle(path, file)
  }

  readFile(path: string): Buffer {
    const file = this.#files.get(path)
    if (file === undefined) throw new DiskError('NOT_FOUND', path, 'not found')
    return Buffer.from(file.current)
  }

  replaceFile(path: string, content: string | Uint8Array): void {
    this.#mustLive(path)
    if (this.#replacementsLeft-- <= 0) this.#die(path)
    const bytes = Buffer.from(content)
    this.#files.set(path, { durable: bytes, current: bytes, unsynced: [], entryDurable: true })
    if (this.#replacementsLeft-- <= 0) this.#die(path)
  }

  stat(path: string): DiskStat | null {
    const file = this.#files.get(path)
    if (file !== undefined) return { size: file.current.length, modifiedMs: 0, isDirectory: false }
    const isDirectory = [...this.#files.keys()].some((other) => other.startsWith(`${path}/`))
    return isDirectory ? { size: 0, modifiedMs: 0, isDirectory } : null
  }

  list(path: string): string[] {
    const names = [...this.#files.keys()].filter((other) => other.startsWith(`${path}/`))
    return names.map((name) => name.slice(path.length + 1)).sort()
  }

  makeDirectory(): void {}
  rename(): void {
    throw new Error('not used by the store')
  }
  remove(path: string): void {
    this.#files.delete(path)
  }
  setModifiedTime(): void {}
  syncDirectory(path: string): void {
    this.#mustLive(path)
    for (const [name, file] of this.#files) if (name.startsWith(`${path}/`)) file.entryDurable = true
  }
  lock(): { release(): void } {
    return { release: () => undefined }
  }
  space(): { totalBytes: number; usableBytes: number } {
    return { totalBytes: 1e9, usableBytes: 1e9 }
  }

  #handle(path: string, file: FileState): DiskFile {
    const mutate = (mutation: Mutation): void => {
      file.current = apply(file.current, mutation)
      file.unsynced.push(mutation)
    }
    const syncNow = (): void => {
      this.#mustLive(path)
      this.syncs++
      file.durable = file.current
      file.unsynced = []
    }
    return {
      path,
      read: (target, offset, length, position) =>
        file.current.copy(target, offset, position, Math.min(position + length, file.current.length)),
      write: (chunks, position) => {
        this.#mustLive(path)
        const bytes = Buffer.concat(chunks)
        const taken = bytes.subarray(0, this.#bytesLeft)
        this.#bytesLeft -= taken.length
        this.writtenBytes += taken.length
        mutate({ type: 'write', position, bytes: taken })
        if (taken.length < bytes.length) this.#die(path)
      },
      truncate: (size) => {
        this.#mustLive(path)
        mutate({ type: 'truncate', size })
      },
      size: () => file.current.length,
      sync: async () => syncNow(),
      syncNow,
      close: () => undefined,
    }
  }

  #mustLive(path: string): void {
    if (this.#dead) this.#die(path)
    if (this.full) throw new DiskError('NO_SPACE', path, 'no space left')
  }

  #die(path: string): never {
    this.#dead = true
    throw new DiskError('IO', path, 'the disk is gone')
  }
}

function apply(bytes: Buffer, mutation: Mutation): Buffer {
  if (mutation.type === 'truncate') {
    const result = Buffer.alloc(mutation.size)
    bytes.copy(result)
    return result
  }
  const result = Buffer.alloc(Math.max(bytes.length, mutation.position + mutation.bytes.length))
  bytes.copy(result)
  mutation.bytes.copy(result, mutation.position)
  return result
}

/** Drops some sectors of a write (they read as before, or as zeros where the file grew), or a truncation. */
function tear(bytes: Buffer, mutation: Mutation, random: SeededRandom): Buffer {
  if (mutation.type === 'truncate') return random.next() < 0.5 ? bytes : apply(bytes, mutation)
  if (random.next() < 0.2) return bytes
  const result = apply(bytes, mutation)
  const end = mutation.position + mutation.bytes.length
  const firstSector = Math.floor(mutation.position / SECTOR_BYTES)
  for (let sector = firstSector; sector * SECTOR_BYTES < end; sector++) {
    if (random.next() < 0.6) continue
    const from = Math.max(sector * SECTOR_BYTES, mutation.position)
    const to = Math.min((sector + 1) * SECTOR_BYTES, end)
    result.fill(0, from, to)
    if (from < bytes.length) bytes.copy(result, from, from, Math.min(to, bytes.length))
  }
  const keep =
    random.next() < 0.7 ? result.length : Math.floor(bytes.length + random.next() * (end - bytes.length))
  return result.length > bytes.length ? result.subarray(0, Math.max(keep, bytes.length)) : result
}
