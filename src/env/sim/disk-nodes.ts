/** What lies on a simulated disk: files and directories that know what of them is durable, and what a power cut leaves. */
import type { Random } from '../env.ts'

export type Change =
  | { readonly type: 'write'; readonly position: number; readonly bytes: Buffer }
  | { readonly type: 'truncate'; readonly size: number }

/** What a crash does to what was not synced: each change by itself kept, dropped or torn; or all dropped; or all kept. */
export type CrashMode = 'random' | 'drop' | 'keep'

export class FileNode {
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

export class DirectoryNode {
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

export type Node = FileNode | DirectoryNode
