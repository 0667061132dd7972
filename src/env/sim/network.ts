/**
 * TCP between simulated hosts: bytes arrive in order or not at all. A cut way holds them back until it is open again; a
 * process that is killed resets its connections and refuses new ones; a host that loses its power does neither, and
 * resets what reaches it when it is up again.
 */
import {
  NetworkError,
  type Connection,
  type ConnectionEvents,
  type ConnectOptions,
  type Listening,
  type ListenOptions,
  type Network,
} from '../network.ts'
import type { SimLinks } from './links.ts'
import type { SimProcess } from './process.ts'
import type { SeededRandom } from './random.ts'

type OnConnection = (connection: Connection) => ConnectionEvents

interface Listener {
  readonly owner: SimProcess
  readonly host: string
  readonly port: number
  readonly accept: OnConnection
}

/** Told of each piece that arrives: what a run was, for comparing it with another. */
export type NetworkTrace = (from: string, to: string, bytes: Buffer) => void

/** What a kernel takes from a process without the peer having it. */
const SEND_BUFFER_BYTES = 64 << 10
/** How often a write arrives in two pieces. */
const SPLIT = 1 / 16

export class SimNetwork {
  readonly links: SimLinks
  readonly random: SeededRandom
  trace: NetworkTrace | null = null
  readonly #listeners = new Map<string, Listener>()
  readonly #connections = new Map<SimProcess, Set<SimConnection>>()
  #nextId = 1
  #nextPort = 40_000

  constructor(links: SimLinks, random: SeededRandom) {
    this.links = links
    this.random = random
  }

