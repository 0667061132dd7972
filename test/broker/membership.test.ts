import { expect, test } from 'vitest'
import { ConfigError } from '../../src/broker/config/config-types.ts'
import { LAST_SESSION_FILE, noteLastSession, readLastSessions } from '../../src/broker/last-session.ts'
import { Membership } from '../../src/broker/membership.ts'
import { prepareCluster, registerBroker } from '../../src/controller/registration.ts'
import { CONTROLLER_PATH, brokerPath, decodeBroker } from '../../src/controller/znodes.ts'
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import { LastingSession } from '../../src/coordination/lasting-session.ts'
import { DiskError } from '../../src/env/disk.ts'
import { NetworkError, type Connection, type Network, type NetworkErrorCode } from '../../src/env/network.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'

const SESSION_TIMEOUT_MS = 6000
const endpoint = (port: number) => ({
  listenerName: 'PLAINTEXT',
  host: 'here',
  port,
  securityProtocol: 'PLAINTEXT',
})

class World {
  readonly scheduler = new SimScheduler()
  readonly disk = new SimDisk({ random: new SeededRandom(1) })
  readonly lines: string[] = []
  readonly logger = { log: (level: string, message: string) => void this.lines.push(`${level} ${message}`) }
  readonly store
  /** What connecting to a port comes to; nobody listens at others. */
  readonly ports = new Map<number, 'lives' | NetworkErrorCode>()
  readonly network: Network = {
    connect: ({ port }) => {
      const outcome = this.ports.get(port) ?? 'REFUSED'
      if (outcome !== 'lives') return Promise.reject(new NetworkError(outcome, `port ${port}`))
      return Promise.resolve({ destroy: () => undefined } as Connection)
    },
    listen: () => Promise.reject(new Error('nothing listens here')),
  }

  constructor() {
    const { clock, timers } = this.scheduler
    this.store = createEmbeddedCoordination({
      disk: this.disk,
      directory: null,
      clock,
      timers,
      logger: this.logger,
    })
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.until(promise)
  }

  async session(): Promise<LastingSession> {
    const { timers } = this.scheduler
    const options = {
      coordination: this.store,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      timers,
      logger: this.logger,
    }
    const session = await this.run(LastingSession.open(options))
    await this.run(prepareCluster(session, 'cluster'))
    return session
  }

  async member(
    previousSessions: readonly bigint[] = [],
  ): Promise<{ session: LastingSession; member: Membership }> {
    const session = await this.session()
    const { clock, timers } = this.scheduler
    const member = new Membership({
      env: { clock, timers, network: this.network, logger: this.logger },
      session,
      brokerId: 1,
      rack: null,
      transactionVersion: 2,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      previousSessions,
      noteSession: () => undefined,
    })
    return { session, member }
  }

  /** A registration of broker 1 that another process has made. */
  async registered(port: number): Promise<LastingSession> {
    const session = await this.session()
    await this.run(
      registerBroker(session, { id: 1, endpoints: [endpoint(port)], rack: null, timestampMs: 0 }),
    )
    return session
  }

  async owner(session: LastingSession, path = brokerPath(1)): Promise<bigint | undefined> {
    return (await this.run(session.exists(path)))?.ephemeralOwner
  }
}

test('a broker registers, and its epoch is the czxid of its registration', async () => {
  const world = new World()
  const { session, member } = await world.member()
  expect(member.epoch).toBe(-1)
  await world.run(member.join([endpoint(9092)]))
  const { data, stat } = await world.run(session.get(brokerPath(1)))
  expect(member.epoch).toBe(stat.czxid)
  expect(decodeBroker(data)!.endpoints).toEqual([endpoint(9092)])
})

test('after its session has expired it registers again, with a greater epoch', async () => {
  const world = new World()
  const { session, member } = await world.member()
  await world.run(member.join([endpoint(9092)]))
  const before = member.epoch
  for (let round = 0; round < 2; round++) {
    await world.run(world.store.expire(session.id))
    await world.scheduler.settle()
    expect(await world.owner(session)).toBe(session.id)
  }
  expect(member.epoch).toBeGreaterThan(before)
})

test('a broker that has stopped, or has not joined yet, does not register when its session is renewed', async () => {
  const world = new World()
  const { session, member } = await world.member()
  await world.run(world.store.expire(session.id))
  await world.scheduler.settle()
  expect(await world.owner(session)).toBeUndefined()
  expect(member.epoch).toBe(-1)
})

