/** What a session on a real ensemble does when servers die, freeze or are cut off: each fault of the client, cured. */
import { createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createZookeeperCoordination, type ZookeeperOptions } from '../../../src/env/node/zookeeper.ts'
import {
  CoordinationError,
  type CoordinationSession,
  type SessionState,
  type WatchEvent,
} from '../../../src/env/coordination.ts'
import { eventually } from '../harness/conditions.ts'
import { startEnsemble, Wire, type Ensemble, type ZookeeperServer } from './ensemble.ts'
import { nodeTime } from './node-time.ts'

const SESSION_MS = 1200
let ensemble: Ensemble
const cleanUps: (() => unknown)[] = []
let count = 0

beforeAll(async () => {
  ensemble = await startEnsemble(3)
})
afterAll(() => ensemble?.stop())
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function open(connect: string, options: Partial<ZookeeperOptions> = {}): Promise<CoordinationSession> {
  const coordination = createZookeeperCoordination({
    ...nodeTime,
    connect,
    connectionTimeoutMs: 8000,
    ...options,
  })
  const session = await coordination.connect({ sessionTimeoutMs: SESSION_MS })
  cleanUps.push(() => session.close())
  return session
}

async function wireTo(server: ZookeeperServer): Promise<Wire> {
  const wire = await new Wire(server.port).listen()
  cleanUps.push(() => wire.stop())
  return wire
}

function statesOf(session: CoordinationSession): SessionState[] {
  const states: SessionState[] = []
  session.onState((state) => states.push(state))
  return states
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (error) {
    if (error instanceof CoordinationError) return error.code
    throw error
  }
}

const path = (): string => `/fault-${process.pid}-${count++}`

describe('an ensemble that loses servers', () => {
  test('a session outlives each server in turn, with its ephemeral nodes and its watches', async () => {
    const session = await open(ensemble.connect)
    const other = await open(ensemble.connect)
    const node = path()
    await session.create(node, null, 'ephemeral')
    const { id } = session
    for (const server of ensemble.servers) {
      const seen: string[] = []
      await eventually('a watch is left', () =>
        session.get(node, () => seen.push('changed')).then(() => true),
      )
      await server.kill()
      await eventually('others still write', () => other.set(node, Buffer.from('x')).then(() => true))
      await eventually('the watch runs', () => seen.length === 1)
      expect(session.id).toBe(id)
      expect((await eventually('it is read', () => session.exists(node))).ephemeralOwner).toBe(id)
      server.start()
      await eventually('the server is back', () => server.mode())
    }
  })

  test('a server that freezes is left within two thirds of the session timeout', async () => {
    const [frozen, sound] = ensemble.servers
    const [first, second] = [await wireTo(frozen), await wireTo(sound)]
    second.cut(true)
    const session = await open(`127.0.0.1:${first.port},127.0.0.1:${second.port}`)
    const node = path()
    await session.create(node, null, 'ephemeral')
    second.restore()
    const states = statesOf(session)
    frozen.freeze()
    cleanUps.push(() => frozen.thaw())
    await eventually('the frozen server is left', () => states.includes('disconnected'), SESSION_MS)
    await eventually('another one serves the session', () => session.exists(node))
    expect(states).not.toContain('expired')
    frozen.thaw()
    await eventually('the server is back', () => frozen.mode())
  })

  test('with the majority frozen nothing is answered, and it goes on afterwards', async () => {
    const session = await open(ensemble.connect)
    const node = path()
    const frozen = ensemble.servers.slice(0, 2)
    for (const server of frozen) server.freeze()
    const states = statesOf(session)
    const made = codeOf(session.create(node, null))
    await eventually('the connection is lost', () => states.includes('disconnected'), 3 * SESSION_MS)
    for (const server of frozen) server.thaw()
    await ensemble.leader()
    expect(['none', 'CONNECTION_LOSS', 'SESSION_EXPIRED']).toContain(await made)
    const fresh = await open(ensemble.connect)
    await eventually('the ensemble takes writes', () => fresh.create(path(), null))
  })
})

