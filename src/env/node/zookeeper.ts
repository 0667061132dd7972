/**
 * Coordination by a real ZooKeeper ensemble, through node-zookeeper-client (zookeeper-guard.ts makes it safe). One
 * `connect` is one session on one client: when it has expired, the caller connects again and registers everything anew.
 * An operation that was under way when the connection broke rejects with CONNECTION_LOSS: it may have happened or not.
 */
import type { ACL, Client, Event, Exception, Stat } from 'node-zookeeper-client'
import { isValidPath } from '../../base/znode-path.ts'
import { CoordinationError } from '../coordination.ts'
import type {
  Coordination,
  CoordinationErrorCode,
  CoordinationOperation,
  CoordinationResult,
  CoordinationSession,
  CreateMode,
  SessionState,
  Watch,
  WatchEvent,
  ZnodeStat,
} from '../coordination.ts'
import type { Clock, Timers } from '../env.ts'
import { guardConnection, zookeeperModule, type ConnectionGuard } from './zookeeper-guard.ts'

export interface ZookeeperOptions {
  readonly clock: Clock
  readonly timers: Timers
  /** `host:port,host:port/chroot`, as in `zookeeper.connect`. A chroot is made where it is missing. */
  readonly connect: string
  /** zookeeper.connection.timeout.ms: `connect` rejects with CONNECTION_LOSS after this. */
  readonly connectionTimeoutMs: number
  /** Digest credentials, `user:password`; null: none. */
  readonly digest?: string | null
  /** zookeeper.set.acl: nodes that are made may be changed by their maker alone, and read by all unless they hold secrets. */
  readonly setAcl?: boolean
}

/** What begins so others must not read (Kafka's ZkData.SensitiveRootPaths). */
const SECRET_PATHS = ['/config/users', '/config/brokers', '/delegation_token/tokens']
/** Anybody may write here: old consumers do. */
const OPEN_PATH = '/consumers'

const OPERATION = { create: 1, delete: 2, set: 5, check: 13 } as const
const OPERATION_ERROR = -1
/** How long a session that is closed waits for the ensemble to say so. */
const CLOSE_TIMEOUT_MS = 3000

export function createZookeeperCoordination(options: ZookeeperOptions): Coordination {
  const slash = options.connect.indexOf('/')
  const servers = slash < 0 ? options.connect : options.connect.slice(0, slash)
  const chroot = slash < 0 ? '' : options.connect.slice(slash).replace(/\/+$/, '')
  let chrootMade = chroot === ''
  return {
    async connect({ sessionTimeoutMs }) {
      const session = new ZookeeperSession(options, servers, chroot, sessionTimeoutMs)
      await session.connected()
      try {
        if (!chrootMade) await session.makeChroot()
        chrootMade = true
      } catch (error) {
        await session.close()
        throw error
      }
      return session
    },
  }
}

class ZookeeperSession implements CoordinationSession {
  readonly #options: ZookeeperOptions
  readonly #client: Client
  readonly #guard: ConnectionGuard
  readonly #chroot: string
  readonly #listeners: ((state: SessionState) => void)[] = []
  /** The client knows a watch by its function: the same watch left twice must be the same function there. */
  readonly #watchers = new WeakMap<Watch, (event: Event) => void>()
  #state: SessionState = 'disconnected'
  #closing: Promise<void> | null = null

