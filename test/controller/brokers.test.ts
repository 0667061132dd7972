import { describe, expect, test } from 'vitest'
import { encodeBroker, encodeConfig } from '../../src/controller/znodes.ts'
import { SimCluster, registrationOf } from './cluster.ts'
import type { SimBroker } from './cluster.ts'

async function clusterOf(...ids: number[]): Promise<SimCluster> {
  const cluster = new SimCluster()
  for (const id of ids) await cluster.addBroker(id)
  return cluster
}

/** What a broker was told of partitions by LeaderAndIsr, last. */
const told = ({ calls }: SimBroker, topic: string, partition = 0) => {
  const states = calls.flatMap((call) => (call.type === 'leaderAndIsr' ? call.states! : []))
  return states.findLast((state) => state.topic === topic && state.partition === partition)
}

describe('when a broker is gone', () => {
  test('the first assigned in-sync replica leads, with the next leader epoch, and the broker leaves the sets', async () => {
    const cluster = await clusterOf(1, 2, 3)
    await cluster.createTopic('t', [3, 2, 1], [2, 3, 1])
    await cluster.removeBroker(3)
    expect(await cluster.stateOf('t', 0)).toMatchObject({ leader: 2, leaderEpoch: 1, isr: [2, 1] })
    expect(await cluster.stateOf('t', 1)).toMatchObject({ leader: 2, leaderEpoch: 1, isr: [2, 1] })
    for (const id of [1, 2]) {
      expect(told(cluster.brokers.get(id)!, 't', 0)).toMatchObject({ leader: 2, leaderEpoch: 1, isr: [2, 1] })
      expect(cluster.brokers.get(id)!.metadata.partition('t', 0)).toMatchObject({
        leader: 2,
        offlineReplicas: [3],
      })
      expect([...cluster.brokers.get(id)!.metadata.brokers()].map((broker) => broker.id)).toEqual([1, 2])
    }
  })

  test('the last in-sync replica stays in the set, and nobody leads until it is there again', async () => {
    const cluster = await clusterOf(1, 2)
    await cluster.createTopic('t', [2, 1])
    await cluster.removeBroker(2)
    await cluster.addBroker(2)
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 1, isr: [1] })
    await cluster.createTopic('alone', [2])
    await cluster.removeBroker(2)
    expect(await cluster.stateOf('alone')).toMatchObject({ leader: -1, leaderEpoch: 1, isr: [2] })
    expect(cluster.controller.metadata.partition('alone', 0)!.leader).toBe(-1)
    const back = await cluster.addBroker(2)
    expect(await cluster.stateOf('alone')).toMatchObject({ leader: 2, leaderEpoch: 2, isr: [2] })
    expect(told(back, 'alone')).toMatchObject({ leader: 2, leaderEpoch: 2, isNew: false })
  })

  test('another replica leads uncleanly only where the topic, or the broker by default, allows it', async () => {
    const cluster = await clusterOf(1, 2)
    for (const name of ['strict', 'loose', 'default']) await cluster.createTopic(name, [2, 1])
    const { session } = cluster.controller
    const set = (topic: string, value: string) => {
      const config = encodeConfig({ 'unclean.leader.election.enable': value })
      return cluster.until(session.set(`/config/topics/${topic}`, config))
    }
    await set('strict', 'false')
    await set('loose', 'true')
    cluster.controllerSettings.uncleanElectionEnabled = () => true
    for (const name of ['strict', 'loose', 'default']) {
      const path = `/brokers/topics/${name}/partitions/0/state`
      // As a controller before this one may have left it: broker 1 is not in sync.
      const data = '{"version":1,"leader":2,"leader_epoch":0,"controller_epoch":1,"isr":[2]}'
      await cluster.until(session.set(path, Buffer.from(data)))
    }
    await cluster.removeBroker(2)
    expect(await cluster.stateOf('strict')).toMatchObject({ leader: -1, isr: [2], recovering: false })
    const unclean = { leader: 1, isr: [1], recovering: true }
    expect(await cluster.stateOf('loose')).toMatchObject(unclean)
    expect(await cluster.stateOf('default')).toMatchObject(unclean)
    expect(told(cluster.controller, 'loose')).toMatchObject(unclean)
    await set('strict', 'true')
    cluster.controller.controller.uncleanElectionEnabled()
    await cluster.scheduler.settle()
    expect(await cluster.stateOf('strict')).toMatchObject(unclean)
  })

  test('a thousand leaderships move in a few writes', async () => {
    const cluster = await clusterOf(1, 2, 3)
    cluster.controllerSettings.fastFailoverEnabled = () => false
    const assignments = Array.from({ length: 1000 }, () => [3, 1, 2])
    await cluster.createTopic('t', ...assignments)
    let multis = 0
    const { session } = cluster.controller
    const multi = session.multi.bind(session)
    session.multi = (operations) => {
      multis++
      return multi(operations)
    }
    cluster.controller.calls.length = 0
    await cluster.removeBroker(3)
    expect(await cluster.stateOf('t', 999)).toMatchObject({ leader: 1, leaderEpoch: 1 })
    expect(multis).toBe(1)
    expect(cluster.controller.calls.map(({ type }) => type)).toEqual(['leaderAndIsr', 'updateMetadata'])
    expect(cluster.controller.calls[0].states).toHaveLength(1000)
  })
})

