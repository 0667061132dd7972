/**
 * One connection to another broker, made when it is needed. Calls leave in order, several may be under way, and answers
 * come in the same order, as every broker of Kafka's gives them.
 *
 * Whatever goes wrong (no connection, no answer in time, an answer that is not one) ends the connection, and with it all
 * that is under way: nobody can say which of it the peer has acted on. The next call connects anew.
 */
import { assert } from '../base/assert.ts'
import type { Clock, Timer, Timers } from '../env/env.ts'
import {
  NetworkError,
  type Connection,
  type ConnectionEvents,
  type Network,
  type NetworkErrorCode,
} from '../env/network.ts'
import { decodeResponse, encodeRequest, readCorrelationId } from '../protocol/frame.ts'
import { apiVersionsApi } from '../protocol/messages/18-api-versions.ts'
import { MalformedMessageError } from '../protocol/reader.ts'
import type { AnyApi, Decoded, Encodable } from '../protocol/schema.ts'
import { type AnswerBuffers, KeptAnswers, ReusedAnswers } from './answer-buffers.ts'
import { FrameAssembler } from './frame-assembler.ts'

/** Calls of one peer that wait for their answers. Our own parts have one or a few each: more is a bug. */
export const MAX_WAITING_CALLS = 1024

/** ApiVersions 0 is understood by every broker, and has all that is asked here. */
const API_VERSIONS_VERSION = 0
const LARGEST_CORRELATION_ID = 0x7fffffff

export interface PeerAddress {
  readonly host: string
  readonly port: number
}

export interface PeerOptions {
  readonly clientId: string
  /** From the call to its answer, connecting included. */
  readonly requestTimeoutMs: number
  /** socket.connection.setup.timeout.ms */
  readonly connectTimeoutMs: number
  /** A longer answer closes the connection. */
  readonly maxResponseBytes: number
  /** An answer's bytes are valid until the next one comes: for who has one call under way at a time, and looks at once. */
  readonly reusesAnswers?: boolean
}

export type PeerEnv = { readonly network: Network; readonly clock: Clock; readonly timers: Timers }

interface Call {
  readonly api: AnyApi
  readonly version: number
  readonly correlationId: number
  readonly deadlineMs: number
  /** Null once they have been handed to the connection. */
  chunks: Buffer[] | null
  resolve(response: unknown): void
  reject(error: NetworkError): void
}

export class Peer {
  readonly address: PeerAddress
  readonly #env: PeerEnv
  readonly #options: PeerOptions
  readonly #buffers: AnswerBuffers
  readonly #closedListeners: ((error: NetworkError) => void)[] = []
  /** In the order of their correlation ids and of their deadlines. */
  #calls: Call[] = []
  /** What arrives from, or becomes of, any other than this one is nobody's any more. */
  #link: Link | null = null
  #versions: Promise<VersionRanges> | null = null
  #timer: Timer | null = null
  #nextCorrelationId = 0
  #closed = false

  constructor(env: PeerEnv, address: PeerAddress, options: PeerOptions) {
    this.#env = env
    this.address = address
    this.#options = options
    this.#buffers = options.reusesAnswers ? new ReusedAnswers() : new KeptAnswers()
  }

  get isConnected(): boolean {
    return this.#link !== null && this.#link.connection !== null
  }

