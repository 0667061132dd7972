import { describe, expect, test } from 'vitest'
import { decideShutdown } from '../../src/controller/decide/controlled-shutdown.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { SimCluster } from './cluster.ts'

describe('a broker that asks to shut down', () => {
  const current = { leader: 1, leaderEpoch: 4, isr: [1, 2, 3], controllerEpoch: 1, recovering: false }
  const decide = (isr: number[], online: number[], leader = 1) => {
    const replicas = { assigned: [1, 3, 2], isOnline: (id: number) => online.includes(id) }
    return decideShutdown({ ...current, isr, leader }, 1, replicas, 7)
  }

  test('hands leadership to the first assigned in-sync replica that stays', () => {
    expect(decide([1, 2, 3], [2, 3])).toMatchObject({
      leader: 3,
      isr: [2, 3],
      leaderEpoch: 5,
      controllerEpoch: 7,
    })
    expect(decide([1, 2], [2, 3])).toMatchObject({ leader: 2, isr: [2] })
  })

  test('keeps what nobody else can lead', () => {
    expect(decide([1], [2, 3])).toBeNull()
    expect(decide([1, 2], [3])).toBeNull()
  })

  test('leaves the in-sync sets of what it follows, unless it is alone there', () => {
    expect(decide([1, 2, 3], [2, 3], 2)).toMatchObject({ leader: 2, isr: [2, 3], leaderEpoch: 5 })
    expect(decide([1], [2, 3], -1)).toBeNull()
    expect(decide([2, 3], [2, 3], 2)).toBeNull()
  })

  test('leads nothing any more but what has one replica, and is still told what it must know', async () => {
    const cluster = new SimCluster()
    for (const id of [1, 2, 3]) await cluster.addBroker(id)
    await cluster.createTopic('t', [3, 1, 2], [1, 3, 2], [3])
    const { controller, metadata } = cluster.controller
    const three = cluster.brokers.get(3)!
    three.calls.length = 0
    const { epoch } = metadata.broker(3)!
    const result = await cluster.until(controller.controlledShutdown(3, epoch))
    await cluster.scheduler.settle()
    expect(result).toEqual({ error: ErrorCode.NONE, remaining: [] })
    expect(await cluster.stateOf('t', 0)).toMatchObject({ leader: 1, leaderEpoch: 1, isr: [1, 2] })
    expect(await cluster.stateOf('t', 1)).toMatchObject({ leader: 1, leaderEpoch: 1, isr: [1, 2] })
    expect(await cluster.stateOf('t', 2)).toMatchObject({ leader: 3, leaderEpoch: 0 })
    expect(three.calls.map(({ type }) => type)).toEqual(['stopReplicas', 'leaderAndIsr', 'updateMetadata'])
    expect(three.calls[0].partitions).toEqual([
      { topic: 't', partition: 1, leaderEpoch: 0, deleteLog: false },
    ])
    expect(three.calls[1].states).toMatchObject([{ partition: 0, leader: 1, leaderEpoch: 1 }])
    // It serves until it is gone, but is given nothing more.
    expect([...metadata.brokers()].map(({ id }) => id)).toEqual([1, 2, 3])
    await cluster.removeBroker(1)
    expect(await cluster.stateOf('t', 0)).toMatchObject({ leader: 2 })
  })

  test('hears what it still leads, and is asked to try again', async () => {
    const cluster = new SimCluster()
    for (const id of [1, 2]) await cluster.addBroker(id)
    await cluster.createTopic('t', [2, 1])
    await cluster.removeBroker(1)
    await cluster.addBroker(1)
    const result = await cluster.until(cluster.controller.controller.controlledShutdown(2, -1))
    expect(result).toEqual({ error: ErrorCode.NONE, remaining: [{ topic: 't', partition: 0 }] })
  })

  test('must be known, in this life', async () => {
    const cluster = new SimCluster()
    for (const id of [1, 2]) await cluster.addBroker(id)
    const { controller, metadata } = cluster.controller
    const ask = async (id: number, epoch: number, to = controller) => {
      return (await cluster.until(to.controlledShutdown(id, epoch))).error
    }
    expect(await ask(7, -1)).toBe(ErrorCode.BROKER_NOT_AVAILABLE)
    expect(await ask(2, metadata.broker(2)!.epoch - 1)).toBe(ErrorCode.STALE_BROKER_EPOCH)
    expect(await ask(2, -1, cluster.brokers.get(2)!.controller)).toBe(ErrorCode.NOT_CONTROLLER)
  })
})

describe('producer ids', () => {
  test('come in blocks of a thousand, each handed out once', async () => {
    const cluster = new SimCluster()
    for (const id of [1, 2]) await cluster.addBroker(id)
    const { controller, metadata, session } = cluster.controller
    const blocks = [1, 2, 1].map((id) => controller.allocateProducerIds(id, metadata.broker(id)!.epoch))
    expect(await cluster.until(Promise.all(blocks))).toEqual([
      { error: 0, firstId: 0, count: 1000 },
      { error: 0, firstId: 1000, count: 1000 },
      { error: 0, firstId: 2000, count: 1000 },
    ])
    const { data } = await cluster.until(session.get('/latest_producer_id_block'))
    expect(JSON.parse(data!.toString())).toEqual({
      version: 1,
      broker: 1,
      block_start: '2000',
      block_end: '2999',
    })
  })

  test('are refused to brokers that are not registered, or not in this life, and by other brokers', async () => {
    const cluster = new SimCluster()
    for (const id of [1, 2]) await cluster.addBroker(id)
    const { controller, metadata } = cluster.controller
    const ask = async (id: number, epoch: number, to = controller) => {
      return (await cluster.until(to.allocateProducerIds(id, epoch))).error
    }
    expect(await ask(7, 1)).toBe(ErrorCode.BROKER_ID_NOT_REGISTERED)
    expect(await ask(2, metadata.broker(2)!.epoch + 1)).toBe(ErrorCode.STALE_BROKER_EPOCH)
    expect(await ask(2, metadata.broker(2)!.epoch, cluster.brokers.get(2)!.controller)).toBe(
      ErrorCode.NOT_CONTROLLER,
    )
  })
})
