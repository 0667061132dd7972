/** Bytes of a connection -> frames. A frame is an int32 length and that many bytes (the Kafka protocol guide, "Network"). */

/** A frame that is still arriving may hold a buffer of at most this many times the bytes that really arrived. */
const TRUST_FACTOR = 16
const FIRST_BUFFER_BYTES = 64 << 10
const POOLED_SIZES = [64 << 10, 1 << 20, 4 << 20]
const POOLED_EACH = 16

/** Buffers for frames that arrive in pieces; given back when the frame has been handled. Shared by all connections. */
export class FrameBufferPool {
  private readonly free: Buffer[][] = POOLED_SIZES.map(() => [])

  take(size: number): Buffer {
    const bucket = POOLED_SIZES.findIndex((pooled) => size <= pooled)
    if (bucket < 0) return Buffer.allocUnsafeSlow(size)
    return this.free[bucket].pop() ?? Buffer.allocUnsafeSlow(POOLED_SIZES[bucket])
  }

  give(buffer: Buffer): void {
    const bucket = POOLED_SIZES.indexOf(buffer.length)
    if (bucket >= 0 && this.free[bucket].length < POOLED_EACH) this.free[bucket].push(buffer)
  }
}

export type FrameFault = { readonly length: number; readonly reason: string }

export interface FrameSink {
  /** `frame` is valid during the call only. False: take no more frames until `resume` is called. */
  frame(frame: Buffer): boolean
  fault(fault: FrameFault): void
}

function describeLength(length: number, maxBytes: number): string {
  if (length >>> 16 === 0x1603) return 'these are the first bytes of TLS, and this listener is plain text'
  const first = String.fromCharCode(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255)
  if (/^(GET |POST|PUT |HEAD|OPTI|DELE|PRI )/.test(first))
    return 'this is HTTP, and this port speaks the Kafka protocol'
  if (length <= 0) return 'the length of a frame cannot be zero or negative'
  return `the frame is larger than socket.request.max.bytes=${maxBytes}`
}

export class FrameAssembler {
  private readonly maxBytes: number
  private readonly pool: FrameBufferPool
  private readonly sink: FrameSink
  private lengthBytes = 0
  private length = 0
  /** The frame that is arriving in pieces. */
  private buffer: Buffer | null = null
  private filled = 0
  private faulted = false
  /** What had arrived when the sink asked to wait. */
  private held: Buffer | null = null

  constructor(maxBytes: number, pool: FrameBufferPool, sink: FrameSink) {
    this.maxBytes = maxBytes
    this.pool = pool
    this.sink = sink
  }

  /** Takes in `chunk`, which it does not keep. While frames are held back it copies. */
  feed(chunk: Buffer): void {
    if (this.held) {
      this.held = Buffer.concat([this.held, chunk])
      return
    }
    this.consume(chunk)
  }

  /** Goes on with what was held back. False when the sink asked to wait again. */
  resume(): boolean {
    const held = this.held
    if (held === null) return true
    this.held = null
    this.consume(held)
    return this.held === null
  }

  close(): void {
    this.faulted = true
    this.held = null
    if (this.buffer) this.pool.give(this.buffer)
    this.buffer = null
  }

  private consume(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.faulted) {
      if (this.lengthBytes < 4) {
        this.length = (this.length << 8) | chunk[at++]
        if (++this.lengthBytes < 4) continue
        if (this.length <= 0 || this.length > this.maxBytes) {
          this.faulted = true
          this.sink.fault({ length: this.length, reason: describeLength(this.length, this.maxBytes) })
          return
        }
      }
      let goOn = true
      if (this.filled === 0 && chunk.length - at >= this.length) {
        const end = at + this.length
        goOn = this.deliver(chunk.subarray(at, end))
        at = end
      } else {
        const taken = this.collect(chunk, at)
        at += taken
        if (this.filled === this.length) goOn = this.deliverCollected()
      }
      if (!goOn && at < chunk.length && !this.faulted) {
        this.held = Buffer.from(chunk.subarray(at))
        return
      }
    }
  }

  private deliver(frame: Buffer): boolean {
    this.lengthBytes = 0
    this.length = 0
    return this.sink.frame(frame)
  }

  private deliverCollected(): boolean {
    const buffer = this.buffer!
    const frame = buffer.subarray(0, this.length)
    this.buffer = null
    this.filled = 0
    try {
      return this.deliver(frame)
    } finally {
      this.pool.give(buffer)
    }
  }

  private collect(chunk: Buffer, at: number): number {
    const available = Math.min(chunk.length - at, this.length - this.filled)
    const wanted = this.filled + available
    if (!this.buffer) {
      this.buffer = this.pool.take(Math.min(this.length, Math.max(FIRST_BUFFER_BYTES, wanted * TRUST_FACTOR)))
    } else if (this.buffer.length < wanted) {
      const larger = this.pool.take(Math.min(this.length, wanted * TRUST_FACTOR))
      this.buffer.copy(larger, 0, 0, this.filled)
      this.pool.give(this.buffer)
      this.buffer = larger
    }
    chunk.copy(this.buffer, this.filled, at, at + available)
    this.filled = wanted
    return available
  }
}
