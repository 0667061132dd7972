/** A Kafka client for tests: one connection, requests by API and version, replies in order. */
import net from 'node:net'
import { decodeResponse, encodeRequest, readCorrelationId } from '../../src/protocol/frame.ts'
import type { AnyApi, Decoded, Encodable } from '../../src/protocol/schema.ts'

type Body<A extends AnyApi> = Encodable<A['request']['fields']>
export type Answer<A extends AnyApi> = Decoded<A['response']['fields']>

export class WireClient {
  private readonly socket: net.Socket
  private received = Buffer.alloc(0)
  private readonly waiting: { resolve: (frame: Buffer) => void; reject: (error: Error) => void }[] = []
  private nextCorrelationId = 1
  readonly closed: Promise<void>
  isClosed = false

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (chunk) => this.receive(chunk))
    socket.on('error', () => undefined)
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isClosed = true
        for (const { reject } of this.waiting.splice(0)) reject(new Error('the broker closed the connection'))
        resolve()
      })
    })
  }

  static connect(port: number, host = '127.0.0.1'): Promise<WireClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port, host })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new WireClient(socket)))
    })
  }

  /** The decoded reply; rejects when the connection closes first. */
  async request<A extends AnyApi>(
    api: A,
    version: number,
    body: Body<A>,
    clientId = 'wire-client',
  ): Promise<Answer<A>> {
    const correlationId = this.nextCorrelationId++
    const reply = await this.frame(Buffer.concat(encodeRequest(api, version, correlationId, clientId, body)))
    const answered = readCorrelationId(reply)
    if (answered !== correlationId) throw new Error(`reply ${answered} to request ${correlationId}`)
    return decodeResponse(api, version, reply)
  }

  /** Sends raw bytes and gives the next frame that comes back, without its length. */
  frame(bytes: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.isClosed) return reject(new Error('the connection is closed'))
      this.waiting.push({ resolve, reject })
      this.socket.write(bytes)
    })
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  close(): void {
    this.socket.destroy()
  }

  private receive(chunk: Buffer): void {
    this.received = Buffer.concat([this.received, chunk])
    while (this.received.length >= 4) {
      const length = this.received.readInt32BE(0)
      if (this.received.length < 4 + length) return
      const frame = Buffer.from(this.received.subarray(4, 4 + length))
      this.received = this.received.subarray(4 + length)
      this.waiting.shift()?.resolve(frame)
    }
  }
}
