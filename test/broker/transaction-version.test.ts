/** Which transaction.version brokers offer their clients, in a cluster whose brokers come, go and are not all of one kind. */
import { expect, test } from 'vitest'
import { TransactionVersion, type TransactionVersionParts } from '../../src/broker/transaction-version.ts'
import { prepareCluster, registerBroker } from '../../src/controller/registration.ts'
import { brokerPath, encodeFeatures, FEATURE_PATH } from '../../src/controller/znodes.ts'
import { CoordinationError, type CoordinationSession } from '../../src/env/coordination.ts'
import { registrationOf, SimCluster } from '../controller/cluster.ts'

const OFFERED = { epoch: 0, transactionVersion: 2 }
const UNKNOWN = { epoch: -1, transactionVersion: 0 }
const without = (epoch: number) => ({ epoch, transactionVersion: 0 })

class World {
  readonly sim = new SimCluster()

  /** `transactionVersion` 0: as Kafka 3.9 registers. */
  async register(id: number, transactionVersion: number): Promise<CoordinationSession> {
    const session = await this.sim.connect()
    await this.sim.until(prepareCluster(session, 'AAAAAAAAAAAAAAAAAAAAAQ'))
    await this.sim.until(registerBroker(session, { ...registrationOf(id), transactionVersion }))
    await this.sim.scheduler.settle()
    return session
  }

  async observer(session: TransactionVersionParts['session'], supported = 2): Promise<TransactionVersion> {
    const { timers } = this.sim.scheduler
    const version = new TransactionVersion({ session, timers, logger: this.sim.logger, supported })
    await this.sim.until(version.start())
    return version
  }

  /** So many times: its version is one less. */
  async writeFeatures(session: CoordinationSession, times: number): Promise<void> {
    const data = encodeFeatures()
    await this.sim.until(session.create(FEATURE_PATH, data))
    for (let time = 1; time < times; time++) await this.sim.until(session.set(FEATURE_PATH, data))
    await this.sim.scheduler.settle()
  }

  async leave(session: CoordinationSession): Promise<void> {
    await this.sim.until(session.close())
    await this.sim.scheduler.settle()
  }
}

test('it is 2 where all brokers serve it, from the time on when the znode of features says so', async () => {
  const world = new World()
  const one = await world.register(1, 2)
  const version = await world.observer(one)
  expect(version.finalized).toEqual(UNKNOWN)
  await world.writeFeatures(one, 1)
  expect(version.finalized).toEqual(UNKNOWN)
  await world.sim.until(one.set(FEATURE_PATH, encodeFeatures()))
  await world.sim.scheduler.settle()
  expect(version.finalized).toEqual(OFFERED)
  await world.register(2, 2)
  expect(version.finalized).toEqual(OFFERED)
})

test('it is none beside a broker that does not serve it, in an epoch above that of what was offered', async () => {
  const world = new World()
  const one = await world.register(1, 2)
  await world.writeFeatures(one, 3)
  const version = await world.observer(one)
  expect(version.finalized).toEqual(OFFERED)
  const old = await world.register(2, 0)
  expect(version.finalized).toEqual(without(2))
  await world.leave(old)
  expect(version.finalized).toEqual(OFFERED)
})

test('it is none where this broker is told so', async () => {
  const world = new World()
  const one = await world.register(1, 2)
  await world.writeFeatures(one, 2)
  expect((await world.observer(one, 0)).finalized).toEqual(without(1))
})

test('a broker that comes back as another kind, before anybody has looked, is seen', async () => {
  const world = new World()
  const one = await world.register(1, 2)
  await world.writeFeatures(one, 2)
  const two = await world.register(2, 2)
  const version = await world.observer(one)
  const session = await world.sim.connect()
  const gone = two.close()
  await world.sim.until(Promise.all([gone, registerBroker(session, registrationOf(2))]))
  await world.sim.scheduler.settle()
  expect(version.finalized).toEqual(without(1))
})

test('a registration that is none offers nothing', async () => {
  const world = new World()
  const one = await world.register(1, 2)
  await world.writeFeatures(one, 2)
  await world.sim.until(one.create(brokerPath(7), Buffer.from('no json')))
  const version = await world.observer(one)
  expect(version.finalized).toEqual(without(1))
  await world.sim.until(one.delete(brokerPath(7)))
  await world.sim.scheduler.settle()
  expect(version.finalized).toEqual(OFFERED)
})

test('what cannot be read is asked for again, until the broker stops', async () => {
  const world = new World()
  const one = await world.register(1, 2)
  await world.writeFeatures(one, 2)
  let failures = 2
  const children: CoordinationSession['children'] = (path, watch) => {
    if (failures-- > 0) return Promise.reject(new CoordinationError('CONNECTION_LOSS', path))
    return one.children(path, watch)
  }
  const shaky = {
    children,
    get: one.get.bind(one),
    exists: one.exists.bind(one),
    onState: one.onState.bind(one),
  }
  const version = await world.observer(shaky)
  expect(version.finalized).toEqual(UNKNOWN)
  await world.sim.scheduler.advance(2000)
  expect(version.finalized).toEqual(OFFERED)
  version.stop()
  await world.register(2, 0)
  expect(version.finalized).toEqual(OFFERED)
})
