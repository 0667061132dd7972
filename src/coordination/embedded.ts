/**
 * The embedded coordination store: ZooKeeper's tree inside this process, journaled to the data directory.
 *
 * Operations of all sessions stand in one queue. A batch is what has queued up by the next turn of the event loop: it is
 * applied in order, journaled with one write, made durable with one sync, and only then are answers given and watches run,
 * in the same order. What queues up meanwhile is the next batch, so nothing ever sees a change that a crash could undo.
 * A batch that touches ephemeral nodes only is not synced: they die with the process anyway, and so does whoever could
 * remember a zxid that a power cut lost.
 */
import { CoordinationError } from '../env/coordination.ts'
import type {
  Coordination,
  CoordinationOperation,
  CoordinationResult,
  CoordinationSession,
  CreateMode,
  SessionState,
  Watch,
  ZnodeStat,
} from '../env/coordination.ts'
import { DiskError } from '../env/disk.ts'
import type { Disk } from '../env/disk.ts'
import type { Clock, Logger, Timers } from '../env/env.ts'
import { EPOCH_SIZE, Journal, dropEphemerals, epochOf } from './journal.ts'
import { encodeTransaction } from './journal-format.ts'
import { WatchTable } from './watch-table.ts'
import { ZnodeTree, newTransaction } from './znode-tree.ts'
import type { Transaction } from './znode-tree.ts'

export interface EmbeddedCoordinationOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  /** Where the journal and the snapshot lie; null keeps everything in memory. The caller holds the directory's lock. */
  readonly directory: string | null
  /** The journal is folded into a snapshot when it is longer than this; COMPACTION_BYTES by default. */
  readonly compactionBytes?: number
}

export interface EmbeddedCoordination extends Coordination {
  /** Ends a session as a ZooKeeper that has not heard of it for its timeout does. For tests of failure. */
  expire(sessionId: bigint): Promise<void>
  /** Ends all sessions and closes the files. */
  close(): Promise<void>
}

/** The files are opened and loaded by the first `connect`, which rejects with STORAGE or the disk's error. */
export function createEmbeddedCoordination(options: EmbeddedCoordinationOptions): EmbeddedCoordination {
  return new EmbeddedStore(options)
}

/** Gives an answer or runs watches; called in order when the batch is durable. */
type Delivery = () => void

/** One operation in the queue. `read` and `write` look at the tree, say what to answer, and throw CoordinationError. */
type Entry = {
  readonly fail: (error: CoordinationError) => void
} & (
  | { readonly read: () => Delivery }
  | { readonly read: null; readonly write: (transaction: Transaction) => Delivery }
)

class EmbeddedStore implements EmbeddedCoordination {
  readonly #options: EmbeddedCoordinationOptions
  readonly tree = new ZnodeTree()
  readonly watches = new WatchTable()
  readonly #sessions = new Map<bigint, EmbeddedSession>()
  #journal: Journal | null = null
  #loaded = false
  #closed = false
  #queue: Entry[] = []
  #running = false
  #zxid = EPOCH_SIZE

  constructor(options: EmbeddedCoordinationOptions) {
    this.#options = options
  }

