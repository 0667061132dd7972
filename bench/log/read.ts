/** Reading a log from its start to a socket, beside plain reads of the same files into reused buffers, sent the same way. */
import { closeSync, mkdirSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { runClient } from '../lab/process.ts'
import type { Section } from '../lab/report.ts'
import { segmentFiles, writeSegment } from '../lab/segment-files.ts'
import type { SegmentShape } from '../lab/segment-files.ts'
import { measureAll, wanted } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { cache } from '../lab/tools.ts'
import { openLog, TOPIC } from './own-log.ts'

const SUBJECTS = ['odradek', 'limit']
/** max.partition.fetch.bytes: what a consumer asks for at a time. */
const SLICE_BYTES = 1 << 20
/** Slices handed to the socket that it has not sent yet. */
const IN_FLIGHT = 4
const SEGMENTS = 4
const SEGMENT_BYTES = 96e6

interface Slice {
  readonly bytes: Buffer
  readonly release: () => void
}

type NextSlice = () => Slice | null

function send(socket: Socket, next: NextSlice): void {
  const one = () => {
    const slice = next()
    if (slice === null) return void socket.end()
    socket.write(slice.bytes, () => {
      slice.release()
      if (!socket.writableEnded) one()
    })
  }
  for (let index = 0; index < IN_FLIGHT && !socket.writableEnded; index++) one()
}

/** Sends all slices to a process that takes them; megabytes a second from the first read to the last byte taken. */
function throughSocket(next: NextSlice, totalBytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      const from = performance.now()
      socket.setNoDelay(true)
      socket.once('close', () => {
        server.close()
        resolve(totalBytes / 1e6 / ((performance.now() - from) / 1000))
      })
      socket.on('error', reject)
      socket.resume()
      send(socket, next)
    })
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      runClient(process.execPath, [join(cache, 'bench', 'log-sink.mjs'), String(port)]).then(({ stdout }) => {
        if (Number(stdout) !== totalBytes) reject(new Error(`${stdout.trim()} bytes came, not ${totalBytes}`))
      }, reject)
    })
  })
}

/** The slices of a log; offsets are counted here, for a consumer knows them from the records. */
function slicesOfLog(directory: string, batchBytes: number, recordsPerBatch: number) {
  const { log, close } = openLog(directory)
  let offset = log.logStartOffset
  const options = { maxBytes: SLICE_BYTES, upperBoundOffset: log.logEndOffset, minOneBatch: true }
  const next: NextSlice = () => {
    const slice = log.read(offset, options)
    if (slice === null) throw new Error(`nothing to read at ${offset}`)
    if (slice.bytes.length === 0) return null
    offset += (slice.bytes.length / batchBytes) * recordsPerBatch
    return { bytes: slice.bytes, release: () => slice.release() }
  }
  return { next, close }
}

function slicesOfFiles(directory: string) {
  const idle = Array.from({ length: IN_FLIGHT }, () => Buffer.allocUnsafeSlow(SLICE_BYTES))
  const names = readdirSync(directory).filter((name) => name.endsWith('.log'))
  let file = -1
  let position = 0
  const next: NextSlice = () => {
    for (;;) {
      if (file < 0) {
        const name = names.shift()
        if (name === undefined) return null
        file = openSync(join(directory, name), 'r')
        position = 0
      }
      const buffer = idle.pop()!
      const length = readSync(file, buffer, 0, SLICE_BYTES, position)
      position += length
      if (length > 0) return { bytes: buffer.subarray(0, length), release: () => idle.push(buffer) }
      idle.push(buffer)
      closeSync(file)
      file = -1
    }
  }
  return { next, close: async () => {} }
}

async function readOne(options: Options, work: string, shape: SegmentShape): Promise<Section[]> {
  const { log: content } = segmentFiles(0, { ...shape, batches: 1 })
  const batchBytes = content.length
  const title = `sequential read to a socket, batches of ${Math.round(batchBytes / 1024)} KiB`
  if (!wanted(options, title)) return []
  const directory = join(work, `read-${batchBytes}`)
  const partition = join(directory, `${TOPIC}-0`)
  mkdirSync(partition, { recursive: true })
  const batches = Math.round(SEGMENT_BYTES / batchBytes / (options.quick ? 10 : 1))
  for (let segment = 0; segment < SEGMENTS; segment++) {
    const base = segment * batches * shape.recordsPerBatch
    writeSegment(partition, base, segmentFiles(base, { ...shape, batches }))
  }
  const logs = readdirSync(partition).filter((name) => name.endsWith('.log'))
  const totalBytes = logs.reduce((sum, name) => sum + statSync(join(partition, name)).size, 0)
  // A directory nobody has stopped cleanly is recovered first.
  await openLog(directory).close()
  const series = await measureAll(options, title, {
    subjects: SUBJECTS,
    measure: async (subject) => {
      const { next, close } =
        subject === 'limit'
          ? slicesOfFiles(partition)
          : slicesOfLog(directory, batchBytes, shape.recordsPerBatch)
      const megabytesPerSecond = await throughSocket(next, totalBytes)
      await close()
      return { megabytesPerSecond }
    },
  })
  return [
    {
      title,
      setting: { 'bytes read': totalBytes, segments: SEGMENTS },
      metrics: [{ name: 'megabytesPerSecond', label: 'read and sent', unit: 'MB/s' }],
      expectations: [{ metric: 'megabytesPerSecond', against: 'limit', direction: 'at least', value: 0.7 }],
      series,
    },
  ]
}

export async function read(options: Options, work: string): Promise<Section[]> {
  const plain = { valueBytes: 1000, batches: 0, indexIntervalBytes: 4096 }
  return [
    ...(await readOne(options, work, { ...plain, recordsPerBatch: 16 })),
    ...(await readOne(options, work, { ...plain, recordsPerBatch: 900 })),
  ]
}
