import { connect } from 'node:net'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { apiByKey } from '../../../src/protocol/messages/index.ts'
import { encodeRequest } from '../../../src/protocol/frame.ts'
import { valueOf } from '../../protocol/arbitrary.ts'
import { brokerKind, startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { kafkajsClient } from '../harness/kafkajs-client.ts'

let broker: TestBroker
let sends = 0

beforeAll(async () => {
  broker = await startBroker({ config: { 'auto.create.topics.enable': 'false' } })
  const admin = kafkajsClient(broker.bootstrap).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: 'sound' }] })
  await admin.disconnect()
})
afterAll(() => broker?.stop())

/** The broker is the same process and an ordinary client gets its record to it. */
async function stillServes(): Promise<void> {
  const pid = broker.pid
  const producer = kafkajsClient(broker.bootstrap).producer()
  await producer.connect()
  const [sent] = await producer.send({ topic: 'sound', messages: [{ value: 'still here' }] })
  await producer.disconnect()
  expect(sent.baseOffset).toBe(String(sends++))
  process.kill(pid, 0)
}

function open(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(broker.port, broker.host)
    socket.once('connect', () => {
      socket.on('error', () => {}) // being cut off is what many of these are for
      resolve(socket)
    })
    socket.once('error', reject)
  })
}

/** Sends the bytes and waits until the broker closes the connection; gives what it answered before. */
async function untilClosed(bytes: Buffer): Promise<Buffer> {
  const socket = await open()
  const answer: Buffer[] = []
  socket.on('data', (chunk) => answer.push(chunk))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.write(bytes)
  await closed
  return Buffer.concat(answer)
}

function int32(value: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** A frame with a request header: API key, version, correlation id 7, no client id. */
function request(key: number, version: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(10)
  header.writeInt16BE(key, 0)
  header.writeInt16BE(version, 2)
  header.writeInt32BE(7, 4)
  header.writeInt16BE(-1, 8)
  return Buffer.concat([int32(header.length + body.length), header, body])
}

describe('bytes that are no request', () => {
  test.each([
    ['a frame over socket.request.max.bytes', int32(104_857_601)],
    ['a negative length', int32(-1)],
    ['TLS', Buffer.from('160301020001000201fc0303', 'hex')],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    ['an unknown API key', request(999, 0)],
    ['a version that is too new', request(3, 99)],
    ['an array longer than its frame', request(3, 1, int32(0x7fffffff))],
    ['a string longer than its frame', request(3, 1, Buffer.concat([int32(1), Buffer.from('7fff', 'hex')]))],
  ])('%s: the connection is closed and the broker goes on', async (_, bytes) => {
    expect(await untilClosed(bytes)).toHaveLength(0)
    await stillServes()
  })

  test('ApiVersions of a version that is too new is answered as version 0 (KIP-511)', async () => {
    const socket = await open()
    const answer = new Promise<Buffer>((resolve, reject) => {
      socket.once('data', resolve)
      socket.once('close', () => reject(new Error('closed without an answer')))
    })
    // The header of a new version: tagged fields (none) behind the client id.
    socket.write(request(18, 1_000, Buffer.from([0, 1, 1, 0])))
    const bytes = await answer
    socket.destroy()
    expect(bytes.readInt32BE(4)).toBe(7)
    expect(bytes.readInt16BE(8)).toBe(35) // UNSUPPORTED_VERSION
  })

  test('frames that end with their connection', async () => {
    const whole = request(3, 1, int32(-1))
    for (let length = 1; length < whole.length; length++) {
      const socket = await open()
      await new Promise<void>((resolve) => socket.write(whole.subarray(0, length), () => resolve()))
      socket.destroy()
    }
    await stillServes()
  })
})

// Apache Kafka takes the memory that a length claims, so these are for ours alone.
describe.skipIf(brokerKind === 'kafka')('memory', () => {
  test('is not taken for what two hundred connections only claim to send', async () => {
    const before = broker.residentBytes()
    const sockets = await Promise.all(Array.from({ length: 200 }, open))
    for (const socket of sockets) socket.write(Buffer.concat([int32(104_857_600), Buffer.alloc(1_000)]))
    await stillServes()
    const grown = broker.residentBytes() - before
    for (const socket of sockets) socket.destroy()
    expect(grown).toBeLessThan(100e6)
  })

  test('stays bounded under twenty thousand mutated requests', async () => {
    const seed = Number(process.env.ODRADEK_COMPAT_SEED ?? Date.now() % 1_000_000)
    const random = randomOf(seed)
    const requests = corpus(seed)
    let left = 20_000
    const attack = async (): Promise<void> => {
      while (left > 0) {
        const socket = await open()
        // The next goes out as soon as this one is answered; one that waits for records or members is given up.
        for (let answered = true; answered && left > 0; left--) {
          socket.write(mutated(requests[random(requests.length)], random))
          answered = await answeredWithin(socket, 10)
        }
        socket.resetAndDestroy()
      }
    }
    await Promise.all(Array.from({ length: 8 }, attack))
    await eventually(`an ordinary client is served (seed ${seed})`, async () => {
      await stillServes()
      return true
    })
    expect(broker.residentBytes(), `seed ${seed}`).toBeLessThan(500e6)
  })
})

/** Whether anything comes back in time; false also when the connection is closed. */
function answeredWithin(socket: Socket, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (answered: boolean): void => {
      clearTimeout(timer)
      socket.off('data', hear)
      socket.off('close', end)
      resolve(answered)
    }
    const hear = (): void => settle(true)
    const end = (): void => settle(false)
    const timer = setTimeout(end, ms)
    socket.once('data', hear)
    socket.once('close', end)
  })
}

/** Whole requests of every API and version, with random content. */
function corpus(seed: number): Buffer[] {
  const requests: Buffer[] = []
  for (const api of apiByKey.values()) {
    for (let version = api.versions[0]; version <= api.versions[1]; version++) {
      const values = fc.sample(valueOf(api.request.fields, version), { numRuns: 3, seed: seed + version })
      for (const value of values) {
        requests.push(Buffer.concat(encodeRequest(api, version, 1, 'fuzz', value as never)))
      }
    }
  }
  return requests
}

function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** The request with some of its bytes changed, cut out, or said twice, under a length that is right. */
function mutated(whole: Buffer, random: (below: number) => number): Buffer {
  let body = Buffer.from(whole.subarray(4))
  for (let times = 1 + random(4); times > 0; times--) {
    const at = random(body.length)
    const kind = random(5)
    if (kind === 0) body[at] = random(256)
    else if (kind === 1) body[at] ^= 1 << random(8)
    else if (kind === 2) body = body.subarray(0, Math.max(8, at))
    else if (kind === 3) body = Buffer.concat([body.subarray(0, at), body.subarray(random(body.length))])
    else body.fill(random(2) === 0 ? 0x7f : 0xff, at, Math.min(body.length, at + 1 + random(8)))
  }
  return Buffer.concat([int32(body.length), body])
}
