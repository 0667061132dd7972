/** The listeners and their connections. */
import type { Env, Timer } from '../env/env.ts'
import type { Connection, Listening } from '../env/network.ts'
import { ClientConnection, type ConnectionHooks, type Dispatch } from './client-connection.ts'
import { FrameBufferPool } from './frame-assembler.ts'

export interface ListenerOptions {
  readonly name: string
  readonly host: string
  readonly port: number
}

export interface SocketServerOptions {
  /** socket.request.max.bytes */
  readonly maxFrameBytes: number
  /** connections.max.idle.ms; Infinity or negative: never closed for being idle. */
  readonly maxIdleMs: number
  /** max.connections; read for each connection, for it changes while running. */
  readonly maxConnections: number
}

export class SocketServer {
  private readonly env: Pick<Env, 'network' | 'clock' | 'timers' | 'logger'>
  private readonly options: SocketServerOptions
  private readonly hooks: ConnectionHooks
  private readonly pool = new FrameBufferPool()
  private readonly connections = new Set<ClientConnection>()
  private readonly listening: Listening[] = []
  private sweep: Timer | null = null
  /** Connections that came before `serve`: the port is known early, but nothing is answered. Null: serving. */
  private early: Connection[] | null = []

  constructor(
    env: Pick<Env, 'network' | 'clock' | 'timers' | 'logger'>,
    options: SocketServerOptions,
    dispatch: Dispatch,
    onError: (error: unknown) => void,
  ) {
    this.env = env
    this.options = options
    this.hooks = {
      dispatch,
      refused: (connection, reason) => {
        env.logger.log('warn', 'connection closed', { client: connection.clientHost, reason })
      },
      failed: (connection, error) => {
        env.logger.log('error', 'connection closed: a request failed', {
          client: connection.clientHost,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        })
        onError(error)
      },
      closed: (connection) => this.connections.delete(connection),
    }
  }

  get connectionCount(): number {
    return this.connections.size
  }

  /** Binds one listener and gives its port. Connections are accepted, and wait for `serve`. */
  async listen(listener: ListenerOptions): Promise<number> {
    const bound = await this.env.network.listen(listener, (raw) => {
      const connection = new ClientConnection(raw, listener.name, this.hooks, {
        maxFrameBytes: this.options.maxFrameBytes,
        pool: this.pool,
        monotonicMs: () => this.env.clock.monotonicMs(),
      })
      this.connections.add(connection)
      if (this.early) {
        raw.pause()
        this.early.push(raw)
      }
      if (this.connections.size > this.options.maxConnections) {
        connection.refuse(`max.connections=${this.options.maxConnections} is reached`)
      }
      return connection
    })
    this.listening.push(bound)
    if (!this.sweep) this.scheduleSweep()
    return bound.port
  }

  /** From now on requests are answered. */
  serve(): void {
    for (const connection of this.early ?? []) connection.resume()
    this.early = null
  }

  /** Stops accepting and closes every connection; replies that are ready are sent first. */
  async stop(): Promise<void> {
    this.sweep?.cancel()
    await Promise.all(this.listening.splice(0).map((listening) => listening.close()))
    for (const connection of this.connections) connection.end()
    await new Promise<void>((resolve) => this.env.timers.soon(resolve))
    for (const connection of [...this.connections]) connection.destroy()
  }

  private scheduleSweep(): void {
    const { maxIdleMs } = this.options
    if (!(maxIdleMs >= 0) || maxIdleMs === Infinity) return
    this.sweep = this.env.timers.after(Math.max(100, maxIdleMs / 10), () => {
      const oldest = this.env.clock.monotonicMs() - maxIdleMs
      for (const connection of [...this.connections]) {
        if (connection.lastActiveMs < oldest && connection.waitingRequests === 0) connection.destroy()
      }
      this.scheduleSweep()
    })
  }
}
