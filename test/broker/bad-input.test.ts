import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningBroker, startBroker } from '../../src/index.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { encodeRequest } from '../../src/protocol/frame.ts'
import { apiByKey } from '../../src/protocol/messages/index.ts'
import { apiVersionsApi } from '../../src/protocol/messages/18-api-versions.ts'
import { leaderAndIsrApi } from '../../src/protocol/messages/04-leader-and-isr.ts'
import { stopReplicaApi } from '../../src/protocol/messages/05-stop-replica.ts'
import { updateMetadataApi } from '../../src/protocol/messages/06-update-metadata.ts'
import { controlledShutdownApi } from '../../src/protocol/messages/07-controlled-shutdown.ts'
import { alterPartitionApi } from '../../src/protocol/messages/56-alter-partition.ts'
import { allocateProducerIdsApi } from '../../src/protocol/messages/67-allocate-producer-ids.ts'
import { metadataApi } from '../../src/protocol/messages/03-metadata.ts'
import { valueOf } from '../protocol/arbitrary.ts'
import { WireClient } from './wire-client.ts'

const lines: string[] = []
let broker: RunningBroker
beforeAll(async () => {
  const logger = {
    log: (level: string, message: string, fields?: object) =>
      lines.push(`${level} ${message} ${JSON.stringify(fields)}`),
  }
  broker = await startBroker({
    topics: ['present:2'],
    logger,
    config: { 'socket.request.max.bytes': 1 << 20 },
  })
})
afterAll(() => broker.stop())

async function stillServes(): Promise<void> {
  const client = await WireClient.connect(broker.port)
  const reply = await client.request(metadataApi, 12, { topics: [{ name: 'present' }] })
  expect(reply.topics[0].errorCode).toBe(ErrorCode.NONE)
  client.close()
}

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const framed = (body: Buffer): Buffer => Buffer.concat([int32(body.length), body])
/** API key, version, correlation id, no client id. */
const header = (key: number, version: number): Buffer => {
  const bytes = Buffer.alloc(10)
  bytes.writeInt16BE(key, 0)
  bytes.writeInt16BE(version, 2)
  bytes.writeInt16BE(-1, 8)
  return bytes
}

describe('bytes that are no request', () => {
  test.each([
    ['a frame over socket.request.max.bytes', int32((1 << 20) + 1), /larger than socket.request.max.bytes/],
    ['a negative length', int32(-5), /zero or negative/],
    ['TLS', Buffer.from('16030102000100', 'hex'), /TLS/],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), /HTTP/],
    ['an unknown API key', framed(header(999, 0)), /API key 999/],
    ['an API of a later release', framed(header(29, 0)), /API key 29/],
    ['an unknown version', framed(header(3, 99)), /Metadata version 99/],
    ['a version below the range', framed(header(8, 0)), /OffsetCommit version 0/],
    ['a frame too short for a header', framed(Buffer.from([0, 3])), /malformed/],
    ['a request without its body', framed(header(3, 12)), /malformed/],
    [
      'an array count beyond the frame',
      framed(Buffer.concat([header(3, 1), int32(0x7fffffff)])),
      /malformed/,
    ],
    [
      'a string length beyond the frame',
      framed(Buffer.concat([header(3, 1), int32(1), Buffer.from([0x7f, 0xff])])),
      /malformed/,
    ],
  ])('%s closes the connection with one line', async (_, bytes, line) => {
    lines.length = 0
    const client = await WireClient.connect(broker.port)
    client.send(bytes)
    await client.closed
    expect(lines.length).toBe(1)
    expect(lines[0]).toMatch(line)
    await stillServes()
  })

  test('a frame that never ends costs no memory and is dropped with its connection', async () => {
    const client = await WireClient.connect(broker.port)
    client.send(Buffer.concat([int32(1 << 20), Buffer.alloc(100)]))
    await stillServes()
    client.close()
    await stillServes()
  })

  test('an unknown ApiVersions version is answered in version 0 with what there is (KIP-511)', async () => {
    const client = await WireClient.connect(broker.port)
    const reply = await client.frame(framed(header(18, 77)))
    expect(reply.readInt16BE(4)).toBe(ErrorCode.UNSUPPORTED_VERSION)
    expect(reply.readInt32BE(6)).toBe(1)
    expect([10, 12, 14].map((at) => reply.readInt16BE(at))).toEqual([18, 0, 4])
    client.close()
  })

  test('ApiVersions 3 with an impossible client name is refused with INVALID_REQUEST', async () => {
    const client = await WireClient.connect(broker.port)
    const request = { clientSoftwareName: '-bad name-', clientSoftwareVersion: '1' }
    expect((await client.request(apiVersionsApi, 3, request)).errorCode).toBe(ErrorCode.INVALID_REQUEST)
    client.close()
  })
})