  async connect(options: { sessionTimeoutMs: number }): Promise<CoordinationSession> {
    void options // A session in the same process is always heard of.
    if (this.#closed) throw new CoordinationError('CONNECTION_LOSS', '/')
    if (!this.#loaded) this.#load()
    const session = new EmbeddedSession(this, this.#nextZxid())
    this.#sessions.set(session.id, session)
    return session
  }

  async expire(sessionId: bigint): Promise<void> {
    await this.#sessions.get(sessionId)?.end('expired')
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#sessions.values()].map((session) => session.end('closed')))
    this.#compact(true)
    this.#journal?.close()
  }

  /** Queues the end of a session behind all that it asked for before. */
  endSession(session: EmbeddedSession, delivery: Delivery): void {
    const end: Entry = {
      read: null,
      write: (transaction) => {
        this.tree.closeSession(transaction, session.number)
        return () => {
          this.#forget(session)
          delivery()
        }
      },
      // The journal is of no use, but the session has ended all the same: only memory is told, and the next journaled
      // batch writes it all anew.
      fail: () => {
        const transaction = this.#newTransaction()
        this.tree.closeSession(transaction, session.number)
        this.tree.commit()
        this.#journal?.distrust()
        this.#forget(session)
        this.#fireWatches(transaction)
        delivery()
      },
    }
    this.submit(end)
  }

  #forget(session: EmbeddedSession): void {
    this.#sessions.delete(session.id)
    this.watches.dropSession(session.number)
  }

  submit(entry: Entry): void {
    this.#queue.push(entry)
    if (this.#running) return
    this.#running = true
    this.#options.timers.soon(() => void this.#runBatches())
  }

  async #runBatches(): Promise<void> {
    const batch = this.#queue
    this.#queue = []
    await this.#runBatch(batch)
    this.#compact(false)
    if (this.#queue.length === 0) this.#running = false
    else this.#options.timers.soon(() => void this.#runBatches())
  }

  async #runBatch(batch: readonly Entry[]): Promise<void> {
    const deliveries: Delivery[] = []
    const records: Buffer[] = []
    let durable = false
    for (const entry of batch) {
      if (entry.read !== null) {
        deliveries.push(runRead(entry.read, entry.fail))
        continue
      }
      const transaction = this.#newTransaction()
      deliveries.push(this.#runWrite(entry.write, entry.fail, transaction))
      if (transaction.changes.length === 0) continue
      if (this.#journal !== null) records.push(encodeTransaction(transaction))
      durable ||= transaction.durable
    }
    try {
      // Without an await where nothing is written: answers come in this same turn.
      if (records.length > 0) this.#journal!.append(records, this.tree, this.#zxid)
      if (this.#journal !== null && (durable || this.#journal.wantsSync)) await this.#journal.sync()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      return this.#failBatch(batch, error)
    }
    this.tree.commit()
    for (const deliver of deliveries) deliver()
  }

  /** All or nothing: an operation that fails has changed nothing. */
  #runWrite(
    write: (transaction: Transaction) => Delivery,
    fail: (error: CoordinationError) => void,
    transaction: Transaction,
  ): Delivery {
    const mark = this.tree.mark()
    try {
      const deliver = write(transaction)
      return () => {
        this.#fireWatches(transaction)
        deliver()
      }
    } catch (error) {
      if (!(error instanceof CoordinationError)) throw error
      this.tree.rollback(mark)
      transaction.changes.length = 0
      transaction.durable = false
      return () => fail(error)
    }
  }

  /** The journal could not take the batch: its writes did not happen, its reads see the tree without them. */
  #failBatch(batch: readonly Entry[], error: DiskError): void {
    this.#options.logger.log('error', 'the coordination journal cannot be written', {
      file: error.path,
      reason: error.message,
    })
    this.tree.rollback(0)
    for (const entry of batch) {
      if (entry.read === null) entry.fail(new CoordinationError('STORAGE', error.path))
      else runRead(entry.read, entry.fail)()
    }
    this.tree.commit()
  }

  #compact(atStop: boolean): void {
    if (this.#journal === null || !this.#journal.wantsCompaction(atStop)) return
    try {
      this.#journal.compact(this.tree, this.#zxid)
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      // Nothing is lost: the journal goes on growing until there is room for a snapshot.
      this.#options.logger.log('warn', 'the coordination snapshot cannot be written', {
        reason: error.message,
      })
    }
  }

  /**
   * In microtasks, so that an answer given earlier in the same batch is seen first, as on a connection that carries both.
   */
  #fireWatches(transaction: Transaction): void {
    for (const event of transaction.events)
      for (const watch of this.watches.take(event)) void Promise.resolve().then(() => watch(event))
  }

  #newTransaction(): Transaction {
    return newTransaction(this.#nextZxid(), this.#options.clock.nowMs())
  }

  #nextZxid(): number {
    return ++this.#zxid
  }

  #load(): void {
    const { disk, logger, clock, directory, compactionBytes } = this.#options
    if (directory !== null) {
      this.#journal = new Journal({ disk, logger, directory, compactionBytes }, this.tree)
      const epoch = epochOf(this.#journal.lastZxid) + 1
      dropEphemerals(this.tree, epoch, clock.nowMs())
      this.tree.commit()
      this.#zxid = epoch * EPOCH_SIZE
    }
    this.#loaded = true
  }
}

class EmbeddedSession implements CoordinationSession {
  readonly id: bigint
  readonly number: number
  readonly #store: EmbeddedStore
  readonly #listeners: ((state: SessionState) => void)[] = []
  #ended: Promise<void> | null = null

