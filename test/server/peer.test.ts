import net from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { createNodeNetwork } from '../../src/env/node/network.ts'
import { nodeClock, nodeTimers } from '../../src/env/node/clock.ts'
import { NetworkError } from '../../src/env/network.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'
import { encodeResponse, readRequestHeader } from '../../src/protocol/frame.ts'
import { fetchApi } from '../../src/protocol/messages/01-fetch.ts'
import { apiVersionsApi } from '../../src/protocol/messages/18-api-versions.ts'
import { heartbeatApi } from '../../src/protocol/messages/12-heartbeat.ts'
import { MAX_REUSED_BYTES } from '../../src/server/answer-buffers.ts'
import { MAX_WAITING_CALLS, Peer, type PeerOptions } from '../../src/server/peer.ts'

type Header = ReturnType<typeof readRequestHeader>
type Socket = net.Socket
/** What a broker does with a request that has arrived. */
type Behaviour = (header: Header, socket: Socket) => void

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

/** A broker as bad as the test wants it. */
async function brokerThat(behaves: Behaviour) {
  const sockets: Socket[] = []
  const headers: Header[] = []
  const server = net.createServer((socket) => {
    sockets.push(socket)
    let received = Buffer.alloc(0)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        const header = readRequestHeader(received.subarray(4, 4 + received.readInt32BE(0)))
        received = received.subarray(4 + received.readInt32BE(0))
        headers.push(header)
        behaves(header, socket)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const kill = (): void => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  cleanups.push(kill)
  return { port: (server.address() as net.AddressInfo).port, headers, sockets, kill }
}

function peerTo(
  port: number,
  options: Partial<PeerOptions> = {},
  timers = nodeTimers,
  clock = nodeClock,
): Peer {
  const peer = new Peer(
    { network: createNodeNetwork(), clock, timers },
    { host: '127.0.0.1', port },
    {
      clientId: 'a broker',
      requestTimeoutMs: 30_000,
      connectTimeoutMs: 10_000,
      maxResponseBytes: 1 << 20,
      ...options,
    },
  )
  cleanups.push(() => peer.close())
  return peer
}

const heartbeat = { groupId: 'g', generationId: 1, memberId: 'm' }
const beat = (peer: Peer) => peer.call(heartbeatApi, 0, heartbeat)
const ask = { maxWaitMs: 0, minBytes: 0, topics: [] }
const answerTo = ({ correlationId }: Header, errorCode = 0): Buffer =>
  Buffer.concat(encodeResponse(heartbeatApi, 0, correlationId, { errorCode }))
const records = (size: number): Buffer => Buffer.alloc(size, 'records')
function fetchedBytes({ correlationId }: Header, size: number): Buffer {
  const partitions = [{ partitionIndex: 0, errorCode: 0, highWatermark: 1, records: records(size) }]
  return Buffer.concat(
    encodeResponse(fetchApi, 4, correlationId, { responses: [{ topic: 't', partitions }] }),
  )
}

describe('A peer', () => {
  test('connects at the first call, and answers come to those who asked, in order', async () => {
    const broker = await brokerThat((header, socket) => socket.write(answerTo(header, header.correlationId)))
    const peer = peerTo(broker.port)
    expect(peer.isConnected).toBe(false)
    const answers = await Promise.all([beat(peer), beat(peer), beat(peer)])
    expect(answers.map(({ errorCode }) => errorCode)).toEqual([0, 1, 2])
    expect(broker.headers[0]).toMatchObject({ apiKey: 12, apiVersion: 0, clientId: 'a broker' })
    expect(broker.sockets.length).toBe(1)
  })

  test('sends a call without waiting for the answers to those before it', async () => {
    const held: (() => void)[] = []
    const broker = await brokerThat((header, socket) => {
      held.push(() => socket.write(answerTo(header, header.correlationId)))
      if (held.length === 3) for (const answer of held) answer()
    })
    const peer = peerTo(broker.port)
    const first = beat(peer)
    const answers = await Promise.all([first, beat(peer), beat(peer)])
    expect(answers.map(({ errorCode }) => errorCode)).toEqual([0, 1, 2])
  })

  test.each([100, 200_000, 3_000_000])(
    'keeps the %i bytes of an answer when others arrive in the same buffer',
    async (size) => {
      const broker = await brokerThat((header, socket) => {
        socket.write(fetchedBytes(header, header.correlationId === 0 ? size : 64))
      })
      const peer = peerTo(broker.port, { maxResponseBytes: 4 << 20 })
      const first = await peer.call(fetchApi, 4, ask)
      for (let i = 0; i < 3; i++) await peer.call(fetchApi, 4, ask)
      expect(first.responses[0].partitions[0].records!.equals(records(size))).toBe(true)
    },
  )

  test('that reuses answers gives each the memory of the last one, and no more than 16 MiB of it', async () => {
    const sizes = [100, 3_000_000, 40, 17 << 20, 3_000_000]
    const broker = await brokerThat((header, socket) => {
      socket.write(fetchedBytes(header, sizes[header.correlationId]))
    })
    const peer = peerTo(broker.port, { maxResponseBytes: 32 << 20, reusesAnswers: true })
    const memories: ArrayBufferLike[] = []
    for (const size of sizes) {
      const { responses } = await peer.call(fetchApi, 4, ask)
      const bytes = responses[0].partitions[0].records as Buffer
      expect(bytes.equals(records(size))).toBe(true)
      memories.push(bytes.buffer)
    }
    expect(memories[2]).toBe(memories[1])
    expect(memories[3].byteLength).toBeGreaterThan(MAX_REUSED_BYTES)
    expect(memories[4].byteLength).toBeLessThanOrEqual(MAX_REUSED_BYTES)
  })

  test('rejects with REFUSED where nobody listens, and connects when somebody does', async () => {
    const { port, kill } = await brokerThat(() => undefined)
    kill()
    const peer = peerTo(port)
    await expect(beat(peer)).rejects.toMatchObject({ name: 'NetworkError', code: 'REFUSED' })
    await expect(beat(peer)).rejects.toBeInstanceOf(NetworkError)
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (chunk) => socket.write(answerTo(readRequestHeader(chunk.subarray(4)), 7)))
    })
    cleanups.push(() => server.close())
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    expect(await beat(peer)).toEqual({ errorCode: 7, throttleTimeMs: 0 })
  })

  test('when the connection ends, all that is under way rejects, listeners hear of it once, and the port tells why', async () => {
    const broker = await brokerThat((_, socket) => void (broker.headers.length === 2 && socket.destroy()))
    const peer = peerTo(broker.port)
    const ends: string[] = []
    peer.onClosed(({ code }) => ends.push(code))
    const outcomes = await Promise.allSettled([beat(peer), beat(peer)])
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual([
      'CLOSED',
      'CLOSED',
    ])
    expect(ends).toEqual(['CLOSED'])
    expect(await peer.probe()).toBe(null)
    broker.kill()
    expect(await peer.probe()).toBe('REFUSED')
  })

  test('after close nothing is sent, and nobody is told that the connection ended', async () => {
    const broker = await brokerThat((header, socket) => {
      if (header.correlationId === 0) socket.write(answerTo(header))
    })
    const peer = peerTo(broker.port)
    peer.onClosed(() => expect.unreachable())
    await beat(peer)
    const waiting = beat(peer)
    peer.close()
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(beat(peer)).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('an answer that does not come in time ends the connection; the next call has a new one', async () => {
    const broker = await brokerThat((header, socket) => {
      if (broker.sockets.length > 1) socket.write(answerTo(header))
    })
    const { timers, clock, ...time } = virtualTime()
    const peer = peerTo(broker.port, { requestTimeoutMs: 500 }, timers, clock)
    const outcomes: string[] = []
    const note = ({ code }: NetworkError): void => void outcomes.push(code)
    beat(peer).catch(note)
    await time.advance(300)
    beat(peer).catch(note)
    await time.advance(199)
    expect(outcomes).toEqual([])
    await time.advance(1)
    await expect.poll(() => outcomes).toEqual(['TIMED_OUT', 'TIMED_OUT'])
    expect(await beat(peer)).toEqual({ errorCode: 0, throttleTimeMs: 0 })
    await time.advance(10_000)
    expect(peer.isConnected).toBe(true)
  })

  test('more calls than anyone makes are a bug', async () => {
    const broker = await brokerThat(() => undefined)
    const peer = peerTo(broker.port)
    for (let i = 0; i < MAX_WAITING_CALLS; i++) beat(peer).catch(() => undefined)
    expect(() => beat(peer)).toThrow(/calls wait/)
  })
})

describe('A peer closes the connection to a broker that', () => {
  const bad = (text: string, behaves: Behaviour, reason: RegExp) =>
    test(text, async () => {
      const broker = await brokerThat(behaves)
      const peer = peerTo(broker.port)
      const ended = new Promise<NetworkError>((resolve) => peer.onClosed(resolve))
      const [outcome] = await Promise.allSettled([beat(peer)])
      expect((await ended).code).toBe('CLOSED')
      expect((await ended).message).toMatch(reason)
      expect(peer.isConnected).toBe(false)
      if (outcome.status === 'rejected') expect(outcome.reason).toBe(await ended)
    })
  bad(
    'answers a request that was not the next',
    (header, socket) => socket.write(answerTo({ ...header, correlationId: 5 })),
    /answer 5 to request 0/,
  )
  bad(
    'answers twice',
    (header, socket) => socket.write(Buffer.concat([answerTo(header), answerTo(header)])),
    /answer 0 to no request/,
  )
  bad(
    'cuts an answer short',
    (_, socket) => socket.write(Buffer.from([0, 0, 0, 5, 0, 0, 0, 0, 0])),
    /Heartbeat/,
  )
  bad('has no room for a correlation id', (_, socket) => socket.write(Buffer.from([0, 0, 0, 1, 0])), /./)
  bad(
    'answers longer than it may',
    (_, socket) => socket.write(Buffer.from([0, 16, 0, 1])),
    /1048577 bytes; at most/,
  )
  bad('sends a length below zero', (_, socket) => socket.write(Buffer.from([255, 0, 0, 1])), /bytes; at most/)
  bad(
    'goes in the middle of an answer',
    (header, socket) => socket.end(answerTo(header).subarray(0, 7)),
    /closed/,
  )
})

describe('A peer asks which versions are spoken', () => {
  const speaks = (min: number, max: number): Behaviour => {
    return ({ apiKey, correlationId, ...header }, socket) => {
      if (apiKey !== apiVersionsApi.key) return socket.destroy()
      const apiKeys = [{ apiKey: heartbeatApi.key, minVersion: min, maxVersion: max }]
      const answer = { errorCode: 0, apiKeys }
      socket.write(Buffer.concat(encodeResponse(apiVersionsApi, header.apiVersion, correlationId, answer)))
    }
  }

  test('once per connection', async () => {
    const broker = await brokerThat(speaks(0, 2))
    const peer = peerTo(broker.port)
    expect(await Promise.all([peer.negotiate(heartbeatApi), peer.negotiate(heartbeatApi)])).toEqual([2, 2])
    expect(await peer.negotiate(heartbeatApi)).toBe(2)
    expect(broker.headers.length).toBe(1)
    await expect(beat(peer)).rejects.toMatchObject({ code: 'CLOSED' })
    expect(await peer.negotiate(heartbeatApi)).toBe(2)
    expect(broker.headers.length).toBe(3)
  })

  test('and takes the highest that both speak', async () => {
    const broker = await brokerThat(speaks(0, 100))
    expect(await peerTo(broker.port).negotiate(heartbeatApi)).toBe(heartbeatApi.versions[1])
  })

  test('and says so where there is none', async () => {
    const broker = await brokerThat(speaks(90, 100))
    const peer = peerTo(broker.port)
    const code = 'UNREACHABLE'
    await expect(peer.negotiate(heartbeatApi)).rejects.toMatchObject({ code, message: /versions 90 to 100/ })
    await expect(peer.negotiate(fetchApi)).rejects.toMatchObject({ code, message: /not at all/ })
  })

  test('and asks again when the question failed', async () => {
    const { port, kill } = await brokerThat(() => undefined)
    kill()
    const peer = peerTo(port)
    await expect(peer.negotiate(heartbeatApi)).rejects.toMatchObject({ code: 'REFUSED' })
    await expect(peer.negotiate(heartbeatApi)).rejects.toMatchObject({ code: 'REFUSED' })
  })
})

/** Deadlines in virtual time; sockets live in the real one. */
function virtualTime() {
  const scheduler = new SimScheduler()
  return {
    timers: scheduler.timers,
    clock: scheduler.clock,
    advance: (ms: number) => scheduler.advance(ms),
  }
}
