import { describe, expect, test } from 'vitest'
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import type { CoordinationSession } from '../../src/env/coordination.ts'
import { SimEnsemble } from '../../src/env/sim/coordination.ts'
import { SimLinks } from '../../src/env/sim/links.ts'
import { SimProcess } from '../../src/env/sim/process.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'
import { coordinationContract } from '../coordination/contract.ts'

coordinationContract('A store in the simulated world', async () => {
  const { scheduler, coordination, store } = world()
  const state = { running: true }
  const run = (async () => {
    while (state.running) await scheduler.advance(1)
  })()
  return {
    coordination,
    async stop() {
      await store.close()
      state.running = false
      await run
    },
  }
})

describe('A session in the simulated world', () => {
  test('lives on while it is heard of', async () => {
    const { scheduler, session, states } = await connected()
    await scheduler.advance(60_000)
    expect(await scheduler.until(session.children('/'))).toContain('mine')
    expect(states).toEqual([])
  })

  test.each(['stopped', 'cut off', 'killed'])('ends when its process is %s for its timeout', async (how) => {
    const { scheduler, links, owner, session, states, watcher } = await connected()
    if (how === 'stopped') owner.stop()
    else if (how === 'killed') owner.kill()
    else links.cut('a', 'zookeeper')
    await scheduler.advance(3900)
    expect(await scheduler.until(watcher.exists('/mine'))).not.toBe(null)
    await scheduler.advance(2200)
    expect(await scheduler.until(watcher.exists('/mine'))).toBe(null)
    owner.resume()
    links.healAll()
    await scheduler.advance(5000)
    expect(states).toEqual(how === 'killed' ? [] : ['disconnected', 'expired'])
    if (how !== 'killed') await expect(session.exists('/')).rejects.toMatchObject({ code: 'SESSION_EXPIRED' })
  })

  test('that is expired by force hears of it at once', async () => {
    const { scheduler, ensemble, session, states } = await connected()
    ensemble.expire('a')
    const asked = expect(session.exists('/mine')).rejects.toMatchObject({
      code: expect.stringMatching(/CONNECTION_LOSS|SESSION_EXPIRED/),
    })
    await scheduler.advance(500)
    await asked
    expect(states).toEqual(['disconnected', 'expired'])
  })

  test('survives a cut that is shorter, and a watch tells what happened meanwhile', async () => {
    const { scheduler, links, session, states, watcher } = await connected()
    const events: string[] = []
    await scheduler.until(session.children('/', ({ type, path }) => void events.push(`${type} ${path}`)))
    links.cut('zookeeper', 'a')
    await scheduler.until(watcher.create('/other', null))
    const lost = expect(session.create('/made', null)).rejects.toMatchObject({ code: 'CONNECTION_LOSS' })
    await scheduler.advance(5000)
    await lost
    expect(states).toEqual(['disconnected'])
    expect(events).toEqual([])
    const waiting = session.exists('/made')
    links.healAll()
    expect(await scheduler.until(waiting)).not.toBe(null)
    expect(states).toEqual(['disconnected', 'connected'])
    expect(events).toEqual(['children_changed /'])
  })

  test('does not end while the ensemble has no majority', async () => {
    const { scheduler, ensemble, session, states } = await connected()
    ensemble.setAvailable(false)
    await scheduler.advance(30_000)
    expect(states).toEqual(['disconnected'])
    ensemble.setAvailable(true)
    expect(await scheduler.until(session.exists('/mine'))).not.toBe(null)
    expect(states).toEqual(['disconnected', 'connected'])
  })

  test('is not made where the ensemble cannot be reached', async () => {
    const { scheduler, links, coordination } = world()
    links.cut('a', 'zookeeper')
    const attempt = coordination.connect({ sessionTimeoutMs: 6000 })
    const outcome = expect(attempt).rejects.toMatchObject({ code: 'CONNECTION_LOSS' })
    await scheduler.advance(18_000)
    await outcome
  })
})

function world(seed = 1) {
  const scheduler = new SimScheduler({ seed })
  const links = new SimLinks(scheduler, new SeededRandom(seed))
  const { clock, timers } = scheduler
  const logger = { log: () => undefined }
  const disk = null as never
  const store = createEmbeddedCoordination({ disk, clock, timers, logger, directory: null })
  const ensemble = new SimEnsemble({ links, store, host: 'zookeeper' })
  const owner = new SimProcess({ scheduler, seed: 2 })
  return { scheduler, links, store, ensemble, owner, coordination: ensemble.of(owner, 'a') }
}

/** A session of 6 s with an ephemeral node, and another one that looks on. */
async function connected() {
  const all = world()
  const { scheduler, coordination, store } = all
  const session = await scheduler.until(coordination.connect({ sessionTimeoutMs: 6000 }))
  const watcher: CoordinationSession = await store.connect({ sessionTimeoutMs: 6000 })
  const states: string[] = []
  session.onState((state) => states.push(state))
  await scheduler.until(session.create('/mine', null, 'ephemeral'))
  return { ...all, session, watcher, states }
}
