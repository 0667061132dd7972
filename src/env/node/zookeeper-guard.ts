/**
 * What node-zookeeper-client 1.1.3 lacks to be safe under a controller, put around one client's connection from outside:
 * each cure stands beside the fault that it was seen to have. It touches the client's private parts, and is the only place
 * that does.
 */
import { createRequire } from 'node:module'
import type { Client, Exception } from 'node-zookeeper-client'
import type { Clock, Timer, Timers } from '../env.ts'

/** The module, loaded late: a broker without an ensemble does not pay for it. */
export type ZookeeperModule = typeof import('node-zookeeper-client')

const load = createRequire(import.meta.url)
let loaded: ZookeeperModule | null = null

export function zookeeperModule(): ZookeeperModule {
  if (loaded === null) {
    loaded = load('node-zookeeper-client') as ZookeeperModule
    answerUnknownErrors(loaded)
  }
  return loaded
}

/** Fault: an error code that the client does not know (a quota, a removed watch) was thrown where nobody could catch it. */
function answerUnknownErrors(module: ZookeeperModule): void {
  const exceptions = module.Exception as unknown as { create(code: number): Exception }
  const create = exceptions.create.bind(exceptions)
  exceptions.create = (code) => {
    try {
      return create(code)
    } catch {
      return create(module.Exception.SYSTEM_ERROR)
    }
  }
}

interface Packet {
  readonly callback?: (error: Exception) => void
}

interface Socket {
  readonly connecting: boolean
  destroy(): void
}

/** The parts of the client's connection manager that are read or replaced here. */
interface Connection {
  state: number
  socket?: Socket
  sessionTimeout: number
  connectTimeout: number
  pendingBuffer: Buffer | null
  packetQueue: { queue: Packet[] }
  onSocketConnected(): void
  onSocketData(bytes: Buffer): void
  onSocketClosed(hadError: boolean): void
  on(event: 'state', listener: (state: number) => void): void
}

/** States of the connection manager. */
const CONNECTING = 1
const CLOSED = -2
const SESSION_EXPIRED = -3

export interface ConnectionGuard {
  /** Cuts the connection; the client connects anew, unless it is closing. */
  cut(): void
  /** Runs when the client will never connect again. */
  onClosed(listener: () => void): void
  stop(): void
}

export function guardConnection(client: Client, env: { clock: Clock; timers: Timers }): ConnectionGuard {
  const connection = (client as unknown as { connectionManager: Connection }).connectionManager
  sendAuthenticationFirst(connection)
  forgetHalfReplies(connection)
  const closed: (() => void)[] = []
  connection.on('state', (state) => {
    if (state !== SESSION_EXPIRED && state !== CLOSED) return
    failQueued(connection, state === SESSION_EXPIRED)
    if (state === CLOSED) for (const listener of closed.splice(0)) listener()
  })
  const silence = cutSilentConnections(connection, env)
  return {
    cut: () => connection.socket?.destroy(),
    onClosed: (listener) => closed.push(listener),
    stop: () => silence.stop(),
  }
}

/** Fault: what had queued up while there was no connection was sent before the credentials, and refused. */
function sendAuthenticationFirst(connection: Connection): void {
  const connected = connection.onSocketConnected.bind(connection)
  connection.onSocketConnected = () => {
    const waiting = connection.packetQueue.queue.splice(0)
    connected()
    connection.packetQueue.queue.push(...waiting)
  }
}

/** Fault: half a reply of a connection that broke was put before the first bytes of the next one. */
function forgetHalfReplies(connection: Connection): void {
  const closed = connection.onSocketClosed.bind(connection)
  connection.onSocketClosed = (hadError) => {
    connection.pendingBuffer = null
    closed(hadError)
  }
}

/** Fault: what was queued when the session ended was never answered. */
function failQueued(connection: Connection, expired: boolean): void {
  const { Exception } = zookeeperModule()
  const code = expired ? Exception.SESSION_EXPIRED : Exception.CONNECTION_LOSS
  const create = (Exception as unknown as { create(code: number): Exception }).create
  for (const packet of connection.packetQueue.queue.splice(0)) packet.callback?.(create(code))
}

/**
 * Faults: a server that accepts and says nothing held the client for ever, and one that froze left it CONNECTED long after
 * its session had ended. ZooKeeper's own client gives a connection up after two thirds of the session timeout without a
 * byte, pings included; so does this.
 */
function cutSilentConnections(
  connection: Connection,
  { clock, timers }: { clock: Clock; timers: Timers },
): { stop(): void } {
  let heardMs = clock.monotonicMs()
  let watched: Socket | undefined
  let timer: Timer
  const data = connection.onSocketData.bind(connection)
  connection.onSocketData = (bytes) => {
    heardMs = clock.monotonicMs()
    data(bytes)
  }
  const look = (): void => {
    const { socket } = connection
    if (socket !== watched) {
      watched = socket
      heardMs = clock.monotonicMs()
    }
    const limitMs =
      connection.state === CONNECTING ? connection.connectTimeout : (connection.sessionTimeout * 2) / 3
    if (socket !== undefined && !socket.connecting && clock.monotonicMs() - heardMs > limitMs)
      socket.destroy()
    schedule()
  }
  const schedule = (): void => {
    timer = timers.after(
      Math.max(5, Math.min(connection.connectTimeout, connection.sessionTimeout / 3) / 8),
      look,
    )
  }
  schedule()
  return { stop: () => timer.cancel() }
}
