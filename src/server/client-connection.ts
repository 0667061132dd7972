/** One client: its frames become requests, its replies leave in the order of the requests. */
import type { Connection, ConnectionEvents } from '../env/network.ts'
import { FrameAssembler, type FrameBufferPool, type FrameFault } from './frame-assembler.ts'

/** Requests of one connection that may wait for their replies; further ones are not read until some have left. */
export const MAX_WAITING_REQUESTS = 128
/** Reply bytes that a client has not taken yet; above it no further request of this client is read. */
export const MAX_PENDING_REPLY_BYTES = 8 << 20

/** What goes on the wire for one request; `sent` runs once the bytes are out of our hands (or dropped). */
export interface Reply {
  readonly chunks: readonly Uint8Array[]
  readonly sent?: () => void
}

/** `null`: nothing is sent. A promise: later, in its turn. Throwing (or rejecting) closes the connection. */
export type Dispatch = (frame: Buffer, connection: ClientConnection) => Reply | null | Promise<Reply | null>

export interface ConnectionHooks {
  readonly dispatch: Dispatch
  /** Tells why a connection is closed from this side; one line. */
  refused(connection: ClientConnection, reason: string): void
  failed(connection: ClientConnection, error: unknown): void
  closed(connection: ClientConnection): void
}

interface Slot {
  reply: Reply | null
  ready: boolean
}

export class ClientConnection implements ConnectionEvents {
  readonly id: number
  readonly clientHost: string
  readonly listenerName: string
  lastActiveMs: number
  private readonly connection: Connection
  private readonly hooks: ConnectionHooks
  private readonly frames: FrameAssembler
  private readonly now: () => number
  private readonly slots: Slot[] = []
  private outgoing: Uint8Array[] = []
  private outgoingSent: (() => void)[] = []
  private receiving = false
  private blocked = false
  private open = true
  private readonly closeListeners = new Set<() => void>()

  constructor(
    connection: Connection,
    listenerName: string,
    hooks: ConnectionHooks,
    limits: { maxFrameBytes: number; pool: FrameBufferPool; monotonicMs: () => number },
  ) {
    this.id = connection.id
    this.clientHost = `/${connection.remoteAddress.replace(/^::ffff:/, '')}`
    this.listenerName = listenerName
    this.connection = connection
    this.hooks = hooks
    this.now = limits.monotonicMs
    this.lastActiveMs = this.now()
    this.frames = new FrameAssembler(limits.maxFrameBytes, limits.pool, {
      frame: (frame) => this.request(frame),
      fault: (fault: FrameFault) => this.refuse(`${fault.reason} (length ${fault.length})`),
    })
  }

  get waitingRequests(): number {
    return this.slots.length
  }

  /** Runs `listener` when the connection goes; the function returned takes that back. */
  onClose(listener: () => void): () => void {
    this.closeListeners.add(listener)
    return () => this.closeListeners.delete(listener)
  }

  data(chunk: Buffer): void {
    if (!this.open) return
    this.lastActiveMs = this.now()
    this.receiving = true
    this.frames.feed(chunk)
    this.receiving = false
    this.flush()
    this.regulate()
  }

  drain(): void {
    this.regulate()
  }

  closed(): void {
    this.open = false
    this.frames.close()
    for (const slot of this.slots.splice(0)) slot.reply?.sent?.()
    for (const sent of this.outgoingSent.splice(0)) sent()
    this.outgoing = []
    for (const listener of this.closeListeners) listener()
    this.closeListeners.clear()
    this.hooks.closed(this)
  }

  /** Closes from this side, with one line that says why. */
  refuse(reason: string): void {
    if (!this.open) return
    this.hooks.refused(this, reason)
    this.destroy()
  }

  destroy(): void {
    this.open = false
    this.frames.close()
    this.connection.destroy()
  }

  /** After the replies that are ready. */
  end(): void {
    this.flush()
    this.connection.end()
  }

  private request(frame: Buffer): boolean {
    let outcome: Reply | null | Promise<Reply | null>
    try {
      outcome = this.hooks.dispatch(frame, this)
    } catch (error) {
      this.fail(error)
      return false
    }
    if (outcome instanceof Promise) {
      const slot: Slot = { reply: null, ready: false }
      this.slots.push(slot)
      outcome.then(
        (reply) => this.settle(slot, reply),
        (error: unknown) => this.fail(error),
      )
    } else if (this.slots.length > 0) {
      this.slots.push({ reply: outcome, ready: true })
    } else if (outcome) {
      this.send(outcome)
    }
    return !this.mustWait()
  }

  private settle(slot: Slot, reply: Reply | null): void {
    if (!this.open) {
      reply?.sent?.()
      return
    }
    slot.reply = reply
    slot.ready = true
    this.lastActiveMs = this.now()
    while (this.slots.length > 0 && this.slots[0].ready) {
      const { reply: next } = this.slots.shift()!
      if (next) this.send(next)
    }
    if (this.receiving) return
    this.flush()
    this.regulate()
  }

  private fail(error: unknown): void {
    if (!this.open) return
    this.hooks.failed(this, error)
    this.destroy()
  }

  private send(reply: Reply): void {
    for (const chunk of reply.chunks) this.outgoing.push(chunk)
    if (reply.sent) this.outgoingSent.push(reply.sent)
  }

  /** One gathered write for all replies that became ready in this turn. */
  private flush(): void {
    if (this.outgoing.length === 0) return
    const chunks = this.outgoing
    const callbacks = this.outgoingSent
    this.outgoing = []
    if (callbacks.length === 0) {
      this.connection.write(chunks)
      return
    }
    this.outgoingSent = []
    this.connection.write(
      chunks,
      callbacks.length === 1 ? callbacks[0] : () => callbacks.forEach((sent) => sent()),
    )
  }

  private mustWait(): boolean {
    if (!this.open) return true
    return (
      this.slots.length >= MAX_WAITING_REQUESTS || this.connection.pendingWriteBytes > MAX_PENDING_REPLY_BYTES
    )
  }

  /** Stops reading while too much waits, goes on when it has left. */
  private regulate(): void {
    while (this.open) {
      if (this.mustWait()) {
        if (!this.blocked) this.connection.pause()
        this.blocked = true
        return
      }
      if (!this.blocked) return
      this.receiving = true
      const empty = this.frames.resume()
      this.receiving = false
      this.flush()
      if (empty && !this.mustWait()) {
        this.blocked = false
        this.connection.resume()
        return
      }
    }
  }
}
