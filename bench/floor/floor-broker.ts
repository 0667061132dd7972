/**
 * The floor: the least a Node process must do for a Produce (receive into one reused buffer, check CRC-32C, patch the
 * offset, one write, reply) and for a Fetch (find the batch, one read into a pooled buffer, reply without a copy).
 * Not a broker: one topic at a time (a new name forgets the last), no groups, no validation, no durability.
 * Its figures are the limit that Odradek's are held against.   floor-broker DIRECTORY PORT PARTITIONS
 */
import { closeSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { createServer, Socket } from 'node:net'
import { join } from 'node:path'
import { crc32c } from '@node-rs/crc32'

const [directory, portText, partitionsText] = process.argv.slice(2)
const port = Number(portText)
const partitions = Number(partitionsText)

/** A partition's file; batch i starts at offset starts[2i], position starts[2i + 1]. */
interface Log {
  file: number
  end: number
  nextOffset: number
  starts: number[]
}

let topic: string | undefined
let logs: Log[] = []
const readBuffers: Buffer[] = []
const READ_BUFFER_BYTES = 2 << 20

mkdirSync(directory, { recursive: true })

function open(name: string): void {
  for (const { file } of logs) closeSync(file)
  topic = name
  const path = (index: number) => join(directory, `${index}.log`)
  logs = Array.from({ length: partitions }, (_, index) => {
    return { file: openSync(path(index), 'w+'), end: 0, nextOffset: 0, starts: [] }
  })
}

class Reader {
  readonly frame: Buffer
  at = 0
  constructor(frame: Buffer) {
    this.frame = frame
  }
  int16 = (): number => this.frame.readInt16BE((this.at += 2) - 2)
  int32 = (): number => this.frame.readInt32BE((this.at += 4) - 4)
  int64 = (): number => this.int32() * 2 ** 32 + (this.int32() >>> 0)
  skip = (bytes: number): void => void (this.at += bytes)
  string = (): string => {
    const length = Math.max(0, this.int16())
    return this.frame.toString('latin1', this.at, (this.at += length))
  }
  bytes = (): Buffer => {
    const length = this.int32()
    return this.frame.subarray(this.at, (this.at += length))
  }
}

class Writer {
  readonly buffer = Buffer.allocUnsafe(4096)
  at = 4
  int8 = (value: number): void => void (this.at = this.buffer.writeInt8(value, this.at))
  int16 = (value: number): void => void (this.at = this.buffer.writeInt16BE(value, this.at))
  int32 = (value: number): void => void (this.at = this.buffer.writeInt32BE(value, this.at))
  int64 = (value: number): void => {
    this.int32(Math.floor(value / 2 ** 32))
    this.int32(value | 0)
  }
  string = (value: string): void => {
    this.int16(value.length)
    this.at += this.buffer.write(value, this.at, 'latin1')
  }
  finish(extraBytes = 0): Buffer {
    this.buffer.writeInt32BE(this.at - 4 + extraBytes, 0)
    return this.buffer.subarray(0, this.at)
  }
}

/** Produce 7, Fetch 4, ListOffsets 1, Metadata 4, ApiVersions 2; 10, and 0 from 0 on, so that librdkafka compresses with lz4. */
const SERVED = [
  [0, 0, 7],
  [1, 4, 4],
  [2, 1, 1],
  [3, 1, 4],
  [10, 0, 0],
  [18, 0, 2],
]

function apiVersions(_: Reader, version: number, out: Writer): void {
  out.int16(version > 2 ? 35 : 0)
  out.int32(SERVED.length)
  SERVED.flat().forEach(out.int16)
  if (version === 1 || version === 2) out.int32(0)
}

function metadata(request: Reader, version: number, out: Writer): void {
  if (version >= 3) out.int32(0)
  for (const value of [1, 1]) out.int32(value)
  out.string('127.0.0.1')
  out.int32(port)
  out.int16(-1)
  if (version >= 2) out.string('floor')
  out.int32(1)
  const names = Array.from({ length: Math.max(0, request.int32()) }, request.string)
  out.int32(names.length)
  for (const name of names) {
    if (name !== topic) open(name)
    out.int16(0)
    out.string(name)
    out.int8(0)
    out.int32(partitions)
    for (let index = 0; index < partitions; index++) {
      out.int16(0)
      for (const value of [index, 1, 1, 1, 1, 1]) out.int32(value)
    }
  }
}

function produce(request: Reader, _: number, out: Writer): void {
  request.string()
  request.skip(6)
  const topics = request.int32()
  out.int32(topics)
  for (let t = 0; t < topics; t++) {
    out.string(request.string())
    const count = request.int32()
    out.int32(count)
    for (let p = 0; p < count; p++) {
      const index = request.int32()
      const batch = request.bytes()
      out.int32(index)
      out.int16(0)
      out.int64(append(logs[index], batch))
      out.int64(-1)
      out.int64(0)
    }
  }
  out.int32(0)
}

function append(log: Log, batch: Buffer): number {
  if (crc32c(batch.subarray(21)) !== batch.readUInt32BE(17)) throw new Error('a batch with a wrong CRC')
  const base = log.nextOffset
  batch.writeInt32BE(Math.floor(base / 2 ** 32), 0)
  batch.writeInt32BE(base | 0, 4)
  batch.writeInt32BE(0, 12)
  log.starts.push(base, log.end)
  writeSync(log.file, batch, 0, batch.length, log.end)
  log.end += batch.length
  log.nextOffset += batch.readInt32BE(23) + 1
  return base
}

function listOffsets(request: Reader, _: number, out: Writer): void {
  request.skip(4)
  const topics = request.int32()
  out.int32(topics)
  for (let t = 0; t < topics; t++) {
    out.string(request.string())
    const count = request.int32()
    out.int32(count)
    for (let p = 0; p < count; p++) {
      const index = request.int32()
      const timestamp = request.int64()
      out.int32(index)
      out.int16(0)
      out.int64(-1)
      out.int64(timestamp === -2 ? 0 : logs[index].nextOffset)
    }
  }
}

/** Whole batches from the one that holds `offset`, up to `maxBytes`, at least one; null at the end of the log. */
function read(log: Log, offset: number, maxBytes: number): Buffer | null {
  if (offset >= log.nextOffset) return null
  const { starts } = log
  const batches = starts.length / 2
  let low = 0
  for (let high = batches - 1; low < high;) {
    const middle = (low + high + 1) >> 1
    if (starts[2 * middle] <= offset) low = middle
    else high = middle - 1
  }
  const from = starts[2 * low + 1]
  const endOf = (batch: number) => (batch + 1 < batches ? starts[2 * batch + 3] : log.end)
  let last = low
  while (last + 1 < batches && endOf(last + 1) - from <= Math.min(maxBytes, READ_BUFFER_BYTES)) last++
  const length = endOf(last) - from
  const pooled = length <= READ_BUFFER_BYTES && readBuffers.pop()
  const target = pooled || Buffer.allocUnsafeSlow(Math.max(length, READ_BUFFER_BYTES))
  readSync(log.file, target, 0, length, from)
  return target.subarray(0, length)
}

function fetch(request: Reader, socket: Socket, out: Writer): void {
  request.skip(4 + 4 + 4 + 4 + 1)
  const topics = request.int32()
  const name = topics > 0 ? request.string() : ''
  const wanted = Array.from({ length: topics > 0 ? request.int32() : 0 }, () => {
    return { index: request.int32(), offset: request.int64(), maxBytes: request.int32() }
  })
  const found = wanted.map(({ index, offset, maxBytes }) => read(logs[index], offset, maxBytes))
  const reply = () => {
    const chunks: Buffer[] = []
    let from = 0
    out.int32(0)
    out.int32(topics)
    if (topics > 0) out.string(name)
    if (topics > 0) out.int32(wanted.length)
    for (const [i, { index }] of wanted.entries()) {
      const records = found[i]
      out.int32(index)
      out.int16(0)
      out.int64(logs[index].nextOffset)
      out.int64(logs[index].nextOffset)
      out.int32(-1)
      out.int32(records?.length ?? 0)
      if (records === null) continue
      chunks.push(out.buffer.subarray(from, out.at), records)
      from = out.at
    }
    chunks.push(out.buffer.subarray(from, out.at))
    out.finish(found.reduce((sum, records) => sum + (records?.length ?? 0), 0))
    socket.cork()
    for (const chunk of chunks)
      socket.write(chunk, () => found.includes(chunk) && readBuffers.push(Buffer.from(chunk.buffer)))
    socket.uncork()
  }
  if (found.some((records) => records !== null)) reply()
  else setTimeout(reply, 10)
}

/** FindCoordinator 0: there is none, come back later. librdkafka asks wherever a group is named. */
function findCoordinator(_: Reader, __: number, out: Writer): void {
  const COORDINATOR_NOT_AVAILABLE = 15
  out.int16(COORDINATOR_NOT_AVAILABLE)
  out.int32(-1)
  out.string('')
  out.int32(-1)
}

const ANSWERS = new Map([
  [10, findCoordinator],
  [0, produce],
  [2, listOffsets],
  [3, metadata],
  [18, apiVersions],
])

function handle(frame: Buffer, socket: Socket): void {
  const request = new Reader(frame)
  const apiKey = request.int16()
  const version = request.int16()
  const out = new Writer()
  out.int32(request.int32())
  request.string()
  if (apiKey === 1) return fetch(request, socket, out)
  const answer = ANSWERS.get(apiKey)
  if (!answer) return void socket.destroy()
  answer(request, version, out)
  socket.write(out.finish())
}

/** Cuts what arrives into frames: one that arrived whole is handled in place, one that did not is gathered first. */
function frames(socket: Socket): (chunk: Buffer) => void {
  const size = Buffer.alloc(4)
  let sizeBytes = 0
  let frame: Buffer | null = null
  let have = 0
  return (chunk) => {
    for (let at = 0; at < chunk.length;) {
      if (frame === null) {
        size[sizeBytes++] = chunk[at++]
        if (sizeBytes < 4) continue
        sizeBytes = 0
        const length = size.readInt32BE(0)
        if (chunk.length - at >= length) {
          handle(chunk.subarray(at, at + length), socket)
          at += length
          continue
        }
        frame = Buffer.allocUnsafeSlow(length)
        have = 0
      }
      const taken = Math.min(frame.length - have, chunk.length - at)
      have += chunk.copy(frame, have, at, at + taken)
      at += taken
      if (have < frame.length) continue
      const whole = frame
      frame = null
      handle(whole, socket)
    }
  }
}

/** The only way to make an accepted socket read into a buffer of ours: take its handle into a new one. */
interface WithHandle {
  _handle: object | null
}
const receiveBuffer = Buffer.allocUnsafeSlow(1 << 20)
const server = createServer({ pauseOnConnect: true }, (accepted) => {
  const { _handle: handle } = accepted as unknown as WithHandle
  ;(accepted as unknown as WithHandle)._handle = null
  let take: (chunk: Buffer) => void = () => {}
  const callback = (bytes: number) => {
    take(receiveBuffer.subarray(0, bytes))
    return true
  }
  const options = { handle, onread: { buffer: receiveBuffer, callback } }
  const socket = new Socket(options as ConstructorParameters<typeof Socket>[0])
  take = frames(socket)
  socket.on('error', () => {})
  socket.setNoDelay(true)
  socket.resume()
})
server.listen(port, '127.0.0.1', () => console.log('floor ready'))
