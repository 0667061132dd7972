/** Three whole brokers in virtual time: leadership goes back to preferred replicas when it is looked at, and where it is wanted. */
import { afterEach, expect, test } from 'vitest'
import type { Properties } from '../../src/broker/config/broker-config.ts'
import { createTopic } from '../sim/clients.ts'
import { SimCluster, type SimNode } from '../sim/cluster.ts'

const TOPIC = 't'
const PARTITIONS = 6
const CHECK_INTERVAL_MS = 60_000
/** The first look of a controller. */
const FIRST_CHECK_MS = 5000

let cluster: SimCluster
afterEach(() => {
  expect(cluster.bugs).toEqual([])
})

/** As all brokers that run tell their clients; throws where they do not agree. */
function partitions() {
  const views = cluster.nodes.flatMap(({ broker }) => {
    const topic = broker?.parts.services.metadata.topic(TOPIC)
    return topic
      ? [topic.partitions.map(({ index, leader, replicas, isr }) => ({ index, leader, replicas, isr }))]
      : []
  })
  for (const view of views) expect(view).toEqual(views[0])
  return views[0]
}

/** Partitions that `node` leads, as it sees itself. */
const ledBy = ({ broker }: SimNode): number[] =>
  partitions()
    .map(({ index }) => index)
    .filter((index) => broker!.parts.services.replicas.get(TOPIC, index)!.isLeader)

const preferring = ({ id }: SimNode): number[] =>
  partitions().flatMap(({ index, replicas }) => (replicas[0] === id ? [index] : []))

const isInSync = (): boolean =>
  cluster.nodes.every(({ broker }) => broker !== null) && partitions().every(({ isr }) => isr.length === 3)

/** Until a broker, not the controller, has been away and is back in sync. */
async function awayAndBack(properties: Properties): Promise<SimNode> {
  cluster = new SimCluster({
    seed: 8,
    properties: {
      'leader.imbalance.check.interval.seconds': String(CHECK_INTERVAL_MS / 1000),
      ...properties,
    },
  })
  await cluster.start()
  await cluster.scheduler.until(createTopic(cluster, { name: TOPIC, partitions: PARTITIONS }), 20_000)
  await cluster.until(isInSync, 20_000, 'the topic is in sync')
  await cluster.scheduler.advance(FIRST_CHECK_MS)
  const node = cluster.nodes.find(({ broker }) => !broker!.parts.controller.isActive)!
  expect(preferring(node)).toHaveLength(2)
  expect(ledBy(node)).toEqual(preferring(node))
  await cluster.scheduler.until(node.stop(), 20_000)
  node.start()
  await cluster.until(isInSync, 20_000, 'it is in sync again')
  expect(ledBy(node)).toEqual([])
  expect(cluster.scheduler.elapsedMs).toBeLessThan(CHECK_INTERVAL_MS)
  return node
}

test('with the next look it leads again what it should, and no sooner', async () => {
  const node = await awayAndBack({})
  await cluster.scheduler.advance(CHECK_INTERVAL_MS - cluster.scheduler.elapsedMs)
  expect(ledBy(node)).toEqual([])
  await cluster.scheduler.advance(2 * FIRST_CHECK_MS)
  expect(ledBy(node)).toEqual(preferring(node))
  for (const { leader, replicas, isr } of partitions()) expect([leader, isr.length]).toEqual([replicas[0], 3])
})

test('what is led elsewhere must be more than leader.imbalance.per.broker.percentage', async () => {
  const calm = await awayAndBack({ 'leader.imbalance.per.broker.percentage': '100' })
  await cluster.scheduler.advance(2 * CHECK_INTERVAL_MS)
  expect(ledBy(calm)).toEqual([])
  const node = await awayAndBack({ 'leader.imbalance.per.broker.percentage': '99' })
  await cluster.scheduler.advance(CHECK_INTERVAL_MS)
  expect(ledBy(node)).toEqual(preferring(node))
})

test('nothing goes back where auto.leader.rebalance.enable is false', async () => {
  const node = await awayAndBack({ 'auto.leader.rebalance.enable': 'false' })
  await cluster.scheduler.advance(2 * CHECK_INTERVAL_MS)
  expect(ledBy(node)).toEqual([])
})

test('a controller that takes over looks soon: after five seconds', async () => {
  const node = await awayAndBack({ 'leader.imbalance.check.interval.seconds': '3600' })
  const controller = cluster.nodes.find(({ broker }) => broker!.parts.controller.isActive)!
  controller.kill()
  controller.start()
  await cluster.until(isInSync, FIRST_CHECK_MS, 'it is in sync again')
  expect(ledBy(node)).not.toEqual(preferring(node))
  await cluster.scheduler.advance(2 * FIRST_CHECK_MS)
  expect(ledBy(node)).toEqual(preferring(node))
})
