/**
 * A disk in memory that forgets what was not synced. Writes, truncations and directory entries count as durable only
 * after `sync` or `syncDirectory`; `crash` drops, keeps or tears the rest by the seed, as a power cut does. `kill` is the
 * milder end: the process is gone, every byte stays.
 */
import { DiskError, type Disk, type DiskErrorCode, type DiskFile, type DiskStat } from '../disk.ts'
import type { Clock, Random } from '../env.ts'
import { DirectoryNode, FileNode, type Change, type CrashMode, type Node } from './disk-nodes.ts'

export type { CrashMode }

export type DiskOperation =
  'open' | 'read' | 'write' | 'truncate' | 'sync' | 'rename' | 'remove' | 'makeDirectory'

export interface PlannedFailure {
  readonly operation: DiskOperation
  readonly code: DiskErrorCode
  /** Only for paths that contain this. */
  readonly pathPart?: string
  /** Of a failing write: how many bytes get through. */
  readonly bytesWritten?: number
  /** Of a failing sync: the pages that could not be written are dropped, and a later sync finds nothing left to write. */
  readonly losesPages?: boolean
}

/** What is about to change on the disk; `write` is there where bytes of a file are. */
export interface DiskStep {
  readonly operation: DiskOperation
  readonly path: string
  readonly write?: { readonly position: number; readonly bytes: Buffer }
}

export interface SimDiskOptions {
  readonly random: Random
  readonly clock?: Pick<Clock, 'nowMs'>
  readonly capacityBytes?: number
}

export class SimDisk implements Disk {
  /** Writes that would go beyond it write what fits and fail with NO_SPACE. */
  capacityBytes: number
  /** Counts processes: a file opened by an earlier one is of no use any more. */
  generation = 0
  readonly #random: Random
  readonly #nowMs: () => number
  #root = new DirectoryNode()
  readonly #locks = new Set<string>()
  #failures: PlannedFailure[] = []
  /** Told of each step before it is taken. For tests that end the process there: see `clone`. */
  onStep: ((step: DiskStep) => void) | null = null
  /** Paths below which everything fails. */
  readonly #broken = new Map<string, DiskErrorCode>()

  constructor(options: SimDiskOptions) {
    this.#random = options.random
    this.#nowMs = () => options.clock?.nowMs() ?? 0
    this.capacityBytes = options.capacityBytes ?? Infinity
  }

