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

type WatchKind = 'dataWatches' | 'existWatches' | 'childWatches'

/** The paths of watches, by what they wait for. */
type WatchPaths = Record<WatchKind, string[]>

interface Packet {
  readonly request: { readonly header: { readonly type: number } | null; readonly payload: object | null }
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

/** Code of the request that leaves all watches again with another server. */
const SET_WATCHES = 101
/** Of one such request, as ZooKeeper's own client has it. A server ends the connection after one of more than 1 MB. */
const MAX_WATCH_BYTES = 128 * 1024
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

/**
 * Faults: what had queued up while there was no connection was sent before the credentials, and refused; and all watches were
 * left again in one request, which no server took when there were many, so that the session was never served again.
 */
function sendAuthenticationFirst(connection: Connection): void {
  const connected = connection.onSocketConnected.bind(connection)
  const { packetQueue } = connection
  connection.onSocketConnected = () => {
    const waiting = packetQueue.queue.splice(0)
    connected()
    packetQueue.queue = [...packetQueue.queue.flatMap(splitWatches), ...waiting]
  }
}

/** The same watches in as many requests as it takes. */
function splitWatches(packet: Packet): Packet[] {
  const { header, payload } = packet.request
  if (header?.type !== SET_WATCHES || payload === null) return [packet]
  return partsOf(payload as WatchPaths).map((part) => {
    // Each needs a header of its own: it is numbered when it is sent.
    const request = Object.assign(Object.create(Object.getPrototypeOf(packet.request) as object), {
      header: Object.assign(Object.create(Object.getPrototypeOf(header) as object), header),
      payload: Object.assign(Object.create(Object.getPrototypeOf(payload) as object), payload, part),
    }) as Packet['request']
    return { ...packet, request }
  })
}

function partsOf(watches: WatchPaths): WatchPaths[] {
  const empty = (): WatchPaths => ({ dataWatches: [], existWatches: [], childWatches: [] })
  const parts = [empty()]
  let bytes = 0
  for (const kind of Object.keys(empty()) as WatchKind[]) {
    for (const path of watches[kind]) {
      const length = 4 + Buffer.byteLength(path)
      if (bytes + length > MAX_WATCH_BYTES && bytes > 0) {
        parts.push(empty())
        bytes = 0
      }
      parts.at(-1)![kind].push(path)
      bytes += length
    }
  }
  return parts
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