describe('when a broker comes', () => {
  test('it hears of all brokers and partitions, then of its replicas; the others hear of it', async () => {
    const cluster = await clusterOf(1, 2)
    await cluster.createTopic('t', [1, 2], [1])
    await cluster.removeBroker(2)
    const one = cluster.controller
    one.calls.length = 0
    const two = await cluster.addBroker(2)
    expect(two.calls.map(({ type }) => type)).toEqual(['updateMetadata', 'leaderAndIsr', 'updateMetadata'])
    expect(two.calls[0].update!.partitions.map(({ partition }) => partition)).toEqual([0, 1])
    expect(two.calls[1].states!.map(({ partition, isNew }) => [partition, isNew])).toEqual([[0, false]])
    expect(one.calls.map(({ type }) => type)).toEqual(['updateMetadata', 'updateMetadata'])
    expect(one.metadata.partition('t', 0)!.offlineReplicas).toEqual([])
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 1, leaderEpoch: 1, isr: [1] })
  })

  test('one that died and came back unseen is treated as gone first', async () => {
    const cluster = await clusterOf(1, 2)
    await cluster.createTopic('t', [2, 1])
    const epoch = cluster.controller.metadata.broker(2)!.epoch
    const two = await cluster.bounceBroker(2)
    expect(cluster.controller.metadata.broker(2)!.epoch).toBeGreaterThan(epoch)
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 1, leaderEpoch: 1, isr: [1] })
    expect(told(two, 't')).toMatchObject({ leader: 1, leaderEpoch: 1 })
  })

  test('one that came back while a state was written, by a controller that dies before it hears of it, is not in sync', async () => {
    const cluster = await clusterOf(1, 2, 3)
    await cluster.createTopic('t', [3, 2, 1])
    const one = cluster.controller
    const { session, metadata, controller } = one
    expect(one.id).toBe(1)
    let bounced = (): void => undefined
    const hasBounced = new Promise<void>((resolve) => (bounced = resolve))
    const multi = session.multi.bind(session)
    session.multi = async (operations) => {
      await hasBounced
      const results = await multi(operations)
      await session.close()
      return results
    }
    const withoutOne = { partitionIndex: 0, leaderEpoch: 0, partitionEpoch: 0, newIsr: [3, 2] }
    const request = { brokerId: 3, brokerEpoch: metadata.broker(3)!.epoch, leaderRecoveryState: 0 }
    const topics = [{ topicName: 't', topicId: metadata.topic('t')!.topicId, partitions: [withoutOne] }]
    const asked = controller.alterPartition({ ...request, topics } as never, 2)
    await cluster.bounceBroker(2)
    one.refuse()
    bounced()
    await cluster.until(Promise.allSettled([asked]))
    await cluster.until(controller.stop())
    cluster.brokers.delete(1)
    await cluster.scheduler.settle()
    expect(cluster.controller.id).toBe(3)
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 3, isr: [3], controllerEpoch: 2 })
  })

  test('one that moves to another address is told to all, with its old epoch', async () => {
    const cluster = await clusterOf(1, 2)
    const two = cluster.brokers.get(2)!
    const { epoch } = cluster.controller.metadata.broker(2)!
    const endpoints = [{ ...registrationOf(2).endpoints[0], port: 12345 }]
    await cluster.until(two.session.set('/brokers/ids/2', encodeBroker({ ...registrationOf(2), endpoints })))
    await cluster.scheduler.settle()
    for (const { metadata } of cluster.brokers.values()) {
      expect(metadata.broker(2)).toMatchObject({ epoch })
      expect(metadata.broker(2)!.endpoints.get('PLAINTEXT')).toMatchObject({ port: 12345 })
    }
  })

  test('a broker that does not answer holds up nobody, and hears all when it does', async () => {
    const cluster = await clusterOf(1, 2, 3)
    const three = cluster.brokers.get(3)!
    three.fault = 'TIMED_OUT'
    await cluster.createTopic('t', [3, 2])
    expect(cluster.brokers.get(2)!.metadata.partition('t', 0)!.leader).toBe(3)
    expect(told(three, 't')).toBeUndefined()
    three.fault = null
    await cluster.scheduler.advance(100)
    expect(told(three, 't')).toMatchObject({ leader: 3, isNew: true })
    expect(three.metadata.partition('t', 0)!.leader).toBe(3)
  })
})
