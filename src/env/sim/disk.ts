/**
 * A disk in memory that forgets what was not synced. Writes, truncations and directory entries count as durable only
 * after `sync` or `syncDirectory`; `crash` drops, keeps or tears the rest by the seed, as a power cut does. `kill` is the
 * milder end: the process is gone, every byte stays.
 */
import { DiskError, type Disk, type DiskErrorCode, type DiskFile, type DiskStat } from '../disk.ts'
import type { Clock, Random } from '../env.ts'

type Change =
  | { readonly type: 'write'; readonly position: number; readonly bytes: Buffer }
  | { readonly type: 'truncate'; readonly size: number }

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

/** What a crash does to what was not synced: each change by itself kept, dropped or torn; or all dropped; or all kept. */
export type CrashMode = 'random' | 'drop' | 'keep'

class FileNode {
  bytes = Buffer.alloc(0)
  size = 0
  durable = Buffer.alloc(0)
  unsynced: Change[] = []
  modifiedMs = 0

  #lostPages = false

  /** What was not synced is in memory only, and no sync will find it. */
  losePages(): void {
    this.unsynced = []
    this.#lostPages = true
  }

  apply(change: Change): void {
    if (change.type === 'truncate') this.#resize(change.size)
    else {
      this.#resize(Math.max(this.size, change.position + change.bytes.length))
      change.bytes.copy(this.bytes, change.position)
    }
  }

  #resize(size: number): void {
    if (size > this.bytes.length) {
      const larger = Buffer.alloc(Math.max(size, 2 * this.bytes.length))
      this.bytes.copy(larger, 0, 0, this.size)
      this.bytes = larger
    }
    if (size < this.size) this.bytes.fill(0, size, this.size)
    this.size = size
  }

  /** The first `count` unsynced changes are on the platter. */
  settle(count: number): void {
    if (count === 0) return
    const rest = this.unsynced.slice(count)
    this.reset(this.durable)
    for (const change of this.unsynced.slice(0, count)) this.apply(change)
    this.durable = Buffer.from(this.bytes.subarray(0, this.size))
    this.unsynced = rest
    for (const change of rest) this.apply(change)
  }

  clone(): FileNode {
    const copy = new FileNode()
    copy.reset(this.bytes.subarray(0, this.size))
    copy.durable = this.durable
    copy.unsynced = this.unsynced.slice()
    copy.modifiedMs = this.modifiedMs
    copy.#lostPages = this.#lostPages
    return copy
  }

  reset(content: Buffer): void {
    this.bytes = Buffer.from(content)
    this.size = content.length
  }

  crash(mode: CrashMode, random: Random): void {
    const changes = this.unsynced
    this.unsynced = []
    if (this.#lostPages || (mode !== 'keep' && changes.length > 0)) {
      this.reset(this.durable)
      if (mode === 'random') this.#applySome(changes, random)
      if (mode === 'keep') for (const change of changes) this.apply(change)
    }
    this.#lostPages = false
    this.durable = Buffer.from(this.bytes.subarray(0, this.size))
  }

  /** The last one may be torn. */
  #applySome(changes: readonly Change[], random: Random): void {
    const kept = someOf(changes, random)
    kept.forEach((change, index) => {
      const torn = index === kept.length - 1 && change.type === 'write' && random.next() < 0.5
      if (!torn || change.type !== 'write') return this.apply(change)
      const length = Math.floor(random.next() * change.bytes.length)
      this.apply({ ...change, bytes: change.bytes.subarray(0, length) })
    })
  }
}

/** A file appears (`to`), goes (`from`), or changes its name within the directory (both): all of it or nothing. */
interface NameChange {
  readonly node: Node
  readonly from?: string
  readonly to?: string
}

class DirectoryNode {
  entries = new Map<string, Node>()
  #durable = new Map<string, Node>()
  #unsynced: NameChange[] = []

  change(change: NameChange): void {
    this.#apply(change)
    this.#unsynced.push(change)
  }

  #apply({ node, from, to }: NameChange): void {
    if (from !== undefined) this.entries.delete(from)
    if (to !== undefined) this.entries.set(to, node)
  }

  settle(): void {
    this.#durable = new Map(this.entries)
    this.#unsynced = []
  }

  /** `copies`: of the nodes copied so far, since one may be known under two names. */
  clone(copies: Map<Node, Node>): DirectoryNode {
    const copy = new DirectoryNode()
    const copyOf = (node: Node): Node => {
      let known = copies.get(node)
      if (known === undefined) copies.set(node, (known = node.clone(copies)))
      return known
    }
    const copyAll = (names: Map<string, Node>) =>
      new Map([...names].map(([name, node]) => [name, copyOf(node)]))
    copy.entries = copyAll(this.entries)
    copy.#durable = copyAll(this.#durable)
    copy.#unsynced = this.#unsynced.map((change) => ({ ...change, node: copyOf(change.node) }))
    return copy
  }

  crash(mode: CrashMode, random: Random): void {
    const changes = this.#unsynced
    if (mode !== 'keep' && changes.length > 0) {
      this.entries = new Map(this.#durable)
      if (mode === 'random') for (const change of someOf(changes, random)) this.#apply(change)
    }
    this.settle()
    for (const node of this.entries.values()) node.crash(mode, random)
  }
}

/** Half of the time those up to some change, else any of them. */
function someOf<T>(changes: readonly T[], random: Random): readonly T[] {
  return random.next() < 0.5
    ? changes.slice(0, Math.floor(random.next() * (changes.length + 1)))
    : changes.filter(() => random.next() < 0.5)
}

type Node = FileNode | DirectoryNode

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