  /**
   * Rejects with NetworkError: whether the peer has acted on the request is not known then, unless the code is REFUSED.
   * The answer's bytes are the caller's to keep, unless the peer reuses answers. `request` must not change before the answer.
   */
  call<A extends AnyApi>(
    api: A,
    version: number,
    request: Encodable<A['request']['fields']>,
  ): Promise<Decoded<A['response']['fields']>> {
    if (this.#closed) return Promise.reject(this.#error('CLOSED', 'closed by this broker'))
    assert(this.#calls.length < MAX_WAITING_CALLS, `${MAX_WAITING_CALLS} calls wait for ${this.#name()}`)
    const correlationId = this.#nextCorrelationId
    this.#nextCorrelationId = correlationId === LARGEST_CORRELATION_ID ? 0 : correlationId + 1
    const chunks = encodeRequest(api, version, correlationId, this.#options.clientId, request)
    const deadlineMs = this.#env.clock.monotonicMs() + this.#options.requestTimeoutMs
    return new Promise((resolve, reject) => {
      const settle = resolve as (response: unknown) => void
      this.#calls.push({ api, version, correlationId, deadlineMs, chunks, resolve: settle, reject })
      if (this.#timer === null) this.#watchDeadline(this.#options.requestTimeoutMs)
      if (this.#link === null) this.#connect()
      else if (this.#link.connection !== null) this.#sendWaiting(this.#link.connection)
    })
  }

  /**
   * The highest version of an API that both sides speak; the peer is asked once per connection. Rejects with NetworkError,
   * UNREACHABLE where there is none.
   */
  async negotiate(api: AnyApi): Promise<number> {
    const version = await this.commonVersion(api)
    if (version < 0)
      throw this.#error('UNREACHABLE', `it speaks no version of ${api.name} that is spoken here`)
    return version
  }

  /** As `negotiate`, of the versions from `lowest` on; -1 where there is none. */
  async commonVersion(api: AnyApi, lowest: number = api.versions[0]): Promise<number> {
    const ranges = await this.#peerVersions()
    const range = ranges.get(api.key)
    if (range === undefined) return -1
    const version = Math.min(range[1], api.versions[1])
    return version < Math.max(range[0], lowest) ? -1 : version
  }

  /**
   * Connects once more, beside the connection that may be there: null where somebody listens, else what was met. REFUSED
   * tells that the process at this address has gone, at once and without waiting for its session to end.
   */
  probe(): Promise<NetworkErrorCode | null> {
    return probePort(this.#env.network, this.address, this.#options.connectTimeoutMs)
  }

  /** Runs each time when a connection that stood is gone, but for `close`. */
  onClosed(listener: (error: NetworkError) => void): void {
    this.#closedListeners.push(listener)
  }

  /** For good. What is under way rejects. */
  close(): void {
    this.#closed = true
    this.#drop(this.#error('CLOSED', 'closed by this broker'))
  }

  #peerVersions(): Promise<VersionRanges> {
    if (this.#versions !== null) return this.#versions
    const asked = this.call(apiVersionsApi, API_VERSIONS_VERSION, {}).then(
      ({ apiKeys }) =>
        new Map(
          apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion] as const]),
        ),
    )
    this.#versions = asked
    // Of this connection only; and a question that failed is asked again.
    asked.catch(() => {
      if (this.#versions === asked) this.#versions = null
    })
    return asked
  }

  #connect(): void {
    const link: Link = new Link(this.#options.maxResponseBytes, this.#buffers, {
      answer: (frame) => link === this.#link && this.#answered(frame),
      failed: (reason) => void (link === this.#link && this.#drop(this.#error('CLOSED', reason))),
    })
    this.#link = link
    const { host, port } = this.address
    const options = { host, port, timeoutMs: this.#options.connectTimeoutMs }
    this.#env.network
      .connect(options, (connection) => {
        if (link !== this.#link) connection.destroy()
        else {
          link.connection = connection
          this.#sendWaiting(connection)
        }
        return link
      })
      .catch((error: unknown) => {
        if (!(error instanceof NetworkError)) throw error
        if (link === this.#link) this.#drop(error)
      })
  }

  #sendWaiting(connection: Connection): void {
    let first = this.#calls.length
    while (first > 0 && this.#calls[first - 1].chunks !== null) first--
    const chunks: Buffer[] = []
    for (const call of this.#calls.slice(first)) {
      chunks.push(...call.chunks!)
      call.chunks = null
    }
    if (chunks.length > 0) connection.write(chunks)
  }

  /** False: no more of what this connection brings is wanted. */
  #answered(frame: Buffer): boolean {
    const [call] = this.#calls
    try {
      const correlationId = readCorrelationId(frame)
      if (call === undefined || call.chunks !== null) {
        throw new MalformedMessageError(`an answer ${correlationId} to no request`)
      }
      if (correlationId !== call.correlationId) {
        throw new MalformedMessageError(`an answer ${correlationId} to request ${call.correlationId}`)
      }
      const response = decodeResponse(call.api, call.version, frame)
      this.#calls.shift()
      call.resolve(response)
      return true
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error
      this.#drop(this.#error('CLOSED', error.message))
      return false
    }
  }

  /** One timer for all: the first call has the first deadline. */
  #watchDeadline(delayMs: number): void {
    this.#timer = this.#env.timers.after(delayMs, () => {
      this.#timer = null
      if (this.#calls.length === 0) return
      const leftMs = this.#calls[0].deadlineMs - this.#env.clock.monotonicMs()
      if (leftMs > 0) return this.#watchDeadline(leftMs)
      const { api } = this.#calls[0]
      const reason = `no answer to ${api.name} within ${this.#options.requestTimeoutMs} ms`
      this.#drop(this.#error('TIMED_OUT', reason))
    })
  }

  /** The end of the connection, if there is one, and of all that is under way. */
  #drop(error: NetworkError): void {
    const link = this.#link
    const calls = this.#calls
    this.#link = null
    this.#versions = null
    this.#calls = []
    this.#timer?.cancel()
    this.#timer = null
    link?.end()
    for (const call of calls) call.reject(error)
    if (link === null || link.connection === null || this.#closed) return
    for (const listener of this.#closedListeners) listener(error)
  }

  #name(): string {
    return `${this.address.host}:${this.address.port}`
  }

  #error(code: NetworkErrorCode, reason: string): NetworkError {
    return new NetworkError(code, `${this.#name()}: ${reason}`)
  }
}

type VersionRanges = ReadonlyMap<number, readonly [min: number, max: number]>

interface LinkEvents {
  answer(frame: Buffer): boolean
  failed(reason: string): void
}

/** One connection of a peer, from the moment it is being made. */
class Link implements ConnectionEvents {
  connection: Connection | null = null
  readonly #events: LinkEvents
  readonly #frames: FrameAssembler
  /** The memory that the next read will overwrite. */
  #borrowed: ArrayBufferLike | null = null

  constructor(maxResponseBytes: number, buffers: AnswerBuffers, events: LinkEvents) {
    this.#events = events
    this.#frames = new FrameAssembler(maxResponseBytes, buffers, {
      frame: (frame) => events.answer(frame.buffer === this.#borrowed ? buffers.copyOf(frame) : frame),
      fault: ({ length }) =>
        events.failed(`an answer of ${length} bytes; at most ${maxResponseBytes} are taken`),
    })
  }

  data(chunk: Buffer): void {
    this.#borrowed = chunk.buffer
    this.#frames.feed(chunk)
    this.#borrowed = null
  }

  closed(reason: string | null): void {
    this.#events.failed(reason ?? 'the peer has closed the connection')
  }

  end(): void {
    this.#frames.close()
    this.connection?.destroy()
  }
}

/** null where somebody listens. */
export async function probePort(
  network: Network,
  address: PeerAddress,
  timeoutMs: number,
): Promise<NetworkErrorCode | null> {
  try {
    const connection = await network.connect({ ...address, timeoutMs }, () => ({ data() {}, closed() {} }))
    connection.destroy()
    return null
  } catch (error) {
    if (error instanceof NetworkError) return error.code
    throw error
  }
}
