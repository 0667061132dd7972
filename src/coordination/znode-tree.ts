/**
 * ZooKeeper's data tree in memory: what each operation checks and changes, in ZooKeeper's order of checks. Pure: no clock,
 * no disk. Every change can be undone until `commit`, so that a multi is all or nothing and so that a batch which could
 * not be journaled leaves no trace.
 */
import { CoordinationError } from '../env/coordination.ts'
import type { CreateMode, WatchEvent, ZnodeStat } from '../env/coordination.ts'
import { isValidPath, nodeName, parentPath } from '../base/znode-path.ts'

/** Largest data of one znode (jute.maxbuffer of a ZooKeeper server). More is BAD_ARGUMENTS. */
const MAX_ZNODE_BYTES = 1024 * 1024

export class Znode {
  data: Buffer | null
  children: Map<string, Znode> | null = null
  /** Session id, 0 for a persistent node. */
  owner: number
  czxid: number
  mzxid: number
  pzxid: number
  ctimeMs: number
  mtimeMs: number
  version = 0
  /** Children ever created below this node: the next sequence number. */
  creations = 0

  constructor(data: Buffer | null, owner: number, zxid: number, timeMs: number) {
    this.data = data
    this.owner = owner
    this.czxid = zxid
    this.mzxid = zxid
    this.pzxid = zxid
    this.ctimeMs = timeMs
    this.mtimeMs = timeMs
  }

  stat(): ZnodeStat {
    const childCount = this.children === null ? 0 : this.children.size
    return {
      czxid: this.czxid,
      mzxid: this.mzxid,
      pzxid: this.pzxid,
      ctimeMs: this.ctimeMs,
      mtimeMs: this.mtimeMs,
      version: this.version,
      // ZooKeeper counts creations and shows creations plus deletions (DataNode.copyStat).
      childrenVersion: this.creations * 2 - childCount,
      ephemeralOwner: this.owner === 0 ? 0n : BigInt(this.owner),
      dataLength: this.data === null ? 0 : this.data.length,
      childCount,
    }
  }
}

/** What a transaction did, as it is journaled: sequence numbers resolved, versions already checked. */
export type Change =
  | { readonly type: 'create'; readonly path: string; readonly data: Buffer | null; readonly owner: number }
  | { readonly type: 'set'; readonly path: string; readonly data: Buffer | null }
  | { readonly type: 'delete'; readonly path: string }
  | { readonly type: 'close'; readonly session: number }

/** One atomic step of the tree, under one zxid. */
export interface Transaction {
  readonly zxid: number
  readonly timeMs: number
  readonly changes: Change[]
  readonly events: WatchEvent[]
  /** It changed something that must outlive the process. */
  durable: boolean
}

export function newTransaction(zxid: number, timeMs: number): Transaction {
  return { zxid, timeMs, changes: [], events: [], durable: false }
}

export class ZnodeTree {
  readonly root = new Znode(null, 0, 0, 0)
  /** Paths of the ephemeral nodes of each session. */
  readonly #ephemerals = new Map<number, Set<string>>()
  #undo: (() => void)[] = []
  /** Replay needs no undo. */
  recordUndo = true

  find(path: string): Znode | undefined {
    if (path === '/') return this.root
    let node: Znode | undefined = this.root
    let start = 1
    while (node !== undefined) {
      const end = path.indexOf('/', start)
      if (end < 0) return node.children?.get(path.slice(start))
      node = node.children?.get(path.slice(start, end))
      start = end + 1
    }
    return undefined
  }

  /** The node, or NO_NODE, or BAD_ARGUMENTS for a path that cannot be. */
  require(path: string): Znode {
    if (!isValidPath(path)) throw new CoordinationError('BAD_ARGUMENTS', path)
    const node = this.find(path)
    if (node === undefined) throw new CoordinationError('NO_NODE', path)
    return node
  }

  /** Returns the path made. `session` owns it when `mode` is ephemeral. */
  create(
    transaction: Transaction,
    path: string,
    data: Buffer | null,
    node: { mode: CreateMode; session: number },
  ): string {
    const sequential = node.mode === 'persistent_sequential' || node.mode === 'ephemeral_sequential'
    if (!isValidPath(sequential ? `${path}1` : path)) throw new CoordinationError('BAD_ARGUMENTS', path)
    checkSize(path, data)
    const parent = this.find(parentPath(path))
    if (parent === undefined) throw new CoordinationError('NO_NODE', path)
    const made = sequential ? path + String(parent.creations).padStart(10, '0') : path
    if (this.find(made) !== undefined) throw new CoordinationError('NODE_EXISTS', made)
    if (parent.owner !== 0) throw new CoordinationError('NO_CHILDREN_FOR_EPHEMERALS', made)
    const owner = node.mode === 'ephemeral' || node.mode === 'ephemeral_sequential' ? node.session : 0
    this.#add(transaction, made, parent, new Znode(data, owner, transaction.zxid, transaction.timeMs))
    return made
  }