  constructor(store: EmbeddedStore, number: number) {
    this.#store = store
    this.number = number
    this.id = BigInt(number)
  }

  create(path: string, data: Buffer | null, mode: CreateMode = 'persistent'): Promise<string> {
    const kept = copy(data)
    return this.#write((transaction) =>
      this.#store.tree.create(transaction, path, kept, { mode, session: this.number }),
    )
  }

  get(path: string, watch?: Watch): Promise<{ data: Buffer | null; stat: ZnodeStat }> {
    return this.#read(
      () => {
        const node = this.#store.tree.require(path)
        return { data: copy(node.data), stat: node.stat() }
      },
      () => watch && this.#store.watches.watchData(path, watch, this.number),
    )
  }

  set(path: string, data: Buffer | null, version = -1): Promise<ZnodeStat> {
    const kept = copy(data)
    return this.#write((transaction) => this.#store.tree.set(transaction, path, kept, version))
  }

  delete(path: string, version = -1): Promise<void> {
    return this.#write((transaction) => this.#store.tree.delete(transaction, path, version))
  }

  exists(path: string, watch?: Watch): Promise<ZnodeStat | null> {
    return this.#read(
      () => {
        try {
          return this.#store.tree.require(path).stat()
        } catch (error) {
          if (error instanceof CoordinationError && error.code === 'NO_NODE') return null
          throw error
        }
      },
      () => watch && this.#store.watches.watchData(path, watch, this.number),
    )
  }

  children(path: string, watch?: Watch): Promise<string[]> {
    return this.#read(
      () => [...(this.#store.tree.require(path).children?.keys() ?? [])].sort(),
      () => watch && this.#store.watches.watchChildren(path, watch, this.number),
    )
  }

  multi(operations: readonly CoordinationOperation[]): Promise<CoordinationResult[]> {
    const kept = operations.map((operation) =>
      'data' in operation ? { ...operation, data: copy(operation.data) } : operation,
    )
    return this.#write((transaction) =>
      kept.map((operation, index) => {
        try {
          return this.#apply(transaction, operation)
        } catch (error) {
          if (error instanceof CoordinationError) throw new CoordinationError(error.code, error.path, index)
          throw error
        }
      }),
    )
  }

  onState(listener: (state: SessionState) => void): void {
    this.#listeners.push(listener)
  }

  close(): Promise<void> {
    return this.end('closed')
  }

  end(state: 'closed' | 'expired'): Promise<void> {
    return (this.#ended ??= new Promise((resolve) => {
      this.#store.endSession(this, () => {
        for (const listener of this.#listeners) listener(state)
        resolve()
      })
    }))
  }

  #apply(transaction: Transaction, operation: CoordinationOperation): CoordinationResult {
    const { tree } = this.#store
    if (operation.type === 'create') {
      const node = { mode: operation.mode ?? 'persistent', session: this.number }
      return { type: 'create', path: tree.create(transaction, operation.path, operation.data, node) }
    }
    const version = operation.version ?? -1
    if (operation.type === 'set')
      return { type: 'set', stat: tree.set(transaction, operation.path, operation.data, version) }
    if (operation.type === 'delete') tree.delete(transaction, operation.path, version)
    else tree.check(operation.path, version)
    return { type: operation.type }
  }

  /** The watch is left when the answer is given, and only if there is one. */
  #read<T>(read: () => T, leaveWatch: () => void): Promise<T> {
    if (this.#ended !== null) return expired()
    return new Promise((resolve, reject) => {
      const run = (): Delivery => {
        const result = read()
        return () => {
          leaveWatch()
          resolve(result)
        }
      }
      this.#store.submit({ read: run, fail: reject })
    })
  }

  #write<T>(write: (transaction: Transaction) => T): Promise<T> {
    if (this.#ended !== null) return expired()
    return new Promise((resolve, reject) => {
      const run = (transaction: Transaction): Delivery => {
        const result = write(transaction)
        return () => resolve(result)
      }
      this.#store.submit({ read: null, write: run, fail: reject })
    })
  }
}

function runRead(read: () => Delivery, fail: (error: CoordinationError) => void): Delivery {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof CoordinationError)) throw error
    return () => fail(error)
  }
}

function expired(): Promise<never> {
  return Promise.reject(new CoordinationError('SESSION_EXPIRED', '/'))
}

function copy(data: Buffer | null): Buffer | null {
  return data === null ? null : Buffer.from(data)
}