  constructor(options: ZookeeperOptions, servers: string, chroot: string, sessionTimeoutMs: number) {
    const { createClient, State } = zookeeperModule()
    this.#options = options
    this.#chroot = chroot
    this.#client = createClient(servers, { sessionTimeout: sessionTimeoutMs, spinDelay: 100, retries: 0 })
    if (options.digest) this.#client.addAuthInfo('digest', Buffer.from(options.digest))
    this.#guard = guardConnection(this.#client, options)
    this.#client.on('state', (state) => {
      if (state === State.SYNC_CONNECTED) this.#become('connected')
      else if (state === State.EXPIRED) this.#become('expired')
      else if (state === State.DISCONNECTED && this.#closing === null) this.#become('disconnected')
    })
    this.#guard.onClosed(() => this.#guard.stop())
  }

  get id(): bigint {
    return this.#client.getSessionId().readBigUInt64BE()
  }

  /** Rejects with CONNECTION_LOSS when no server has answered in time. */
  connected(): Promise<void> {
    const { timers, connectionTimeoutMs, connect } = this.#options
    return new Promise((resolve, reject) => {
      const timer = timers.after(connectionTimeoutMs, () => {
        this.#become('closed')
        this.#client.close()
        this.#guard.cut()
        reject(new CoordinationError('CONNECTION_LOSS', connect))
      })
      this.#listeners.push((state) => {
        if (state !== 'connected') return
        timer.cancel()
        resolve()
      })
      this.#client.connect()
    })
  }

  /** The client of Kafka makes it the same way: name by name, readable by all. */
  async makeChroot(): Promise<void> {
    const names = this.#chroot.split('/').slice(1)
    for (let depth = 1; depth <= names.length; depth++) {
      const path = `/${names.slice(0, depth).join('/')}`
      if (!isValidPath(path)) throw new CoordinationError('BAD_ARGUMENTS', path)
      await this.#ask<string>(path, (done) => this.#client.create(path, this.#aclOf(path), done)).catch(
        (error: unknown) => {
          if (!(error instanceof CoordinationError) || error.code !== 'NODE_EXISTS') throw error
        },
      )
    }
  }

  #become(state: SessionState): void {
    if (this.#state === state || this.#state === 'closed' || this.#state === 'expired') return
    this.#state = state
    for (const listener of this.#listeners) listener(state)
  }

  create(path: string, data: Buffer | null, mode: CreateMode = 'persistent'): Promise<string> {
    // A name that is its number alone: only a multi is sent without the client's own check of paths.
    if (isSequential(mode) && path.endsWith('/'))
      return this.multi([{ type: 'create', path, data, mode }]).then(([made]) =>
        'path' in made ? made.path : path,
      )
    const args = [data ?? undefined, this.#aclOf(path), modeNumber(mode)] as [Buffer, ACL[], number]
    return this.#ask<string>(path, (done) => this.#client.create(this.#full(path), ...args, done)).then(
      (made) => this.#short(made),
    )
  }

  get(path: string, watch?: Watch): Promise<{ data: Buffer | null; stat: ZnodeStat }> {
    return this.#ask(
      path,
      (done: (error: unknown, found?: { data: Buffer | null; stat: ZnodeStat }) => void) => {
        const answer = (error: unknown, data?: Buffer, stat?: Stat): void =>
          error ? done(error) : done(null, { data: data ?? null, stat: statOf(stat!) })
        if (watch) this.#client.getData(this.#full(path), this.#watcherOf(watch), answer)
        else this.#client.getData(this.#full(path), answer)
      },
    )
  }

  set(path: string, data: Buffer | null, version = -1): Promise<ZnodeStat> {
    // The client cannot send that there is none.
    const bytes = data ?? Buffer.alloc(0)
    return this.#ask<Stat>(path, (done) => this.#client.setData(this.#full(path), bytes, version, done)).then(
      statOf,
    )
  }

  delete(path: string, version = -1): Promise<void> {
    return this.#ask<void>(path, (done) =>
      this.#client.remove(this.#full(path), version, (error) => done(error)),
    )
  }

  exists(path: string, watch?: Watch): Promise<ZnodeStat | null> {
    return this.#ask<Stat | null>(path, (done) => {
      if (watch) this.#client.exists(this.#full(path), this.#watcherOf(watch), done)
      else this.#client.exists(this.#full(path), done)
    }).then((stat) => (stat ? statOf(stat) : null))
  }

  children(path: string, watch?: Watch): Promise<string[]> {
    return this.#ask<string[]>(path, (done) => {
      if (watch) this.#client.getChildren(this.#full(path), this.#watcherOf(watch), done)
      else this.#client.getChildren(this.#full(path), done)
    }).then((names) => names.sort())
  }

  async multi(operations: readonly CoordinationOperation[]): Promise<CoordinationResult[]> {
    if (operations.length === 0) return []
    for (const operation of operations) {
      const sequential = operation.type === 'create' && isSequential(operation.mode ?? 'persistent')
      if (!isAllowed(operation.path, sequential)) throw new CoordinationError('BAD_ARGUMENTS', operation.path)
    }
    const transaction = this.#client.transaction()
    // Not by its own methods: they send version 0 as any version, so that no fence would hold.
    const { ops } = transaction as unknown as { ops: unknown[] }
    for (const operation of operations) ops.push(this.#operation(operation))
    let results: MultiResult[] = []
    try {
      await this.#ask<void>('/', (done) => {
        transaction.commit((error, answered) => {
          results = (answered as MultiResult[] | undefined) ?? []
          done(error)
        })
      })
    } catch (error) {
      const index = results.findIndex(({ type, err }) => type === OPERATION_ERROR && err !== 0)
      if (index < 0) throw error
      throw new CoordinationError(codeOf(results[index].err!), operations[index].path, index)
    }
    return operations.map((operation, index) => this.#result(operation, results[index]))
  }

  #operation(operation: CoordinationOperation): unknown {
    const type = OPERATION[operation.type]
    const path = this.#full(operation.path)
    switch (operation.type) {
      case 'create': {
        const mode = modeNumber(operation.mode ?? 'persistent')
        return { type, path, data: copy(operation.data), acls: this.#aclOf(operation.path), mode }
      }
      case 'set':
        return { type, path, data: copy(operation.data), version: operation.version ?? -1 }
      default:
        return { type, path, version: operation.version ?? -1 }
    }
  }

  #result({ type }: CoordinationOperation, result: MultiResult): CoordinationResult {
    if (type === 'create') return { type, path: this.#short(result.path!) }
    if (type === 'set') return { type, stat: statOf(result.stat!) }
    return { type }
  }

  onState(listener: (state: SessionState) => void): void {
    this.#listeners.push(listener)
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  #close(): Promise<void> {
    if (this.#state === 'closed' || this.#state === 'expired') {
      this.#guard.stop()
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const timer = this.#options.timers.after(CLOSE_TIMEOUT_MS, () => this.#guard.cut())
      this.#guard.onClosed(() => {
        timer.cancel()
        this.#become('closed')
        resolve()
      })
      this.#client.close()
    })
  }

  /** One operation: its outcome as a promise, the client's errors as CoordinationError. */
  #ask<T>(path: string, send: (done: (error: unknown, result?: T) => void) => void): Promise<T> {
    if (this.#closing !== null || this.#state === 'closed' || this.#state === 'expired') {
      return Promise.reject(new CoordinationError('SESSION_EXPIRED', path))
    }
    if (!isValidPath(path)) {
      return Promise.reject(new CoordinationError('BAD_ARGUMENTS', path))
    }
    return new Promise((resolve, reject) => {
      send((error, result) => {
        if (!error) resolve(result as T)
        else reject(new CoordinationError(codeOf((error as Exception).getCode()), path))
      })
    })
  }

  #watcherOf(watch: Watch): (event: Event) => void {
    let watcher = this.#watchers.get(watch)
    if (watcher === undefined) {
      watcher = (event) => {
        if (this.#closing !== null) return
        const told: WatchEvent = { type: eventType(event), path: this.#short(event.getPath()) }
        // After the answers that came before it on the same connection.
        void Promise.resolve().then(() => watch(told))
      }
      this.#watchers.set(watch, watcher)
    }
    return watcher
  }

  #full(path: string): string {
    if (this.#chroot === '') return path
    return path === '/' ? this.#chroot : this.#chroot + path
  }

  #short(path: string): string {
    return path.slice(this.#chroot.length) || '/'
  }

  #aclOf(path: string): ACL[] {
    const { ACL, Id, Permission } = zookeeperModule()
    const world = new Id('world', 'anyone')
    if (!this.#options.setAcl || path === OPEN_PATH) return [new ACL(Permission.ALL, world)]
    const own = new ACL(Permission.ALL, new Id('auth', ''))
    const isSecret = SECRET_PATHS.some((secret) => path.startsWith(secret))
    return isSecret ? [own] : [own, new ACL(Permission.READ, world)]
  }
}