/** Kafka takes them from everybody where it has no authorizer. */
test('who shares its cluster with nobody takes no orders that only a broker could give', async () => {
  const client = await WireClient.connect(broker.port)
  const head = { controllerId: 9, controllerEpoch: 1000, liveLeaders: [], liveBrokers: [] }
  const refused = { errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED }
  expect(await client.request(leaderAndIsrApi, 7, head)).toMatchObject(refused)
  expect(await client.request(stopReplicaApi, 4, head)).toMatchObject(refused)
  expect(await client.request(updateMetadataApi, 8, head)).toMatchObject(refused)
  expect(await client.request(controlledShutdownApi, 3, { brokerId: 1 })).toMatchObject(refused)
  expect(await client.request(alterPartitionApi, 3, { brokerId: 1, topics: [] })).toMatchObject(refused)
  expect(await client.request(allocateProducerIdsApi, 0, { brokerId: 1, brokerEpoch: 1 })).toMatchObject(
    refused,
  )
  client.close()
  await stillServes()
})

/** Whole requests of every API and version, with random content. */
function corpus(seed: number): Buffer[] {
  const requests: Buffer[] = []
  for (const api of apiByKey.values()) {
    for (let version = api.versions[0]; version <= api.versions[1]; version++) {
      const values = fc.sample(valueOf(api.request.fields, version), { numRuns: 6, seed: seed + version })
      for (const value of values)
        requests.push(Buffer.concat(encodeRequest(api, version, 1, 'fuzz', value as never)))
    }
  }
  return requests
}

/** A small generator with a seed: the mutations must be repeatable. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function mutated(request: Buffer, random: (below: number) => number): Buffer {
  let body = Buffer.from(request.subarray(4))
  for (let times = 1 + random(4); times > 0; times--) {
    const at = random(body.length)
    const kind = random(5)
    if (kind === 0) body[at] = random(256)
    else if (kind === 1) body[at] ^= 1 << random(8)
    else if (kind === 2) body = Buffer.from(body.subarray(0, Math.max(8, at)))
    else if (kind === 3) body = Buffer.concat([body.subarray(0, at), body.subarray(random(body.length))])
    else body.fill(random(2) ? 0xff : 0x7f, at, Math.min(body.length, at + 1 + random(8)))
  }
  return framed(body)
}

const probe = Buffer.concat(encodeRequest(apiVersionsApi, 0, 1, 'probe', {}))
const patience = (): Promise<boolean> => new Promise((resolve) => setTimeout(() => resolve(false), 10))

test('100,000 mutated requests leave a broker that serves, with bounded memory', async () => {
  const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000)
  const random = randomOf(seed)
  const requests = corpus(seed)
  const total = Number(process.env.FUZZ_REQUESTS ?? 100_000)
  globalThis.gc?.()
  const before = process.memoryUsage().rss
  let sent = 0
  const attack = async (): Promise<void> => {
    while (sent < total) {
      const client = await WireClient.connect(broker.port)
      // A request that was understood may wait long for its reply (Fetch, JoinGroup): then another connection goes on.
      let answered = true
      while (answered && !client.isClosed && sent < total) {
        sent++
        client.send(mutated(requests[random(requests.length)], random))
        answered = await Promise.race([client.frame(probe).then(() => true), patience()]).catch(() => false)
      }
      client.close()
      await client.closed
    }
  }
  await Promise.all(Array.from({ length: 16 }, attack))
  await stillServes()
  const grownMb = (process.memoryUsage().rss - before) / 1e6
  expect(grownMb, `seed ${seed}`).toBeLessThan(600)
  const errors = new Set(lines.filter((line) => line.startsWith('error')).map((line) => line.slice(0, 400)))
  expect([...errors].slice(0, 5), `seed ${seed}`).toEqual([])
}, 240_000)