  set(transaction: Transaction, path: string, data: Buffer | null, version: number): ZnodeStat {
    const node = this.require(path)
    checkSize(path, data)
    checkVersion(path, node, version)
    const { data: oldData, mzxid, mtimeMs } = node
    node.data = data
    node.version++
    node.mzxid = transaction.zxid
    node.mtimeMs = transaction.timeMs
    this.#record(() => {
      node.data = oldData
      node.version--
      node.mzxid = mzxid
      node.mtimeMs = mtimeMs
    })
    transaction.changes.push({ type: 'set', path, data })
    transaction.events.push({ type: 'data_changed', path })
    if (node.owner === 0) transaction.durable = true
    return node.stat()
  }

  delete(transaction: Transaction, path: string, version: number): void {
    const node = this.require(path)
    if (path === '/') throw new CoordinationError('BAD_ARGUMENTS', path)
    checkVersion(path, node, version)
    if (node.children !== null && node.children.size > 0) throw new CoordinationError('NOT_EMPTY', path)
    this.#remove(transaction, path, node)
    transaction.changes.push({ type: 'delete', path })
  }

  check(path: string, version: number): void {
    checkVersion(path, this.require(path), version)
  }

  /** Removes the session's ephemeral nodes. */
  closeSession(transaction: Transaction, session: number): void {
    const paths = this.#ephemerals.get(session)
    if (paths === undefined || paths.size === 0) return
    for (const path of [...paths].sort()) this.#remove(transaction, path, this.require(path))
    transaction.changes.push({ type: 'close', session })
  }

  /** Sessions that own a node. */
  sessionsWithEphemerals(): number[] {
    return [...this.#ephemerals.keys()]
  }

  /** Applies a journaled change. Throws CoordinationError where it does not fit the tree. */
  replay(transaction: Transaction, change: Change): void {
    if (change.type === 'create') {
      const parent = this.find(parentPath(change.path))
      if (parent === undefined) throw new CoordinationError('NO_NODE', change.path)
      if (parent.children?.has(nodeName(change.path))) throw new CoordinationError('NODE_EXISTS', change.path)
      const node = new Znode(change.data, change.owner, transaction.zxid, transaction.timeMs)
      this.#add(transaction, change.path, parent, node)
    } else if (change.type === 'set') this.set(transaction, change.path, change.data, -1)
    else if (change.type === 'delete') this.delete(transaction, change.path, -1)
    else this.closeSession(transaction, change.session)
  }

  /** Puts a node read from a snapshot below `parent`, which counts it already. */
  restore(parent: Znode, name: string, node: Znode, path: string): void {
    ;(parent.children ??= new Map()).set(name, node)
    if (node.owner !== 0) this.#ephemeralPaths(node.owner).add(path)
  }

  /** A point to roll back to. */
  mark(): number {
    return this.#undo.length
  }

  rollback(mark: number): void {
    while (this.#undo.length > mark) this.#undo.pop()!()
  }

  /** Forgets how to undo. */
  commit(): void {
    this.#undo = []
  }

  #add(transaction: Transaction, path: string, parent: Znode, node: Znode): void {
    const name = nodeName(path)
    const { pzxid } = parent
    const children = (parent.children ??= new Map<string, Znode>())
    children.set(name, node)
    parent.creations++
    parent.pzxid = transaction.zxid
    if (node.owner !== 0) this.#ephemeralPaths(node.owner).add(path)
    else transaction.durable = true
    this.#record(() => {
      children.delete(name)
      parent.creations--
      parent.pzxid = pzxid
      if (node.owner !== 0) this.#forgetEphemeral(node.owner, path)
    })
    transaction.changes.push({ type: 'create', path, data: node.data, owner: node.owner })
    transaction.events.push({ type: 'created', path })
    transaction.events.push({ type: 'children_changed', path: parentPath(path) })
  }

  #remove(transaction: Transaction, path: string, node: Znode): void {
    const parent = this.find(parentPath(path))!
    const name = nodeName(path)
    const { pzxid } = parent
    parent.children!.delete(name)
    parent.pzxid = transaction.zxid
    if (node.owner !== 0) this.#forgetEphemeral(node.owner, path)
    else transaction.durable = true
    this.#record(() => {
      parent.children!.set(name, node)
      parent.pzxid = pzxid
      if (node.owner !== 0) this.#ephemeralPaths(node.owner).add(path)
    })
    transaction.events.push({ type: 'deleted', path })
    transaction.events.push({ type: 'children_changed', path: parentPath(path) })
  }

  #record(undo: () => void): void {
    if (this.recordUndo) this.#undo.push(undo)
  }

  #ephemeralPaths(session: number): Set<string> {
    let paths = this.#ephemerals.get(session)
    if (paths === undefined) this.#ephemerals.set(session, (paths = new Set()))
    return paths
  }

  #forgetEphemeral(session: number, path: string): void {
    const paths = this.#ephemerals.get(session)
    if (paths === undefined) return
    paths.delete(path)
    if (paths.size === 0) this.#ephemerals.delete(session)
  }
}

function checkVersion(path: string, node: Znode, version: number): void {
  if (version !== -1 && version !== node.version) throw new CoordinationError('BAD_VERSION', path)
}

function checkSize(path: string, data: Buffer | null): void {
  if (data !== null && data.length > MAX_ZNODE_BYTES) throw new CoordinationError('BAD_ARGUMENTS', path)
}