  /** The network as a process on `host` sees it; the host's name is its address. */
  of(owner: SimProcess, host: string): Network {
    this.#connections.set(owner, new Set())
    owner.onKill(() => this.#killed(owner))
    return {
      listen: (options, accept) => this.#listen({ owner, host, accept }, options),
      connect: (options, onConnection) => this.#connect(owner, host, { ...options, onConnection }),
    }
  }

  /** The host is without power from now on; its process is killed by the caller, and nobody hears of it. */
  powerOff(owner: SimProcess, host: string): void {
    this.links.setDown(host, true)
    for (const connection of this.#connections.get(owner) ?? []) connection.vanish()
    this.#connections.get(owner)?.clear()
  }

  powerOn(host: string): void {
    this.links.setDown(host, false)
  }

  forget(connection: SimConnection): void {
    this.#connections.get(connection.owner)?.delete(connection)
  }

  #killed(owner: SimProcess): void {
    for (const [name, listener] of this.#listeners) {
      if (listener.owner === owner) this.#listeners.delete(name)
    }
    for (const connection of [...(this.#connections.get(owner) ?? [])]) connection.reset()
    this.#connections.delete(owner)
  }

  #listen(listener: Omit<Listener, 'port'>, { port }: ListenOptions): Promise<Listening> {
    const bound: Listener = { ...listener, port: port === 0 ? this.#nextPort++ : port }
    const name = `${bound.host}:${bound.port}`
    if (this.#listeners.has(name)) {
      return Promise.reject(Object.assign(new Error(`${name} is in use`), { code: 'EADDRINUSE' }))
    }
    this.#listeners.set(name, bound)
    const close = async (): Promise<void> => {
      if (this.#listeners.get(name) === bound) this.#listeners.delete(name)
    }
    return Promise.resolve({ host: bound.host, port: bound.port, close })
  }

  /** The three steps of TCP's opening: each may be held up by a cut way. */
  #connect(
    owner: SimProcess,
    host: string,
    { host: to, port, timeoutMs, onConnection }: ConnectOptions & { onConnection: OnConnection },
  ): Promise<Connection> {
    return new Promise((resolve, reject) => {
      let settled = false
      const fail = (code: 'REFUSED' | 'TIMED_OUT', reason: string): void => {
        if (settled) return
        settled = true
        timer.cancel()
        reject(new NetworkError(code, `${to}:${port}: ${reason}`))
      }
      const timer = owner.timers.after(timeoutMs, () =>
        fail('TIMED_OUT', `no connection within ${timeoutMs} ms`),
      )
      const refused = (): void =>
        this.links.carry(to, host, () => owner.run(() => fail('REFUSED', 'refused')))
      const opened = (): void => {
        if (settled || !owner.isAlive) return
        const listener = this.#listeners.get(`${to}:${port}`)
        if (listener === undefined) return refused()
        settled = true
        timer.cancel()
        resolve(this.#open({ owner, host }, listener, onConnection))
      }
      const arrived = (): void => {
        if (!this.#listeners.has(`${to}:${port}`)) return refused()
        this.links.carry(to, host, () => owner.run(opened))
      }
      this.links.carry(host, to, arrived)
    })
  }

  #open(
    client: { owner: SimProcess; host: string },
    listener: Listener,
    onConnection: OnConnection,
  ): Connection {
    const id = this.#nextId++
    const port = this.#nextPort++
    const near = new SimConnection(this, { ...client, id, remote: listener })
    const far = new SimConnection(this, {
      owner: listener.owner,
      host: listener.host,
      id: this.#nextId++,
      remote: { host: client.host, port },
    })
    near.peer = far
    far.peer = near
    this.#connections.get(near.owner)!.add(near)
    this.#connections.get(far.owner)!.add(far)
    near.attach(onConnection(near))
    this.links.carry(client.host, listener.host, () => listener.owner.run(() => far.accept(listener.accept)))
    return near
  }
}

type Piece =
  | { readonly type: 'data'; readonly bytes: Buffer; readonly readyAtMs: number }
  | { readonly type: 'end'; readonly reason: string | null; readonly readyAtMs: number }

/** One end of a connection. What it sends waits here until it arrives. */
class SimConnection implements Connection {
  readonly id: number
  readonly owner: SimProcess
  readonly host: string
  readonly remoteAddress: string
  readonly remotePort: number
  peer!: SimConnection
  readonly #network: SimNetwork
  #events: ConnectionEvents | null = null
  /** On its way to the peer, in order. */
  #sent: Piece[] = []
  /** What the kernel has got for it while it did not read. */
  readonly #inbox: Piece[] = []
  #pumping = false
  #paused = false
  /** This end has closed, or heard that the other has. */
  #over = false
  /** `closed` has been told, or never will be. */
  #told = false
  #lastArrivalMs = 0
  #sentBytes = 0

  constructor(
    network: SimNetwork,
    end: { owner: SimProcess; host: string; id: number; remote: { host: string; port: number } },
  ) {
    this.#network = network
    this.owner = end.owner
    this.host = end.host
    this.id = end.id
    this.remoteAddress = end.remote.host
    this.remotePort = end.remote.port
  }

  get pendingWriteBytes(): number {
    return Math.max(0, this.#sentBytes - SEND_BUFFER_BYTES)
  }

  attach(events: ConnectionEvents): void {
    this.#events = events
    this.peer.pump()
  }

  /** Not before the kernel has it: a peer that went meanwhile is found out by its first bytes. */
  accept(onConnection: OnConnection): void {
    if (!this.#told) this.attach(onConnection(this))
  }

  write(chunks: readonly Uint8Array[], done?: () => void): void {
    if (done !== undefined) this.owner.timers.soon(done)
    if (this.#over) return
    const bytes = Buffer.concat(chunks)
    const { random } = this.#network
    if (bytes.length > 1 && random.next() < SPLIT) {
      const at = 1 + random.integer(bytes.length - 1)
      this.#send({ type: 'data', bytes: bytes.subarray(0, at) })
      this.#send({ type: 'data', bytes: bytes.subarray(at) })
    } else this.#send({ type: 'data', bytes })
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    if (this.#inbox.length > 0) this.owner.timers.soon(() => this.#takeHeld())
    this.peer.pump()
  }

  end(): void {
    if (this.#over) return
    this.#over = true
    this.#send({ type: 'end', reason: null })
  }

  destroy(): void {
    if (this.#told) return
    this.#close(null)
    if (!this.#over) this.#send({ type: 'end', reason: null })
    this.#over = true
  }

  /** Its process has been killed: the kernel closes it. */
  reset(): void {
    this.#told = true
    if (!this.#over) this.#send({ type: 'end', reason: 'read ECONNRESET' })
    this.#over = true
  }

  /** Its host has lost its power: what it had not sent is gone. */
  vanish(): void {
    this.#told = true
    this.#over = true
    this.#discard()
  }

  #discard(): void {
    this.#sent = []
    this.#sentBytes = 0
  }

  #send(piece: { type: 'data'; bytes: Buffer } | { type: 'end'; reason: string | null }): void {
    const { links } = this.#network
    const nowMs = links.scheduler.elapsedMs
    const arrivalMs = nowMs + links.delayMs(this.host, this.peer.host)
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, arrivalMs)
    this.#sent.push({ ...piece, readyAtMs: this.#lastArrivalMs })
    if (piece.type === 'data') this.#sentBytes += piece.bytes.length
    this.pump()
  }

  /** Lets the next piece arrive, when its time has come and the way is open and the peer reads. */
  pump(): void {
    if (this.#pumping || this.#sent.length === 0) return
    if (!this.peer.#takes) return
    this.#pumping = true
    const { links } = this.#network
    const waitMs = Math.max(0, this.#sent[0].readyAtMs - links.scheduler.elapsedMs)
    const goOn = (): void => {
      this.#pumping = false
      this.pump()
    }
    links.scheduler.timers.after(waitMs, () => {
      if (!links.isOpen(this.host, this.peer.host)) return links.whenOpen(this.host, this.peer.host, goOn)
      this.#pumping = false
      if (!this.peer.#takes) return
      const piece = this.#sent.shift()
      if (piece === undefined) return
      this.#left(piece)
      if (this.peer.owner.isAlive) this.peer.owner.run(() => this.peer.#arrive(piece))
      else this.#refused(piece)
      this.pump()
    })
  }

  /** It reads, or it is gone and its host answers for it. */
  get #takes(): boolean {
    return this.#told || (this.#events !== null && !this.#paused)
  }

  #left(piece: Piece): void {
    if (piece.type === 'end') return
    const pendingBytes = this.pendingWriteBytes
    this.#sentBytes -= piece.bytes.length
    if (pendingBytes > 0 && this.pendingWriteBytes === 0) this.owner.run(() => this.#drained())
  }

  /** Nobody is there for it any more: the host says so. */
  #refused(piece: Piece): void {
    if (piece.type === 'end') return
    this.#discard()
    this.#network.links.carry(this.peer.host, this.host, () => {
      this.owner.run(() => this.#heardEnd('read ECONNRESET'))
    })
  }

  #arrive(piece: Piece): void {
    if (this.#paused || this.#inbox.length > 0) this.#inbox.push(piece)
    else this.#take(piece)
  }

  #takeHeld(): void {
    while (!this.#paused && this.#inbox.length > 0) this.#take(this.#inbox.shift()!)
  }

  #take(piece: Piece): void {
    if (piece.type === 'end') return this.#heardEnd(piece.reason)
    if (this.#told || this.#events === null) return
    this.#network.trace?.(this.peer.host, this.host, piece.bytes)
    this.#events.data(piece.bytes)
    // The real one reads the next bytes into the same memory.
    piece.bytes.fill(0xdb)
  }

  #drained(): void {
    if (!this.#told) this.#events?.drain?.()
  }

  #heardEnd(reason: string | null): void {
    if (!this.#over) this.#send({ type: 'end', reason: null })
    this.#over = true
    this.#close(reason)
  }

  /** Later, as a real one. */
  #close(reason: string | null): void {
    if (this.#told) return
    this.#told = true
    const events = this.#events
    this.#network.forget(this)
    this.owner.timers.soon(() => events?.closed(reason))
  }
}
