import { describe, expect, test } from 'vitest'
import type { Connection } from '../../src/env/network.ts'
import { SimLinks } from '../../src/env/sim/links.ts'
import { SimNetwork } from '../../src/env/sim/network.ts'
import { SimProcess } from '../../src/env/sim/process.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'

const TIMEOUT = { host: 'b', port: 9092, timeoutMs: 1000 }

describe('A simulated network', () => {
  test('carries bytes in order and whole, in pieces that are good for one call only', async () => {
    const { scheduler, connect, heard, kept } = await world(7)
    const connection = await connect()
    for (let i = 0; i < 200; i++) connection.write([Buffer.from(`${i},`), Buffer.from(';')])
    await scheduler.advance(1000)
    expect(heard().join('')).toBe(Array.from({ length: 200 }, (_, i) => `${i},;`).join(''))
    expect(heard().length).toBeGreaterThan(200)
    expect(kept.every((piece) => piece.every((byte) => byte === 0xdb))).toBe(true)
  })

  test('holds back what a cut way would carry, and the other way stays open', async () => {
    const { scheduler, links, connect, heard, answers, serve } = await world()
    const connection = await connect()
    links.cut('a', 'b')
    connection.write([Buffer.from('out')])
    serve()!.write([Buffer.from('in')])
    await scheduler.advance(10_000)
    expect(heard()).toEqual([])
    expect(answers.join('')).toBe('in')
    links.heal('a', 'b')
    await scheduler.advance(300)
    expect(heard().join('')).toBe('out')
  })

  test('a connection that cannot be answered times out; one way is enough for that', async () => {
    const { scheduler, links, connect, serve } = await world()
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ]) {
      links.cut(from, to)
      const attempt = connect()
      const outcome = expect(attempt).rejects.toMatchObject({ code: 'TIMED_OUT' })
      await scheduler.advance(999)
      await scheduler.advance(1)
      await outcome
      links.healAll()
      await scheduler.advance(1000)
      expect(serve()).toBe(null)
    }
  })

  test('a process that is killed resets its connections, and its port refuses', async () => {
    const { scheduler, server, connect, heard, ends } = await world()
    const connection = await connect()
    server.kill()
    await scheduler.advance(10)
    expect(ends).toEqual(['read ECONNRESET'])
    connection.write([Buffer.from('lost')])
    await expect(connect()).rejects.toMatchObject({ code: 'REFUSED' })
    expect(heard()).toEqual([])
  })

  test('a host without power says nothing, and resets what reaches it when it is up again', async () => {
    const { scheduler, network, server, connect, ends } = await world()
    const connection = await connect()
    network.powerOff(server, 'b')
    server.kill()
    connection.write([Buffer.from('into the dark')])
    await scheduler.advance(10_000)
    expect(ends).toEqual([])
    const outcome = expect(connect()).rejects.toMatchObject({ code: 'TIMED_OUT' })
    await scheduler.advance(1000)
    await outcome
    network.powerOn('b')
    await scheduler.advance(1000)
    expect(ends).toEqual(['read ECONNRESET'])
    await expect(connect()).rejects.toMatchObject({ code: 'REFUSED' })
  })

  test('a process that is stopped is connected to and sent to, and finds it all when it goes on', async () => {
    const { scheduler, server, connect, heard } = await world()
    let ran = 0
    server.timers.after(50, () => void ran++)
    const cancelled = server.timers.after(50, () => void ran++)
    server.stop()
    const connection = await connect()
    connection.write([Buffer.from('good morning')])
    await scheduler.advance(1000)
    expect([heard(), ran]).toEqual([[], 0])
    cancelled.cancel()
    server.resume()
    await scheduler.advance(10)
    expect([heard().join(''), ran]).toEqual(['good morning', 1])
  })

  test('a reader that pauses gets nothing until it resumes, and the writer hears when all has gone', async () => {
    const { scheduler, connect, serve, heard, drains } = await world()
    const connection = await connect()
    serve()!.pause()
    connection.write([Buffer.alloc(100_000, 'x')])
    await scheduler.advance(100)
    expect(heard()).toEqual([])
    expect(connection.pendingWriteBytes).toBeGreaterThan(0)
    serve()!.resume()
    await scheduler.advance(100)
    expect(heard().join('').length).toBe(100_000)
    expect([connection.pendingWriteBytes, drains.length]).toEqual([0, 1])
  })

  test('each side hears of the end once, after what was written before it', async () => {
    const { scheduler, connect, heard, ends, serverEnds } = await world()
    const connection = await connect()
    connection.write([Buffer.from('last words')])
    connection.end()
    connection.write([Buffer.from('too late')])
    await scheduler.advance(100)
    connection.destroy()
    await scheduler.advance(100)
    expect(heard().join('')).toBe('last words')
    expect([ends, serverEnds]).toEqual([[null], [null]])
  })

  test('a port is taken once, and free again when it is closed', async () => {
    const { network, server, listening } = await world()
    const again = () => network.of(server, 'b').listen({ host: '', port: 9092 }, () => silent)
    await expect(again()).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await listening.close()
    expect((await again()).port).toBe(9092)
  })

  test('the same seed gives the same arrivals at the same times', async () => {
    const runs = [await arrivals(3), await arrivals(3), await arrivals(4)]
    expect(runs[0]).toEqual(runs[1])
    expect(runs[0]).not.toEqual(runs[2])
  })
})

const silent = { data() {}, closed() {} }

async function arrivals(seed: number): Promise<string[]> {
  const { scheduler, network, links, connect } = await world(seed)
  const seen: string[] = []
  network.trace = (from, to, bytes) => void seen.push(`${scheduler.elapsedMs} ${from} ${to} ${bytes.length}`)
  const connection = await connect()
  links.setQuality('a', 'b', { minDelayMs: 1, maxDelayMs: 30, loss: 0.1 })
  for (let i = 0; i < 20; i++) connection.write([Buffer.alloc(i + 1)])
  await scheduler.advance(10_000)
  return seen
}

/** A process on host b that listens, and one on host a. */
async function world(seed = 1) {
  const scheduler = new SimScheduler({ seed })
  const random = new SeededRandom(seed)
  const links = new SimLinks(scheduler, random)
  const network = new SimNetwork(links, random)
  const client = new SimProcess({ scheduler, seed: 1 })
  const server = new SimProcess({ scheduler, seed: 2 })
  const kept: Buffer[] = []
  const pieces: string[] = []
  const answers: string[] = []
  const drains: number[] = []
  const ends: (string | null)[] = []
  const serverEnds: (string | null)[] = []
  let accepted: Connection | null = null
  const listening = await network.of(server, 'b').listen({ host: 'b', port: 9092 }, (connection) => {
    accepted = connection
    return {
      data(chunk) {
        pieces.push(chunk.toString())
        kept.push(chunk)
      },
      closed: (reason) => void serverEnds.push(reason),
    }
  })
  const side = network.of(client, 'a')
  const connect = async (): Promise<Connection> => {
    const made = side.connect(TIMEOUT, () => ({
      data: (chunk) => void answers.push(chunk.toString()),
      drain: () => void drains.push(scheduler.elapsedMs),
      closed: (reason) => void ends.push(reason),
    }))
    made.catch(() => undefined)
    await scheduler.advance(10)
    return made
  }
  const serve = (): Connection | null => accepted
  return {
    ...{ scheduler, links, network, server, connect, serve, listening },
    ...{ kept, answers, drains, ends, serverEnds, heard: () => pieces },
  }
}