interface MultiResult {
  readonly type: number
  readonly err?: number
  readonly path?: string
  readonly stat?: Stat
}

/** A sequential node's name may be its number alone. */
function isAllowed(path: string, sequential: boolean): boolean {
  return isValidPath(sequential && path.endsWith('/') ? `${path}0` : path)
}

function isSequential(mode: CreateMode): boolean {
  return mode.endsWith('_sequential')
}

function modeNumber(mode: CreateMode): number {
  const { CreateMode } = zookeeperModule()
  switch (mode) {
    case 'persistent':
      return CreateMode.PERSISTENT
    case 'ephemeral':
      return CreateMode.EPHEMERAL
    case 'persistent_sequential':
      return CreateMode.PERSISTENT_SEQUENTIAL
    case 'ephemeral_sequential':
      return CreateMode.EPHEMERAL_SEQUENTIAL
  }
}

function eventType(event: Event): WatchEvent['type'] {
  const { Event } = zookeeperModule()
  switch (event.getType()) {
    case Event.NODE_CREATED:
      return 'created'
    case Event.NODE_DELETED:
      return 'deleted'
    case Event.NODE_CHILDREN_CHANGED:
      return 'children_changed'
    default:
      return 'data_changed'
  }
}

function codeOf(code: number): CoordinationErrorCode {
  const { Exception } = zookeeperModule()
  switch (code) {
    case Exception.NO_NODE:
      return 'NO_NODE'
    case Exception.NODE_EXISTS:
      return 'NODE_EXISTS'
    case Exception.BAD_VERSION:
      return 'BAD_VERSION'
    case Exception.NOT_EMPTY:
      return 'NOT_EMPTY'
    case Exception.NO_CHILDREN_FOR_EPHEMERALS:
      return 'NO_CHILDREN_FOR_EPHEMERALS'
    case Exception.CONNECTION_LOSS:
    case Exception.OPERATION_TIMEOUT:
      return 'CONNECTION_LOSS'
    case Exception.SESSION_EXPIRED:
      return 'SESSION_EXPIRED'
    case Exception.BAD_ARGUMENTS:
    case Exception.MARSHALLING_ERROR:
    case Exception.INVALID_ACL:
      return 'BAD_ARGUMENTS'
    case Exception.NO_AUTH:
    case Exception.AUTH_FAILED:
      return 'NO_AUTH'
    default:
      return 'STORAGE'
  }
}

function statOf(stat: Stat): ZnodeStat {
  const number = (bytes: Buffer): number => Number(bytes.readBigInt64BE())
  return {
    czxid: number(stat.czxid),
    mzxid: number(stat.mzxid),
    pzxid: number(stat.pzxid),
    ctimeMs: number(stat.ctime),
    mtimeMs: number(stat.mtime),
    version: stat.version,
    childrenVersion: stat.cversion,
    ephemeralOwner: stat.ephemeralOwner.readBigUInt64BE(),
    dataLength: stat.dataLength,
    childCount: stat.numChildren,
  }
}

function copy(data: Buffer | null): Buffer | null {
  return data === null ? null : Buffer.from(data)
}
