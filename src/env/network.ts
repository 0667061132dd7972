export type NetworkErrorCode =
  /** Nobody listens there: a process that was there has gone. */
  | 'REFUSED'
  | 'TIMED_OUT'
  /** The connection ended, by whomever, before the answer came. */
  | 'CLOSED'
  | 'UNREACHABLE'

/** What became of an outgoing connection. Whether the peer has acted on what was sent is not known then. */
export class NetworkError extends Error {
  readonly code: NetworkErrorCode
  constructor(code: NetworkErrorCode, message: string) {
    super(message)
    this.name = 'NetworkError'
    this.code = code
  }
}

/** Sockets as the broker uses them: accepted connections and outgoing ones. */
export interface Network {
  /** Opens a connection. Rejects with NetworkError. */
  connect(
    options: ConnectOptions,
    onConnection: (connection: Connection) => ConnectionEvents,
  ): Promise<Connection>
  /** Binds and listens. Port 0 takes a free port. Rejects with an Error whose `code` is EADDRINUSE, EACCES, ... */
  listen(
    options: ListenOptions,
    onConnection: (connection: Connection) => ConnectionEvents,
  ): Promise<Listening>
}

export interface ConnectOptions {
  readonly host: string
  readonly port: number
  readonly timeoutMs: number
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
}

export interface Listening {
  readonly host: string
  readonly port: number
  /** Stops accepting. Connections that exist stay open. */
  close(): Promise<void>
}

export interface Connection {
  readonly id: number
  readonly remoteAddress: string
  readonly remotePort: number
  /** Bytes handed to `write` that the peer's kernel has not taken yet. */
  readonly pendingWriteBytes: number
  /**
   * Sends all chunks in order, gathered. Chunks must not change until `done` runs. `done` runs once, when the bytes have
   * left this process or the connection is gone.
   */
  write(chunks: readonly Uint8Array[], done?: () => void): void
  /** Stops and resumes the delivery of `data`. A connection that is paused when it is handed out stays so. */
  pause(): void
  resume(): void
  /** Sends what was written, then closes. */
  end(): void
  /** Closes at once. */
  destroy(): void
}

export interface ConnectionEvents {
  /** `chunk` is only valid during the call: its memory is reused for the next read. */
  data(chunk: Buffer): void
  /** Pending writes have drained after there were many. */
  drain?(): void
  /** Runs once, whoever closed it. */
  closed(reason: string | null): void
}