test('a duplicate id that lives is refused in one line, and keeps its registration', async () => {
  const world = new World()
  const other = await world.registered(9093)
  world.ports.set(9093, 'lives')
  const { session, member } = await world.member()
  const error = await world.run(member.join([endpoint(9092)]).catch((reason: unknown) => reason))
  expect(error).toBeInstanceOf(ConfigError)
  expect((error as Error).message).toBe('broker.id=1: another broker of this cluster has this id: here:9093')
  expect(await world.owner(session)).toBe(other.id)
})

for (const [process, port] of [
  ['whose port refuses', 9093],
  ['that had the same port', 9092],
] as const) {
  test(`a registration of a process ${process} is waited out`, async () => {
    const world = new World()
    const other = await world.registered(port)
    const { session, member } = await world.member()
    let joined = false
    const joining = member.join([endpoint(9092)]).then(() => (joined = true))
    await world.scheduler.advance(SESSION_TIMEOUT_MS)
    expect(joined).toBe(false)
    expect(world.lines.filter((line) => line.includes('waiting for its session to end'))).toHaveLength(1)
    await world.run(other.close())
    await world.run(joining)
    expect(await world.owner(session)).toBe(session.id)
  })
}

test('a registration that does not go within two session timeouts is that of another broker', async () => {
  const world = new World()
  await world.registered(9093)
  world.ports.set(9093, 'TIMED_OUT')
  const { member } = await world.member()
  const joining = member.join([endpoint(9092)]).catch((reason: unknown) => reason)
  await world.scheduler.advance(2 * SESSION_TIMEOUT_MS)
  expect(await world.run(joining)).toBeInstanceOf(ConfigError)
})

test('what the killed process of these log directories has left is removed at once, its controllership too', async () => {
  const world = new World()
  const killed = await world.registered(9093)
  await world.run(killed.create(CONTROLLER_PATH, Buffer.from('{}'), 'ephemeral'))
  const { session, member } = await world.member([killed.id])
  await world.run(member.join([endpoint(9092)]))
  expect(await world.owner(session)).toBe(session.id)
  expect(await world.owner(session, CONTROLLER_PATH)).toBeUndefined()
})

test('having a copy of the log directories of a broker that lives, or may live, removes nothing', async () => {
  for (const outcome of ['lives', 'TIMED_OUT'] as const) {
    const world = new World()
    const other = await world.registered(9093)
    world.ports.set(9093, outcome)
    const { session, member } = await world.member([other.id])
    const joining = member.join([endpoint(9092)]).catch((reason: unknown) => reason)
    await world.scheduler.advance(2 * SESSION_TIMEOUT_MS)
    expect(await world.run(joining)).toBeInstanceOf(ConfigError)
    expect(await world.owner(session)).toBe(other.id)
  }
})

test('an address that another broker has registered is refused', async () => {
  const world = new World()
  const other = await world.session()
  const registration = { id: 2, endpoints: [endpoint(9092)], rack: null, timestampMs: 0 }
  await world.run(registerBroker(other, registration))
  const { member } = await world.member()
  const error = await world.run(member.checkAddresses([endpoint(9092)]).catch((reason: unknown) => reason))
  expect((error as Error).message).toContain('advertised.listeners=here:9092: broker 2 is registered')
  await world.run(member.checkAddresses([endpoint(9094)]))
})

test('the session is noted in the first log directory that takes it, and read from all', () => {
  const world = new World()
  const { disk } = world
  for (const directory of ['/a', '/b']) disk.makeDirectory(directory)
  expect(readLastSessions(disk, ['/a', '/b'])).toEqual([])
  noteLastSession(world, ['/a', '/b'], 2n ** 63n + 7n)
  disk.replaceFile(`/b/${LAST_SESSION_FILE}`, 'no number')
  expect(readLastSessions(disk, ['/a', '/b'])).toEqual([2n ** 63n + 7n])
  const failing = Object.create(disk) as SimDisk
  failing.replaceFile = (path, data) => {
    if (path.startsWith('/a')) throw new DiskError('IO', path, 'broken')
    disk.replaceFile(path, data)
  }
  noteLastSession({ disk: failing, logger: world.logger }, ['/a', '/b'], 8n)
  expect(readLastSessions(disk, ['/b'])).toEqual([8n])
})
