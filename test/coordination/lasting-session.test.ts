import { expect, test } from 'vitest'
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import type { EmbeddedCoordination } from '../../src/coordination/embedded.ts'
import { LastingSession } from '../../src/coordination/lasting-session.ts'
import { CoordinationError } from '../../src/env/coordination.ts'
import type {
  Coordination,
  CoordinationSession,
  SessionState,
  WatchEvent,
} from '../../src/env/coordination.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'
import { coordinationContract } from './contract.ts'
import { CrashDisk } from './crash-disk.ts'

const silent = { log: () => undefined }
const SESSION = { sessionTimeoutMs: 6000 }

coordinationContract('a lasting session on the embedded store', async () => {
  let nowMs = 1_700_000_000_000
  const timers = {
    soon: (callback: () => void) => void setImmediate(callback),
    after: () => ({ cancel: () => undefined }),
  }
  const clock = { nowMs: () => nowMs++, monotonicMs: () => nowMs }
  const store = createEmbeddedCoordination({
    disk: new CrashDisk(),
    directory: null,
    clock,
    timers,
    logger: silent,
  })
  const connect = (options: typeof SESSION): Promise<CoordinationSession> =>
    LastingSession.open({ ...options, coordination: store, timers, logger: silent })
  return { coordination: { connect }, stop: () => store.close() }
})

class World {
  readonly scheduler = new SimScheduler()
  readonly store: EmbeddedCoordination
  /** How many times `connect` fails before it works again. */
  failures = 0
  connects = 0
  readonly coordination: Coordination

  constructor() {
    const { clock, timers } = this.scheduler
    const disk = new CrashDisk()
    this.store = createEmbeddedCoordination({ disk, directory: null, clock, timers, logger: silent })
    this.coordination = {
      connect: async (options) => {
        this.connects++
        if (this.failures-- > 0) throw new CoordinationError('CONNECTION_LOSS', '/')
        return this.store.connect(options)
      },
    }
  }

  open(coordination = this.coordination): Promise<LastingSession> {
    const { timers } = this.scheduler
    return this.run(LastingSession.open({ ...SESSION, coordination, timers, logger: silent }))
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.until(promise)
  }

  async expire(session: CoordinationSession): Promise<void> {
    await this.run(this.store.expire(session.id))
    await this.scheduler.settle()
  }
}

function statesOf(session: CoordinationSession): SessionState[] {
  const states: SessionState[] = []
  session.onState((state) => states.push(state))
  return states
}

test('a session that has expired is replaced, and says so: its ephemeral nodes are gone, everything else works on', async () => {
  const world = new World()
  const session = await world.open()
  const states = statesOf(session)
  const first = session.id
  await world.run(session.create('/kept', Buffer.from('data')))
  await world.run(session.create('/mine', null, 'ephemeral'))
  await world.expire(session)
  expect(states).toEqual(['expired', 'renewed'])
  expect(session.id).not.toBe(first)
  expect(session.isSound).toBe(true)
  expect(await world.run(session.exists('/mine'))).toBeNull()
  expect((await world.run(session.get('/kept'))).data).toEqual(Buffer.from('data'))
  await world.run(session.create('/mine', null, 'ephemeral'))
  expect((await world.run(session.exists('/mine')))!.ephemeralOwner).toBe(session.id)
})

test('until there is a new session, operations reject with SESSION_EXPIRED, and connecting is tried again', async () => {
  const world = new World()
  const session = await world.open()
  const states = statesOf(session)
  world.failures = 3
  await world.expire(session)
  expect(states).toEqual(['expired'])
  expect(session.isSound).toBe(false)
  await expect(session.exists('/')).rejects.toMatchObject({ code: 'SESSION_EXPIRED' })
  await expect(session.create('/x', null)).rejects.toMatchObject({ code: 'SESSION_EXPIRED' })
  await world.scheduler.advance(10_000)
  expect(states).toEqual(['expired', 'renewed'])
  expect(world.connects).toBe(5)
})

test('it expires again and again', async () => {
  const world = new World()
  const session = await world.open()
  const states = statesOf(session)
  for (let round = 0; round < 3; round++) await world.expire(session)
  expect(states).toEqual(['expired', 'renewed', 'expired', 'renewed', 'expired', 'renewed'])
})

test('a session closed while another one is sought begins none, and closing twice is harmless', async () => {
  const world = new World()
  const session = await world.open()
  const states = statesOf(session)
  world.failures = 1
  await world.expire(session)
  await world.run(session.close())
  await world.run(session.close())
  await world.scheduler.advance(10_000)
  expect(states).toEqual(['expired', 'closed'])
  expect(world.connects).toBe(2)
})

test('a watch that was left before the session expired stays silent, one left after it runs', async () => {
  const world = new World()
  const session = await world.open()
  const events: WatchEvent[] = []
  const watch = (event: WatchEvent): void => void events.push(event)
  await world.run(session.exists('/a', watch))
  await world.expire(session)
  await world.run(session.create('/a', null))
  expect(events).toEqual([])
  await world.run(session.exists('/a', watch))
  await world.run(session.delete('/a'))
  await world.scheduler.settle()
  expect(events).toEqual([{ type: 'deleted', path: '/a' }])
})

/** A service that breaks the connection under the next `losses` operations. */
function losing(world: World): { coordination: Coordination; losses: number; asked: number } {
  const service = {
    losses: 0,
    asked: 0,
    coordination: {
      connect: async (options: typeof SESSION) => {
        const session = await world.store.connect(options)
        const lose = <T>(ask: () => Promise<T>): Promise<T> => {
          service.asked++
          return service.losses-- > 0 ? Promise.reject(new CoordinationError('CONNECTION_LOSS', '/')) : ask()
        }
        return new Proxy(session, {
          get: (target, name) => {
            const member: unknown = Reflect.get(target, name, target)
            if (typeof member !== 'function') return member
            const method = (member as (...args: unknown[]) => Promise<unknown>).bind(target)
            if (name === 'onState' || name === 'close') return method
            return (...args: unknown[]) => lose(() => method(...args))
          },
        })
      },
    },
  }
  return service
}

test('a read whose connection broke is asked again; a write is not', async () => {
  const world = new World()
  const service = losing(world)
  const session = await world.open(service.coordination)
  service.losses = 3
  expect(await world.run(session.children('/'))).toEqual([])
  expect(service.asked).toBe(4)
  service.losses = 1
  await expect(session.create('/a', null)).rejects.toMatchObject({ code: 'CONNECTION_LOSS' })
  expect(await world.run(session.exists('/a'))).toBeNull()
})

test('a read that waits to be asked again ends with the session', async () => {
  const world = new World()
  const service = losing(world)
  const session = await world.open(service.coordination)
  service.losses = 1000
  const read = session.children('/').catch((error: unknown) => error)
  await world.expire(session)
  expect(await world.run(read)).toMatchObject({ code: 'SESSION_EXPIRED' })
})
