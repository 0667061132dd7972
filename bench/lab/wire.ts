/**
 * The few requests the benchmarks themselves make, in old versions that every broker here answers (Kafka 4.1 has dropped
 * the oldest). Written out by hand, so that no broker is measured through its own code.
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const METADATA = 3
const FIND_COORDINATOR = 10
const CREATE_TOPICS = 19
const DELETE_TOPICS = 20
const ALTER_CONFIGS = 33

export const int16 = (value: number) => Buffer.from([(value >> 8) & 255, value & 255])
export const int32 = (value: number) => Buffer.from([24, 16, 8, 0].map((shift) => (value >> shift) & 255))
export const int64 = (value: number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}
export const string = (value: string) => Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)])

/** One connection, one request at a time. */
export class Wire {
  readonly #socket: Socket
  #received = Buffer.alloc(0)
  #waiting: { resolve: (body: Buffer) => void; reject: (error: Error) => void } | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error) => this.#waiting?.reject(error))
    socket.on('close', () => this.#waiting?.reject(new Error('the broker closed the connection')))
  }

  static open(port: number): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new Wire(socket)))
      socket.setNoDelay(true)
      socket.once('error', reject)
    })
  }

  /** The response's body, after its correlation id. Header version 1: no flexible versions here. */
  request(apiKey: number, apiVersion: number, body: readonly Buffer[]): Promise<Buffer> {
    const payload = [int16(apiKey), int16(apiVersion), int32(1), string('bench'), ...body]
    const length = payload.reduce((sum, part) => sum + part.length, 0)
    this.#socket.write(Buffer.concat([int32(length), ...payload]))
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }))
  }

  close(): void {
    this.#waiting = undefined
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    if (this.#received.length < 4 || this.#received.length < 4 + this.#received.readInt32BE(0)) return
    const body = this.#received.subarray(8)
    this.#received = Buffer.alloc(0)
    const { resolve } = this.#waiting!
    this.#waiting = undefined
    resolve(body)
  }
}

export async function withWire<T>(port: number, use: (wire: Wire) => Promise<T>): Promise<T> {
  const wire = await Wire.open(port)
  try {
    return await use(wire)
  } finally {
    wire.close()
  }
}

export interface PartitionView {
  readonly partition: number
  /** -1 while there is none. */
  readonly leader: number
  readonly replicas: readonly number[]
  readonly inSync: readonly number[]
}

/** What one broker believes of the cluster and of one topic; no partitions while it does not know the topic. */
export interface ClusterView {
  readonly controllerId: number
  readonly brokerIds: readonly number[]
  readonly partitions: readonly PartitionView[]
}

/** Metadata 1. */
export async function viewOf(wire: Wire, topic: string): Promise<ClusterView> {
  const body = await wire.request(METADATA, 1, [int32(1), string(topic)])
  let at = 0
  const readInt16 = () => body.readInt16BE((at += 2) - 2)
  const readInt32 = () => body.readInt32BE((at += 4) - 4)
  const skip = (bytes: number) => void (at += bytes)
  const skipString = () => skip(Math.max(0, readInt16()))
  const list = <T>(read: () => T): T[] => Array.from({ length: readInt32() }, read)
  const brokerIds = list(() => {
    const nodeId = readInt32()
    skipString()
    skip(4)
    skipString()
    return nodeId
  })
  const controllerId = readInt32()
  if (readInt32() !== 1 || readInt16() !== 0) return { controllerId, brokerIds, partitions: [] }
  skipString()
  skip(1)
  const partitions = list(() => {
    skip(2)
    const [partition, leader] = [readInt32(), readInt32()]
    return { partition, leader, replicas: list(readInt32), inSync: list(readInt32) }
  })
  return { controllerId, brokerIds, partitions }
}

/** How many of a topic's partitions have a leader; 0 while the topic is unknown. */
export async function leaders(wire: Wire, topic: string): Promise<number> {
  return (await viewOf(wire, topic)).partitions.filter(({ leader }) => leader >= 0).length
}

/** Waits until every partition has a leader. Rejects after a minute. */
export async function untilLed(wire: Wire, topic: string, partitions: number): Promise<void> {
  const deadline = performance.now() + 60_000
  while ((await leaders(wire, topic)) < partitions) {
    if (performance.now() > deadline) throw new Error(`${topic} is without leaders after a minute`)
    await sleep(5)
  }
}

/** Kafka says that it has started a moment before its controller counts it among the brokers. */
const INVALID_REPLICATION_FACTOR = 38

const THROTTLE_TIME_BYTES = 4

export type TopicConfig = Readonly<Record<string, string>>

function configArray(config: TopicConfig): Buffer {
  const pairs = Object.entries(config)
  return Buffer.concat([int32(pairs.length), ...pairs.flat().map(string)])
}

/** CreateTopics 2, one replica each; returns when every partition has its leader. */
export async function createTopic(
  wire: Wire,
  topic: string,
  partitions: number,
  config: TopicConfig = {},
): Promise<void> {
  const deadline = performance.now() + 30_000
  const timeoutMs = 60_000
  const replicas = 1
  for (;;) {
    const shape = [int32(partitions), int16(replicas), int32(0), configArray(config)]
    const validateOnly = Buffer.of(0)
    const request = [int32(1), string(topic), ...shape, int32(timeoutMs), validateOnly]
    const body = await wire.request(CREATE_TOPICS, 2, request)
    const error = body.readInt16BE(THROTTLE_TIME_BYTES + 4 + 2 + Buffer.byteLength(topic))
    if (error === 0) break
    if (error !== INVALID_REPLICATION_FACTOR || performance.now() > deadline)
      throw new Error(`creating ${topic}: error ${error}`)
    await sleep(20)
  }
  await untilLed(wire, topic, partitions)
}

/** AlterConfigs 0: the topic has these configs then, and no others. */
export async function alterTopic(wire: Wire, topic: string, config: TopicConfig): Promise<void> {
  const TOPIC = Buffer.of(2)
  const validateOnly = Buffer.of(0)
  const resource = [int32(1), TOPIC, string(topic), configArray(config), validateOnly]
  const body = await wire.request(ALTER_CONFIGS, 0, resource)
  const error = body.readInt16BE(4 + 4)
  if (error !== 0) throw new Error(`configs of ${topic}: error ${error}`)
}

/** DeleteTopics 1. */
export async function deleteTopic(wire: Wire, topic: string): Promise<void> {
  const body = await wire.request(DELETE_TOPICS, 1, [int32(1), string(topic), int32(60_000)])
  const error = body.readInt16BE(THROTTLE_TIME_BYTES + 4 + 2 + Buffer.byteLength(topic))
  if (error !== 0) throw new Error(`deleting ${topic}: error ${error}`)
}

/** FindCoordinator 0 until the group has one: makes `__consumer_offsets`. Rejects after a minute. */
export async function untilCoordinated(wire: Wire, groupId: string): Promise<void> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const error = (await wire.request(FIND_COORDINATOR, 0, [string(groupId)])).readInt16BE(0)
    if (error === 0) return
    if (performance.now() > deadline) throw new Error(`FindCoordinator: error ${error}`)
    await sleep(50)
  }
}
