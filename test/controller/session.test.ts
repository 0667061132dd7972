import { expect, test } from 'vitest'
import { PatientSession } from '../../src/controller/patient-session.ts'
import { Controller } from '../../src/controller/controller.ts'
import { prepareCluster, registerBroker } from '../../src/controller/registration.ts'
import { LastingSession } from '../../src/coordination/lasting-session.ts'
import { CoordinationError } from '../../src/env/coordination.ts'
import type { CoordinationSession } from '../../src/env/coordination.ts'
import { SimCluster, SimBroker, registrationOf } from './cluster.ts'

/** A broker whose session is renewed when it expires, as a real one's is. */
async function lastingBroker(cluster: SimCluster, id: number) {
  const { timers } = cluster.scheduler
  const session = await cluster.until(
    LastingSession.open({
      coordination: cluster.store,
      sessionTimeoutMs: 6000,
      timers,
      logger: cluster.logger,
    }),
  )
  await cluster.until(prepareCluster(session, 'AAAAAAAAAAAAAAAAAAAAAQ'))
  session.onState((state) => {
    if (state === 'renewed') void registerBroker(session, registrationOf(id))
  })
  const broker = new SimBroker(cluster, id, session)
  cluster.brokers.set(id, broker)
  await cluster.until(registerBroker(session, registrationOf(id)))
  await cluster.until(broker.controller.start())
  await cluster.scheduler.settle()
  return broker
}

test('a controller whose session expires resigns, another one follows, and it takes part again', async () => {
  const cluster = new SimCluster()
  const one = await lastingBroker(cluster, 1)
  const two = await lastingBroker(cluster, 2)
  await cluster.createTopic('t', [1, 2])
  const { epoch } = two.metadata.broker(1)!
  await cluster.until(cluster.store.expire(one.session.id))
  await cluster.scheduler.settle()
  expect([one.controller.isActive, two.controller.isActive, two.controller.epoch]).toEqual([false, true, 2])
  expect(two.metadata.broker(1)!.epoch).toBeGreaterThan(epoch)
  expect(one.metadata.controllerId).toBe(2)
  await cluster.until(cluster.store.expire(two.session.id))
  await cluster.scheduler.settle()
  expect([one.controller.isActive, two.controller.isActive]).toEqual([true, false])
  expect(one.controller.epoch).toBe(3)
})

test('the only broker of a cluster is the controller again with its next session, and leads what it led', async () => {
  const cluster = new SimCluster()
  const one = await lastingBroker(cluster, 1)
  await cluster.createTopic('t', [1])
  await cluster.until(cluster.store.expire(one.session.id))
  await cluster.scheduler.settle()
  expect([one.controller.isActive, one.controller.epoch]).toEqual([true, 2])
  const { leader, leaderEpoch } = await cluster.stateOf('t')
  expect(leader).toBe(1)
  expect(one.metadata.partition('t', 0)).toMatchObject({ leader: 1, leaderEpoch })
})

/** Fails operations with CONNECTION_LOSS while `broken`; with `late`, after they were done. */
function unsteady(inner: CoordinationSession) {
  const state = { broken: false, late: false, failures: 0 }
  const session = new Proxy(inner, {
    get(target, name: keyof CoordinationSession) {
      const value = target[name]
      if (typeof value !== 'function') return value
      if (name === 'onState' || name === 'close') return value.bind(target)
      return async (...of: unknown[]) => {
        const ask = () => (value as (...all: unknown[]) => Promise<unknown>).apply(target, of)
        if (!state.broken) return ask()
        state.failures++
        if (state.late) await ask().catch(() => undefined)
        throw new CoordinationError('CONNECTION_LOSS', '/')
      }
    },
  })
  return { session, state }
}

test('while the connection to the service is broken the controller waits, and loses nothing', async () => {
  const cluster = new SimCluster()
  const { session, state } = unsteady(await cluster.connect())
  await cluster.until(prepareCluster(session, 'id'))
  const one = new SimBroker(cluster, 1, session)
  cluster.brokers.set(1, one)
  await cluster.until(registerBroker(session, registrationOf(1)))
  await cluster.until(one.controller.start())
  await cluster.addBroker(2)
  await cluster.createTopic('t', [2, 1])
  for (const late of [false, true]) {
    state.broken = true
    state.late = late
    const { leaderEpoch } = await cluster.stateOf('t')
    await cluster.removeBroker(2)
    await cluster.scheduler.advance(2000)
    expect(state.failures).toBeGreaterThan(0)
    state.broken = false
    await cluster.scheduler.advance(2000)
    expect(one.controller.isActive).toBe(true)
    const written = await cluster.stateOf('t')
    expect(written).toMatchObject({ leader: 1, isr: [1] })
    expect(written.leaderEpoch).toBeGreaterThanOrEqual(leaderEpoch)
    // What was written without our hearing of it is told as well.
    expect(one.metadata.partition('t', 0)).toMatchObject({
      leader: 1,
      isr: [1],
      leaderEpoch: written.leaderEpoch,
      partitionEpoch: written.partitionEpoch,
    })
    await cluster.addBroker(2)
  }
})

test('a patient session gives up when it is stopped, and at once on all other errors', async () => {
  const cluster = new SimCluster()
  const { session, state } = unsteady(await cluster.connect())
  const patient = new PatientSession(session, cluster.scheduler.timers)
  await expect(cluster.until(patient.get('/none'))).rejects.toMatchObject({ code: 'NO_NODE' })
  state.broken = true
  const asked = patient.exists('/')
  const failed = expect(asked).rejects.toMatchObject({ code: 'CONNECTION_LOSS' })
  await cluster.scheduler.advance(1000)
  expect(state.failures).toBe(11)
  patient.stop()
  await cluster.scheduler.advance(100)
  await failed
})

test('a controller that cannot write begins its term anew until it can', async () => {
  const cluster = new SimCluster()
  const one = await cluster.addBroker(1)
  const { multi } = one.session
  let failures = 0
  one.session.multi = () => {
    failures++
    return Promise.reject(new CoordinationError('STORAGE', '/data'))
  }
  await cluster.createTopic('t', [1])
  await cluster.scheduler.advance(2500)
  expect(failures).toBeGreaterThan(1)
  expect(one.controller).toBeInstanceOf(Controller)
  expect(one.controller.isActive).toBe(true)
  one.session.multi = multi
  await cluster.scheduler.advance(1000)
  expect(one.metadata.partition('t', 0)).toMatchObject({ leader: 1 })
  expect(one.controller.epoch).toBe(1)
})