  /** Another disk with the same content, synced and not. What is open here is not open there. */
  clone(random: Random): SimDisk {
    const copy = new SimDisk({
      random,
      clock: { nowMs: this.#nowMs },
      capacityBytes: this.capacityBytes,
    })
    copy.#root = this.#root.clone(new Map())
    return copy
  }

  /** Power is cut: open files are dead, locks are free, unsynced changes meet `mode`. */
  crash(mode: CrashMode = 'random'): void {
    this.kill()
    this.#root.crash(mode, this.#random)
  }

  /** The process is killed: open files are dead, locks are free, no byte is lost. */
  kill(): void {
    this.generation++
    this.#locks.clear()
    this.#failures = []
  }

  /** The next operation of this kind fails. Several plans are met in order. */
  failNext(failure: PlannedFailure): void {
    this.#failures.push(failure)
  }

  /** The disk that holds this directory fails, for every process, until it is repaired. */
  breakDirectory(path: string, code: DiskErrorCode = 'IO'): void {
    this.#broken.set(path, code)
  }

  /** It works again, and has what it had. */
  repairDirectory(path: string): void {
    this.#broken.delete(path)
  }

  /** Throws where the disk that holds it is broken. */
  meetBroken(path: string): void {
    for (const [directory, code] of this.#broken) {
      if (`${path}/`.startsWith(`${directory}/`))
        throw new DiskError(code, path, `${code}: ${path} (simulated, the disk is broken)`)
    }
  }

  /** A step of this kind begins. Throws if a failure was planned for it. */
  meetFailure(operation: DiskOperation, path: string): void {
    this.meetBroken(path)
    if (this.onStep !== null && operation !== 'read' && operation !== 'open') this.onStep({ operation, path })
    const failure = this.takeFailure(operation, path)
    if (failure) throw new DiskError(failure.code, path, `${failure.code}: ${operation} ${path} (simulated)`)
  }

  takeFailure(operation: DiskOperation, path: string): PlannedFailure | undefined {
    const index = this.#failures.findIndex((failure) => {
      return failure.operation === operation && path.includes(failure.pathPart ?? '')
    })
    return index < 0 ? undefined : this.#failures.splice(index, 1)[0]
  }

  usedBytes(): number {
    const sizeOf = (node: Node): number =>
      node instanceof FileNode
        ? node.size
        : [...node.entries.values()].reduce((sum, each) => sum + sizeOf(each), 0)
    return sizeOf(this.#root)
  }

  touch(node: FileNode): void {
    node.modifiedMs = this.#nowMs()
  }

  /** For tests that damage files: changes a byte where it lies. */
  corrupt(path: string, position: number, change: (byte: number) => number): void {
    const node = this.#file(path)
    node.bytes[position] = change(node.bytes[position])
    node.durable = Buffer.from(node.bytes.subarray(0, node.size))
    node.unsynced = []
  }

  #split(path: string): string[] {
    return path.split('/').filter((part) => part !== '')
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root
    for (const part of this.#split(path)) {
      if (!(node instanceof DirectoryNode)) return undefined
      node = node.entries.get(part)
    }
    return node
  }

  #file(path: string): FileNode {
    const node = this.#find(path)
    if (node instanceof FileNode) return node
    throw new DiskError('NOT_FOUND', path, `no such file: ${path}`)
  }

  #directory(path: string): DirectoryNode {
    const node = this.#find(path)
    if (node instanceof DirectoryNode) return node
    throw new DiskError('NOT_FOUND', path, `no such directory: ${path}`)
  }

  #parent(path: string): { directory: DirectoryNode; name: string } {
    const parts = this.#split(path)
    const name = parts.pop() ?? ''
    return { directory: this.#directory(parts.join('/')), name }
  }

  open(path: string, mode: 'read' | 'write'): DiskFile {
    this.meetFailure('open', path)
    if (mode === 'write' && this.#find(path) === undefined) {
      this.onStep?.({ operation: 'open', path })
      const { directory, name } = this.#parent(path)
      const created = new FileNode()
      this.touch(created)
      directory.change({ node: created, to: name })
    }
    return new SimFile(this, path, this.#file(path))
  }

  readFile(path: string): Buffer {
    this.meetFailure('read', path)
    const node = this.#file(path)
    return Buffer.from(node.bytes.subarray(0, node.size))
  }

  replaceFile(path: string, content: string | Uint8Array, options: { durable?: boolean } = {}): void {
    const temporary = `${path}.tmp`
    const file = this.open(temporary, 'write')
    file.truncate(0)
    file.write([Buffer.from(content as Uint8Array)], 0)
    if (options.durable ?? true) file.syncNow()
    file.close()
    this.rename(temporary, path)
    if (options.durable ?? true) this.syncDirectory(this.#split(path).slice(0, -1).join('/'))
  }

  stat(path: string): DiskStat | null {
    this.meetBroken(path)
    const node = this.#find(path)
    if (node === undefined) return null
    if (node instanceof DirectoryNode) return { size: 0, modifiedMs: 0, isDirectory: true }
    return { size: node.size, modifiedMs: node.modifiedMs, isDirectory: false }
  }

  list(path: string): string[] {
    this.meetBroken(path)
    return [...this.#directory(path).entries.keys()].sort()
  }

  makeDirectory(path: string): void {
    this.meetFailure('makeDirectory', path)
    let directory = this.#root
    for (const part of this.#split(path)) {
      let next = directory.entries.get(part)
      if (next === undefined) {
        next = new DirectoryNode()
        directory.change({ node: next, to: part })
      }
      if (!(next instanceof DirectoryNode)) throw new DiskError('EXISTS', path, `${path} is a file`)
      directory = next
    }
  }

  rename(from: string, to: string): void {
    this.meetFailure('rename', from)
    const node = this.#find(from)
    if (node === undefined) throw new DiskError('NOT_FOUND', from, `no such file: ${from}`)
    const source = this.#parent(from)
    const target = this.#parent(to)
    if (source.directory === target.directory) {
      return source.directory.change({ node, from: source.name, to: target.name })
    }
    source.directory.change({ node, from: source.name })
    target.directory.change({ node, to: target.name })
  }

  remove(path: string): void {
    this.meetFailure('remove', path)
    const node = this.#find(path)
    if (node === undefined) return
    const { directory, name } = this.#parent(path)
    directory.change({ node, from: name })
  }

  setModifiedTime(path: string, modifiedMs: number): void {
    this.meetBroken(path)
    this.#file(path).modifiedMs = modifiedMs
  }

  syncDirectory(path: string): void {
    this.meetFailure('sync', path)
    this.#directory(path).settle()
  }

  lock(path: string): { release(): void } {
    if (this.#locks.has(path)) throw new DiskError('LOCKED', path, `${path} is locked by another broker`)
    this.open(path, 'write').close()
    this.#locks.add(path)
    return { release: () => this.#locks.delete(path) }
  }

  space(path: string): { totalBytes: number; usableBytes: number } {
    this.meetBroken(path)
    return this.room()
  }

  room(): { totalBytes: number; usableBytes: number } {
    const totalBytes = Math.min(this.capacityBytes, Number.MAX_SAFE_INTEGER)
    return { totalBytes, usableBytes: Math.max(0, totalBytes - this.usedBytes()) }
  }
}

class SimFile implements DiskFile {
  readonly path: string
  readonly #disk: SimDisk
  readonly #node: FileNode
  readonly #generation: number
  #closed = false

  constructor(disk: SimDisk, path: string, node: FileNode) {
    this.path = path
    this.#disk = disk
    this.#node = node
    this.#generation = disk.generation
  }

  #check(): void {
    if (this.#closed || this.#generation !== this.#disk.generation) {
      throw new DiskError('IO', this.path, `${this.path} is closed`)
    }
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    this.#check()
    this.#disk.meetFailure('read', this.path)
    const end = Math.min(this.#node.size, position + length)
    if (end <= position) return 0
    target.set(this.#node.bytes.subarray(position, end), offset)
    return end - position
  }

  write(chunks: readonly Uint8Array[], position: number): void {
    this.#check()
    this.#disk.meetBroken(this.path)
    const bytes = Buffer.concat(chunks)
    this.#disk.onStep?.({ operation: 'write', path: this.path, write: { position, bytes } })
    const failure = this.#disk.takeFailure('write', this.path)
    if (failure) {
      this.#apply({ type: 'write', position, bytes: bytes.subarray(0, failure.bytesWritten ?? 0) })
      throw new DiskError(failure.code, this.path, `${failure.code}: write ${this.path} (simulated)`)
    }
    const growth = Math.max(0, position + bytes.length - this.#node.size)
    const room = this.#disk.capacityBytes === Infinity ? Infinity : this.#disk.room().usableBytes
    if (growth > room) {
      this.#apply({ type: 'write', position, bytes: bytes.subarray(0, bytes.length - (growth - room)) })
      throw new DiskError('NO_SPACE', this.path, `no space left on device, write ${this.path}`)
    }
    this.#apply({ type: 'write', position, bytes })
  }

  #apply(change: Change): void {
    if (change.type === 'write' && change.bytes.length === 0) return
    this.#node.apply(change)
    this.#node.unsynced.push(change)
    this.#disk.touch(this.#node)
  }

  truncate(size: number): void {
    this.#check()
    this.#disk.meetFailure('truncate', this.path)
    this.#apply({ type: 'truncate', size })
  }

  size(): number {
    this.#check()
    this.#disk.meetBroken(this.path)
    return this.#node.size
  }

  async sync(): Promise<void> {
    this.#check()
    this.#meetSyncFailure()
    const { generation } = this.#disk
    const covered = this.#node.unsynced.at(-1)
    await Promise.resolve()
    if (generation !== this.#disk.generation) {
      throw new DiskError('IO', this.path, `${this.path}: the process ended during a sync`)
    }
    if (covered !== undefined) this.#node.settle(this.#node.unsynced.indexOf(covered) + 1)
  }

  syncNow(): void {
    this.#check()
    this.#meetSyncFailure()
    this.#node.settle(this.#node.unsynced.length)
  }

  #meetSyncFailure(): void {
    this.#disk.meetBroken(this.path)
    this.#disk.onStep?.({ operation: 'sync', path: this.path })
    const failure = this.#disk.takeFailure('sync', this.path)
    if (failure === undefined) return
    if (failure.losesPages) this.#node.losePages()
    throw new DiskError(failure.code, this.path, `${failure.code}: sync ${this.path} (simulated)`)
  }

  close(): void {
    this.#closed = true
  }
}
