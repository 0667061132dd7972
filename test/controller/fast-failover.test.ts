import { describe, expect, test } from 'vitest'
import { SimCluster } from './cluster.ts'
import type { SimBroker } from './cluster.ts'

async function clusterWithTopic(): Promise<{
  cluster: SimCluster
  one: SimBroker
  two: SimBroker
  three: SimBroker
}> {
  const cluster = new SimCluster()
  const [one, two, three] = [
    await cluster.addBroker(1),
    await cluster.addBroker(2),
    await cluster.addBroker(3),
  ]
  await cluster.createTopic('t', [3, 2, 1], [3])
  return { cluster, one, two, three }
}

describe('a broker whose port refuses', () => {
  test('leads nothing any more at once, while it is still registered', async () => {
    const { cluster, one, two, three } = await clusterWithTopic()
    three.refuse()
    await cluster.scheduler.settle()
    expect(await cluster.until(one.session.children('/brokers/ids'))).toEqual(['1', '2', '3'])
    expect(await cluster.stateOf('t', 0)).toMatchObject({ leader: 2, leaderEpoch: 1, isr: [2, 1] })
    expect(await cluster.stateOf('t', 1)).toMatchObject({ leader: -1, leaderEpoch: 1, isr: [3] })
    expect(two.metadata.partition('t', 0)).toMatchObject({ leader: 2, offlineReplicas: [3] })
    expect([...two.metadata.brokers()].map(({ id }) => id)).toEqual([1, 2])
  })

  test('is not touched when it is switched off', async () => {
    const { cluster, three } = await clusterWithTopic()
    cluster.controllerSettings.fastFailoverEnabled = () => false
    three.refuse()
    await cluster.scheduler.advance(1000)
    expect(await cluster.stateOf('t', 0)).toMatchObject({ leader: 3, leaderEpoch: 0, isr: [3, 2, 1] })
  })

  test('counts again when it answers, with the same broker epoch', async () => {
    const { cluster, two, three } = await clusterWithTopic()
    const { epoch } = two.metadata.broker(3)!
    three.refuse()
    await cluster.scheduler.settle()
    three.fault = null
    three.calls.length = 0
    await cluster.scheduler.advance(100)
    expect(await cluster.stateOf('t', 1)).toMatchObject({ leader: 3, leaderEpoch: 2, isr: [3] })
    expect(await cluster.stateOf('t', 0)).toMatchObject({ leader: 2, leaderEpoch: 1, isr: [2, 1] })
    expect(two.metadata.broker(3)!.epoch).toBe(epoch)
    const states = three.callsOf('leaderAndIsr').flatMap(({ states }) => states!)
    expect(states.map(({ partition, leader }) => [partition, leader])).toEqual(
      expect.arrayContaining([
        [0, 2],
        [1, 3],
      ]),
    )
  })

  test('counts again when it registers anew, and its end as a broker changes nothing more', async () => {
    const { cluster, three } = await clusterWithTopic()
    three.refuse()
    await cluster.scheduler.settle()
    const again = await cluster.bounceBroker(3)
    expect(await cluster.stateOf('t', 0)).toMatchObject({ leader: 2, leaderEpoch: 1 })
    expect(await cluster.stateOf('t', 1)).toMatchObject({ leader: 3, leaderEpoch: 2 })
    expect(again.metadata.topic('t')!.partitions.map(({ leader }) => leader)).toEqual([2, 3])
  })

  test('does not enter an in-sync set while it is away', async () => {
    const { cluster, one, two, three } = await clusterWithTopic()
    three.refuse()
    await cluster.scheduler.settle()
    const { leaderEpoch, partitionEpoch } = await cluster.stateOf('t', 0)
    const response = await cluster.until(
      one.controller.alterPartition(
        {
          brokerId: 2,
          brokerEpoch: two.metadata.broker(2)!.epoch,
          topics: [
            {
              topicName: '',
              topicId: one.metadata.topic('t')!.topicId,
              partitions: [
                {
                  partitionIndex: 0,
                  leaderEpoch,
                  newIsr: [],
                  newIsrWithEpochs: [2, 1, 3].map((brokerId) => ({ brokerId, brokerEpoch: -1 })),
                  leaderRecoveryState: 0,
                  partitionEpoch,
                },
              ],
            },
          ],
        },
        3,
      ),
    )
    expect(response.topics[0].partitions[0].errorCode).toBe(107)
  })

  test('is not judged by a controller that has been deposed', async () => {
    const { cluster, three } = await clusterWithTopic()
    const other = await cluster.connect()
    const controller = Buffer.from('{"version":2,"brokerid":9,"timestamp":"0","kraftControllerEpoch":-1}')
    const elected = other.multi([
      { type: 'delete', path: '/controller' },
      { type: 'create', path: '/controller', data: controller, mode: 'ephemeral' },
      { type: 'set', path: '/controller_epoch', data: Buffer.from('2') },
    ])
    three.refuse()
    await cluster.until(elected)
    await cluster.scheduler.settle()
    expect(await cluster.stateOf('t', 0)).toMatchObject({ leader: 3, leaderEpoch: 0 })
  })

  test('is found out by a new controller, which was never connected to it', async () => {
    const { cluster, one, two } = await clusterWithTopic()
    await cluster.createTopic('u', [1, 2])
    await cluster.until(one.controller.stop())
    one.refuse()
    two.controller.controllerLost(1)
    await cluster.scheduler.settle()
    expect(cluster.controller.controller.epoch).toBe(2)
    expect(await cluster.stateOf('u')).toMatchObject({
      leader: 2,
      leaderEpoch: 1,
      isr: [2],
      controllerEpoch: 2,
    })
    expect(await cluster.until(two.session.children('/brokers/ids'))).toEqual(['1', '2', '3'])
  })
})

describe('a controller whose port refuses', () => {
  test('that lives after all resigns, and writes nothing more', async () => {
    const { cluster, one, two } = await clusterWithTopic()
    two.controller.controllerLost(1)
    await cluster.scheduler.settle()
    const active = [...cluster.brokers.values()].filter(({ controller }) => controller.isActive)
    expect(active).toHaveLength(1)
    expect(active[0].controller.epoch).toBe(2)
    expect(one.metadata.controllerId).toBe(active[0].id)
  })

  test('is not deposed for another one that has followed it', async () => {
    const { cluster, two, three } = await clusterWithTopic()
    await cluster.removeBroker(1)
    const { id, controller } = cluster.controller
    for (const broker of [two, three]) broker.controller.controllerLost(1)
    await cluster.scheduler.settle()
    expect(cluster.controller.id).toBe(id)
    expect(controller.epoch).toBe(2)
  })
})