describe('a connection that fails', () => {
  test('a session that expired says so, answers what waited, and its successor begins anew', async () => {
    const wire = await wireTo(ensemble.servers[0])
    const session = await open(`127.0.0.1:${wire.port}`)
    const watcher = await open(ensemble.connect)
    const node = path()
    await session.create(node, null, 'ephemeral')
    const states = statesOf(session)
    wire.cut(true)
    await eventually('it is known that the connection is gone', () => states.includes('disconnected'))
    const waiting = codeOf(session.exists(node))
    await eventually('the ensemble ends the session', async () => (await watcher.exists(node)) === null)
    wire.restore()
    expect(await waiting).toBe('SESSION_EXPIRED')
    expect(states.at(-1)).toBe('expired')
    expect(await codeOf(session.exists(node))).toBe('SESSION_EXPIRED')
    const successor = await open(`127.0.0.1:${wire.port}`)
    expect(successor.id).not.toBe(session.id)
    await successor.create(node, null, 'ephemeral')
  })

  test('more watches than a server takes in one request outlive it', async () => {
    const wire = await wireTo(ensemble.servers[0])
    const session = await open(`127.0.0.1:${wire.port}`)
    const other = await open(ensemble.connect)
    const [node, last] = [path(), path()]
    await other.create(node, null)
    const seen: string[] = []
    const watch = (event: WatchEvent): void => void seen.push(event.path)
    // 1.2 MB of paths; a server takes 1 MB.
    const names = Array.from({ length: 5000 }, (_, i) => `${node}-${'x'.repeat(220)}-${i}`)
    await session.get(node, watch)
    for (let start = 0; start < names.length; start += 250)
      await Promise.all(names.slice(start, start + 250).map((name) => session.exists(name, watch)))
    await session.exists(last, watch)
    const { id } = session
    wire.cut()
    wire.restore()
    await eventually('the session is served again', () => session.exists('/'))
    for (const name of [names[0], names[4999], last]) await other.create(name, null)
    await other.set(node, Buffer.from('x'))
    await eventually('the watches run', () => seen.length === 4)
    expect(seen.toSorted()).toEqual([node, names[0], names[4999], last].toSorted())
    expect(session.id).toBe(id)
  })

  test('what was under way when the connection broke is CONNECTION_LOSS', async () => {
    const wire = await wireTo(ensemble.servers[0])
    const session = await open(`127.0.0.1:${wire.port}`)
    wire.fallSilent()
    const asked = codeOf(session.exists('/'))
    wire.cut()
    expect(await asked).toBe('CONNECTION_LOSS')
    wire.restore()
    expect(await eventually('it is answered again', () => session.exists('/'))).toBeTruthy()
  })

  test('half a reply of the old connection does not disturb the next one', async () => {
    const wire = await wireTo(ensemble.servers[0])
    const session = await open(`127.0.0.1:${wire.port}`)
    const node = path()
    await session.create(node, Buffer.alloc(1000, 'x'))
    for (const bytes of [1, 3, 5, 40, 500]) {
      wire.cutAfter(bytes)
      expect(await codeOf(session.get(node))).toBe('CONNECTION_LOSS')
      const { data } = await eventually('it is read whole', () => session.get(node))
      expect(data).toEqual(Buffer.alloc(1000, 'x'))
    }
  })

  test('a server that accepts and says nothing is passed over', async () => {
    const mute = createServer(() => undefined)
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    cleanUps.push(() => mute.close())
    const { port } = mute.address() as { port: number }
    const session = await open(`127.0.0.1:${port},127.0.0.1:${ensemble.servers[1].port}`)
    expect(await session.exists('/')).not.toBeNull()
  })

  test('where no server answers, connecting ends with CONNECTION_LOSS', async () => {
    const wire = await wireTo(ensemble.servers[0])
    wire.cut(true)
    expect(await codeOf(open(`127.0.0.1:${wire.port}`, { connectionTimeoutMs: 300 }))).toBe('CONNECTION_LOSS')
  })

  test('closing without a connection comes to an end', async () => {
    const wire = await wireTo(ensemble.servers[0])
    const session = await open(`127.0.0.1:${wire.port}`)
    wire.fallSilent()
    await session.close()
    expect(await codeOf(session.exists('/'))).toBe('SESSION_EXPIRED')
  })
})

describe('what the ensemble refuses', () => {
  test('an error that the client does not know is an error of the operation alone', async () => {
    const session = await open(ensemble.connect)
    const node = path()
    await session.create(node, null)
    await session.create(`/zookeeper/quota${node}`, null)
    const limits = 'count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=-1'
    await session.create(`/zookeeper/quota${node}/zookeeper_limits`, Buffer.from(limits))
    await session.create(`/zookeeper/quota${node}/zookeeper_stats`, Buffer.from('count=1,bytes=0'))
    expect(await codeOf(session.set(node, Buffer.alloc(100)))).toBe('STORAGE')
    expect(await session.exists(node)).not.toBeNull()
  })

  test('nodes made with credentials are changed with them alone, also after a reconnection', async () => {
    const wire = await wireTo(ensemble.servers[0])
    const owner = await open(`127.0.0.1:${wire.port}`, { digest: 'ada:secret', setAcl: true })
    const stranger = await open(ensemble.connect)
    const node = path()
    await owner.create(node, Buffer.from('one'))
    expect((await eventually('others read it', () => stranger.get(node))).data?.toString()).toBe('one')
    expect(await codeOf(stranger.set(node, null))).not.toBe('none')
    const states = statesOf(owner)
    wire.cut(true)
    await eventually('the connection is lost', () => states.includes('disconnected'))
    const waiting = owner.set(node, Buffer.from('two'))
    wire.restore()
    const queued = await waiting
    expect(queued.version).toBe(1)
    for (const name of ['/config', '/config/users']) await owner.create(name, null).catch(() => undefined)
    expect(await codeOf(stranger.get('/config/users'))).not.toBe('none')
  })
})
