import { describe, expect, test } from 'vitest'
import type { Connection } from '../../src/env/network.ts'
import {
  ClientConnection,
  type ConnectionHooks,
  MAX_PENDING_REPLY_BYTES,
  MAX_WAITING_REQUESTS,
  type Reply,
} from '../../src/server/client-connection.ts'
import { FrameBufferPool } from '../../src/server/frame-assembler.ts'

class FakeConnection implements Connection {
  readonly id = 1
  readonly remoteAddress = '127.0.0.1'
  readonly remotePort = 5000
  pendingWriteBytes = 0
  writes: string[][] = []
  paused = false
  destroyed = false
  write(chunks: readonly Uint8Array[], done?: () => void): void {
    this.writes.push(chunks.map((chunk) => Buffer.from(chunk).toString()))
    done?.()
  }
  pause(): void {
    this.paused = true
  }
  resume(): void {
    this.paused = false
  }
  end(): void {}
  destroy(): void {
    this.destroyed = true
  }
  get sent(): string {
    return this.writes.flat().join('')
  }
}

const frame = (text: string): Buffer => {
  const bytes = Buffer.from(`....${text}`)
  bytes.writeInt32BE(text.length, 0)
  return bytes
}
const replyOf = (text: string, sent?: () => void): Reply => ({ chunks: [Buffer.from(text)], sent })

function connected(dispatch: ConnectionHooks['dispatch']) {
  const log: string[] = []
  const socket = new FakeConnection()
  const hooks: ConnectionHooks = {
    dispatch,
    refused: (_, reason) => log.push(`refused ${reason}`),
    failed: (_, error) => log.push(`failed ${String(error)}`),
    closed: () => log.push('closed'),
  }
  const limits = { maxFrameBytes: 1 << 20, pool: new FrameBufferPool(), monotonicMs: () => 0 }
  return { socket, log, connection: new ClientConnection(socket, 'PLAINTEXT', hooks, limits) }
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('ClientConnection', () => {
  test('replies of one turn leave in one gathered write', () => {
    const { socket, connection } = connected((request) => replyOf(`<${request.toString()}>`))
    connection.data(Buffer.concat([frame('a'), frame('b'), frame('c')]))
    expect(socket.writes).toEqual([['<a>', '<b>', '<c>']])
  })

  test('replies leave in the order of the requests, whichever is ready first', async () => {
    const resolvers = new Map<string, (reply: Reply) => void>()
    const { socket, connection } = connected((request) => {
      const text = request.toString()
      if (text.startsWith('now')) return replyOf(text)
      return new Promise((resolve) => resolvers.set(text, resolve))
    })
    connection.data(Buffer.concat([frame('slow'), frame('now1'), frame('quick'), frame('now2')]))
    resolvers.get('quick')!(replyOf('quick'))
    await settled()
    expect(socket.sent).toBe('')
    resolvers.get('slow')!(replyOf('slow'))
    await settled()
    expect(socket.sent).toBe('slownow1quicknow2')
  })

  test('a request without a reply does not hold up the others', async () => {
    const { socket, connection } = connected((request) =>
      request.toString() === 'mute' ? null : replyOf('x'),
    )
    connection.data(Buffer.concat([frame('mute'), frame('a')]))
    await settled()
    expect(socket.sent).toBe('x')
  })

  test(`no more than ${MAX_WAITING_REQUESTS} requests wait; the rest is read when replies have left`, async () => {
    const resolvers: ((reply: Reply) => void)[] = []
    let seen = 0
    const { socket, connection } = connected(() => {
      seen++
      return new Promise((resolve) => resolvers.push(resolve))
    })
    const many = MAX_WAITING_REQUESTS + 10
    connection.data(Buffer.concat(Array.from({ length: many }, () => frame('r'))))
    expect(seen).toBe(MAX_WAITING_REQUESTS)
    expect(socket.paused).toBe(true)
    for (const resolve of resolvers.splice(0)) resolve(replyOf('.'))
    await settled()
    expect(seen).toBe(many)
    expect(socket.paused).toBe(false)
    for (const resolve of resolvers) resolve(replyOf('.'))
    await settled()
    expect(socket.sent).toBe('.'.repeat(many))
  })

  test('a client that does not take its replies is not read from', () => {
    let seen = 0
    const { socket, connection } = connected(() => {
      seen++
      socket.pendingWriteBytes = MAX_PENDING_REPLY_BYTES + 1
      return replyOf('big')
    })
    connection.data(Buffer.concat([frame('a'), frame('b')]))
    expect([seen, socket.paused]).toEqual([1, true])
    socket.pendingWriteBytes = 0
    connection.drain()
    expect(seen).toBe(2)
    socket.pendingWriteBytes = 0
    connection.drain()
    expect(socket.paused).toBe(false)
  })

  test('`sent` runs exactly once: after the write, or when the connection went first', async () => {
    const sent: string[] = []
    let later!: (reply: Reply) => void
    const { connection } = connected((request) =>
      request.toString() === 'later'
        ? new Promise((resolve) => (later = resolve))
        : replyOf('a', () => sent.push('written')),
    )
    connection.data(frame('now'))
    expect(sent).toEqual(['written'])
    connection.data(Buffer.concat([frame('later'), frame('behind')]))
    connection.closed()
    expect(sent).toEqual(['written', 'written'])
    later(replyOf('b', () => sent.push('too late')))
    await settled()
    expect(sent).toEqual(['written', 'written', 'too late'])
  })

  test.each([['throws'], ['rejects']])(
    'a handler that %s closes the connection with one line',
    async (how) => {
      const { socket, log, connection } = connected(() => {
        if (how === 'throws') throw new Error('broken')
        return Promise.reject(new Error('broken'))
      })
      connection.data(Buffer.concat([frame('a'), frame('b')]))
      await settled()
      expect(log).toEqual(['failed Error: broken'])
      expect(socket.destroyed).toBe(true)
    },
  )

  test('bytes that are no frame close the connection with one line', () => {
    const { socket, log, connection } = connected(() => null)
    connection.data(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
    expect(log.length).toBe(1)
    expect(log[0]).toMatch(/^refused .*HTTP/)
    expect(socket.destroyed).toBe(true)
  })
})

test('who waits for a client hears that it has gone', () => {
  const { connection } = connected(() => null)
  const heard: string[] = []
  connection.onClose(() => heard.push('one'))
  connection.onClose(() => heard.push('taken back'))()
  connection.closed()
  expect(heard).toEqual(['one'])
})
