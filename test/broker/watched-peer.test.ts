import { describe, expect, test } from 'vitest'
import { WatchedPeer } from '../../src/broker/watched-peer.ts'
import { SimLinks } from '../../src/env/sim/links.ts'
import { SimNetwork } from '../../src/env/sim/network.ts'
import { SimProcess } from '../../src/env/sim/process.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'
import { encodeResponse, readRequestHeader } from '../../src/protocol/frame.ts'
import { apiVersionsApi } from '../../src/protocol/messages/18-api-versions.ts'
import { Peer } from '../../src/server/peer.ts'

describe('A peer that is watched', () => {
  test('is lost as soon as its process is killed', async () => {
    const { advance, broker, listen, watched, losses } = world()
    await listen()
    watched.watch()
    await advance(1000)
    expect(losses).toEqual([])
    broker.kill()
    await advance(10)
    expect(losses.length).toBeGreaterThan(0)
  })

  test('is not lost by a port that has never been open, and watched when it is', async () => {
    const { advance, broker, listen, watched, losses } = world()
    watched.watch()
    await advance(5000)
    expect(losses).toEqual([])
    await listen()
    await advance(2000)
    expect(losses).toEqual([])
    broker.kill()
    await advance(10)
    expect(losses.length).toBeGreaterThan(0)
  })

  test.each(['stopped', 'cut off', 'without power'])('is not lost while it is %s', async (how) => {
    const { advance, broker, network, listen, watched, losses } = world()
    await listen()
    watched.watch()
    await advance(1000)
    if (how === 'stopped') broker.stop()
    else if (how === 'cut off') network.links.cut('b', 'a')
    else {
      network.powerOff(broker, 'b')
      broker.kill()
    }
    await advance(60_000)
    expect(losses).toEqual([])
  })

  test('that only closes the connection is not lost, and connected to again', async () => {
    const { advance, broker, listen, watched, losses, connections } = world()
    await listen()
    watched.watch()
    await advance(1000)
    connections.forEach((connection) => connection.destroy())
    await advance(2000)
    expect(losses).toEqual([])
    broker.kill()
    await advance(10)
    expect(losses.length).toBeGreaterThan(0)
  })
})

/** A broker on host b that answers ApiVersions once it listens, and one on host a that watches it. */
function world() {
  const scheduler = new SimScheduler()
  const random = new SeededRandom(1)
  const network = new SimNetwork(new SimLinks(scheduler, random), random)
  const own = new SimProcess({ scheduler, seed: 1 })
  const broker = new SimProcess({ scheduler, seed: 2 })
  const theirs = network.of(broker, 'b')
  const connections: { destroy(): void }[] = []
  const listen = () =>
    theirs.listen({ host: 'b', port: 9092 }, (connection) => {
      connections.push(connection)
      return {
        data: (chunk) => {
          const { correlationId } = readRequestHeader(chunk.subarray(4))
          connection.write(encodeResponse(apiVersionsApi, 0, correlationId, { errorCode: 0, apiKeys: [] }))
        },
        closed() {},
      }
    })
  const { clock, timers } = own
  const peer = new Peer(
    { clock, timers, network: network.of(own, 'a') },
    { host: 'b', port: 9092 },
    { clientId: 'a', requestTimeoutMs: 1000, connectTimeoutMs: 1000, maxResponseBytes: 1000 },
  )
  const watched = new WatchedPeer(peer, timers)
  const losses: number[] = []
  watched.onLost(() => losses.push(scheduler.elapsedMs))
  const advance = (ms: number): Promise<void> => scheduler.advance(ms)
  return { advance, broker, network, listen, watched, losses, connections }
}
