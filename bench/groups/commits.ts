/** Offsets committed one request after the other on each of several connections, each in a group of its own. */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Sample } from '../lab/interleave.ts'
import { quantile } from '../lab/statistics.ts'
import { int16, int32, int64, string } from '../lab/wire.ts'

export interface CommitLoad {
  readonly port: number
  readonly groupId: string
  readonly topic: string
  /** Offsets in each request. */
  readonly partitions: number
  readonly connections: number
  readonly warmUpMs: number
  readonly measureMs: number
}

const OFFSET_COMMIT = 8
const VERSION = 7
const NO_GENERATION = -1

function requestOf({ groupId, topic, partitions }: CommitLoad, connection: number): Buffer {
  const offsets = Array.from({ length: partitions }, (_, partition) => {
    const leaderEpoch = 0
    return Buffer.concat([int32(partition), int64(1_000_000), int32(leaderEpoch), string('')])
  })
  const payload = Buffer.concat([
    int16(OFFSET_COMMIT),
    int16(VERSION),
    int32(1),
    string('bench'),
    string(`${groupId}-${connection}`),
    int32(NO_GENERATION),
    string(''),
    int16(-1),
    int32(1),
    string(topic),
    int32(partitions),
    ...offsets,
  ])
  return Buffer.concat([int32(payload.length), payload])
}

/** The error codes of all partitions of an answer to `requestOf` are 0. */
function isFine(answer: Buffer, { topic, partitions }: CommitLoad): boolean {
  const first = 4 + 4 + 4 + 4 + 2 + Buffer.byteLength(topic) + 4
  for (let partition = 0; partition < partitions; partition++)
    if (answer.readInt16BE(first + 6 * partition + 4) !== 0) return false
  return true
}

export async function commitLoad(load: CommitLoad): Promise<Sample> {
  let latencies: number[] = []
  let total = 0
  let failure: Error | null = null
  for (let i = 0; i < load.connections; i++)
    commitForever(load, i, {
      answered: (ms) => {
        total++
        latencies.push(ms)
      },
      failed: (error) => (failure ??= error),
    })
  await sleep(load.warmUpMs)
  latencies = []
  const startedAt = performance.now()
  await sleep(load.measureMs)
  const seconds = (performance.now() - startedAt) / 1000
  if (failure !== null) throw failure as Error
  const requests = latencies.length
  return {
    commits: requests / seconds,
    offsets: (requests * load.partitions) / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    total: total * load.partitions,
  }
}

interface Listener {
  readonly answered: (ms: number) => void
  readonly failed: (error: Error) => void
}

function commitForever(load: CommitLoad, connection: number, { answered, failed }: Listener): void {
  const request = requestOf(load, connection)
  let sentAt = 0
  let received: Buffer = Buffer.alloc(0)
  const send = (): void => {
    sentAt = performance.now()
    socket.write(request)
  }
  const socket = connect(load.port, '127.0.0.1', send)
  socket.setNoDelay(true)
  socket.on('error', failed)
  socket.on('close', () => failed(new Error('the broker closed the connection')))
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
    const answer = received
    received = Buffer.alloc(0)
    if (!isFine(answer, load)) return failed(new Error(`OffsetCommit: ${answer.toString('hex')}`))
    answered(performance.now() - sentAt)
    send()
  })
}
