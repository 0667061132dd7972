/**
 * The coordination service, with ZooKeeper's own data model: a tree of znodes with versions, ephemeral and sequential
 * nodes, multi, one-shot watches, sessions. Implementations: a real ensemble, and the embedded store.
 * Every operation rejects with `CoordinationError`.
 */
export type CoordinationErrorCode =
  | 'NO_NODE'
  | 'NODE_EXISTS'
  | 'BAD_VERSION'
  | 'NOT_EMPTY'
  | 'NO_CHILDREN_FOR_EPHEMERALS'
  | 'BAD_ARGUMENTS'
  /** The node's ACL does not let this session do it. */
  | 'NO_AUTH'
  | 'CONNECTION_LOSS'
  | 'SESSION_EXPIRED'
  | 'STORAGE'

export class CoordinationError extends Error {
  readonly code: CoordinationErrorCode
  readonly path: string
  /** In a multi: which operation failed. */
  readonly operationIndex: number
  constructor(code: CoordinationErrorCode, path: string, operationIndex = -1) {
    super(`${code} ${path}`)
    this.name = 'CoordinationError'
    this.code = code
    this.path = path
    this.operationIndex = operationIndex
  }
}

/** Zxids are safe integers; a broker epoch is the czxid of its /brokers/ids node. */
export interface ZnodeStat {
  readonly czxid: number
  readonly mzxid: number
  readonly pzxid: number
  readonly ctimeMs: number
  readonly mtimeMs: number
  readonly version: number
  readonly childrenVersion: number
  /** 0 for persistent nodes, else the session's id. */
  readonly ephemeralOwner: bigint
  readonly dataLength: number
  readonly childCount: number
}

export type CreateMode = 'persistent' | 'ephemeral' | 'persistent_sequential' | 'ephemeral_sequential'

export interface WatchEvent {
  readonly type: 'created' | 'deleted' | 'data_changed' | 'children_changed'
  readonly path: string
}
/** Runs at most once, after the change it tells of is visible, and before any later change is answered. */
export type Watch = (event: WatchEvent) => void

export type CoordinationOperation =
  | {
      readonly type: 'create'
      readonly path: string
      readonly data: Buffer | null
      readonly mode?: CreateMode
    }
  | { readonly type: 'set'; readonly path: string; readonly data: Buffer | null; readonly version?: number }
  | { readonly type: 'delete'; readonly path: string; readonly version?: number }
  | { readonly type: 'check'; readonly path: string; readonly version: number }

export type CoordinationResult =
  | { readonly type: 'create'; readonly path: string }
  | { readonly type: 'set'; readonly stat: ZnodeStat }
  | { readonly type: 'delete' }
  | { readonly type: 'check' }

/** `renewed`: another session has taken the place of an expired one (LastingSession; no other session says it). */
export type SessionState = 'connected' | 'disconnected' | 'expired' | 'renewed' | 'closed'

/** Versions: -1 (the default) matches any version; any other, 0 included, must be equal. */
export interface CoordinationSession {
  readonly id: bigint
  /** Returns the path made (with its sequence number, if sequential). */
  create(path: string, data: Buffer | null, mode?: CreateMode): Promise<string>
  get(path: string, watch?: Watch): Promise<{ data: Buffer | null; stat: ZnodeStat }>
  set(path: string, data: Buffer | null, version?: number): Promise<ZnodeStat>
  delete(path: string, version?: number): Promise<void>
  /** null when it does not exist; the watch then tells of its creation. */
  exists(path: string, watch?: Watch): Promise<ZnodeStat | null>
  /** Names of the children (not paths), sorted. */
  children(path: string, watch?: Watch): Promise<string[]>
  /** All or nothing. */
  multi(operations: readonly CoordinationOperation[]): Promise<CoordinationResult[]>
  onState(listener: (state: SessionState) => void): void
  /** Ends the session: its ephemeral nodes go. */
  close(): Promise<void>
}

export interface Coordination {
  /** A new session. */
  connect(options: { sessionTimeoutMs: number }): Promise<CoordinationSession>
}
