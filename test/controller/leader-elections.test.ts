/** Elections that nobody's end forces: asked for by ElectLeaders or by old tools' znode, and the controller's own rebalancing. */
import { describe, expect, test } from 'vitest'
import { handleElectLeaders } from '../../src/broker/handlers/43-elect-leaders.ts'
import type { Services } from '../../src/broker/services.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { SimCluster } from './cluster.ts'
import type { SimBroker } from './cluster.ts'
import { setIsr } from './in-sync-sets.ts'

const PREFERRED = 0
const UNCLEAN = 1
type Wanted = { topic: string; partitions: number[] }[] | null

async function clusterOf(...ids: number[]): Promise<SimCluster> {
  const cluster = new SimCluster()
  for (const id of ids) await cluster.addBroker(id)
  return cluster
}

/** `t-0: ELECTION_NOT_NEEDED`-like lines, of one broker's answer. */
async function elect(cluster: SimCluster, electionType: number, topicPartitions: Wanted, at?: SimBroker) {
  const { controller, metadata } = at ?? cluster.controller
  const services = { controller, metadata } as unknown as Services
  const request = { electionType, topicPartitions, timeoutMs: 1000 }
  const response = await cluster.until(handleElectLeaders(services, request))
  expect(response.errorCode).toBe(ErrorCode.NONE)
  return response.replicaElectionResults.flatMap(({ topic, partitionResult }) =>
    partitionResult.map(({ partitionId, errorCode }) => [`${topic}-${partitionId}`, errorCode]),
  )
}

/** Brokers 1, 2 and 3. Partition 0 of each topic is to be led by 3, which is in sync; but 1 leads. */
async function unbalanced(...topics: string[]): Promise<SimCluster> {
  const cluster = await clusterOf(1, 2, 3)
  for (const topic of topics) await cluster.createTopic(topic, [3, 1, 2], [1, 2, 3])
  await cluster.removeBroker(3)
  await cluster.addBroker(3)
  for (const topic of topics) {
    await setIsr(cluster, [1, 2, 3], topic)
    expect(await cluster.stateOf(topic)).toMatchObject({ leader: 1, isr: [1, 2, 3] })
  }
  return cluster
}

/** What a broker was told of partition 0 by LeaderAndIsr, last. */
const told = ({ calls }: SimBroker, topic: string) =>
  calls
    .flatMap((call) => (call.type === 'leaderAndIsr' ? call.states! : []))
    .findLast((state) => state.topic === topic && state.partition === 0)

describe('a preferred election that is asked for', () => {
  test('is written, and known here when the answer is given', async () => {
    const cluster = await unbalanced('t')
    const { leaderEpoch } = await cluster.stateOf('t')
    const results = await elect(cluster, PREFERRED, [{ topic: 't', partitions: [0, 1, 2] }])
    expect(results).toEqual([
      ['t-0', ErrorCode.NONE],
      ['t-1', ErrorCode.ELECTION_NOT_NEEDED],
      ['t-2', ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    ])
    expect(cluster.controller.metadata.partition('t', 0)!.leader).toBe(3)
    const elected = { leader: 3, leaderEpoch: leaderEpoch + 1, isr: [1, 2, 3] }
    expect(await cluster.stateOf('t')).toMatchObject(elected)
    await cluster.scheduler.settle()
    for (const broker of cluster.brokers.values()) expect(told(broker, 't')).toMatchObject(elected)
  })

  test('is timed out where it is not known here in time, and made all the same', async () => {
    const cluster = await unbalanced('t')
    let hear = (): void => undefined
    cluster.controller.held = new Promise((resolve) => (hear = resolve))
    const { elapsedMs } = cluster.scheduler
    expect(await elect(cluster, PREFERRED, [{ topic: 't', partitions: [0, 1, 2] }])).toEqual([
      ['t-0', ErrorCode.REQUEST_TIMED_OUT],
      ['t-1', ErrorCode.ELECTION_NOT_NEEDED],
      ['t-2', ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
    ])
    expect(cluster.scheduler.elapsedMs - elapsedMs).toBe(1000)
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 3 })
    expect(cluster.controller.metadata.partition('t', 0)!.leader).toBe(1)
    hear()
    await cluster.scheduler.settle()
    expect(cluster.controller.metadata.partition('t', 0)!.leader).toBe(3)
  })

  test('of all partitions answers those alone that it concerned', async () => {
    const cluster = await unbalanced('t', 'u')
    expect(await elect(cluster, PREFERRED, null)).toEqual([
      ['t-0', ErrorCode.NONE],
      ['u-0', ErrorCode.NONE],
    ])
    expect(await elect(cluster, PREFERRED, null)).toEqual([])
  })

  test('fails while the preferred replica is not in sync', async () => {
    const cluster = await clusterOf(1, 2)
    await cluster.createTopic('t', [2, 1])
    await cluster.removeBroker(2)
    await cluster.addBroker(2)
    const failed = [['t-0', ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE]]
    expect(await elect(cluster, PREFERRED, [{ topic: 't', partitions: [0] }])).toEqual(failed)
    // Of all partitions, too, an error is told.
    await cluster.createTopic('other', [1, 2])
    expect(await elect(cluster, PREFERRED, null)).toEqual(failed)
  })

  test('is refused by who is not the controller, partition by partition', async () => {
    const cluster = await clusterOf(1, 2)
    await cluster.createTopic('t', [2, 1], [1, 2])
    const other = [...cluster.brokers.values()].find(({ controller }) => !controller.isActive)!
    expect(await elect(cluster, PREFERRED, null, other)).toEqual([
      ['t-0', ErrorCode.NOT_CONTROLLER],
      ['t-1', ErrorCode.NOT_CONTROLLER],
    ])
  })
})

describe('an unclean election that is asked for', () => {
  test('gives a partition without an in-sync replica to one that is there, which must recover', async () => {
    const cluster = await clusterOf(1, 2)
    await cluster.createTopic('t', [2, 1])
    await setIsr(cluster, [2])
    await cluster.removeBroker(2)
    expect(await cluster.stateOf('t')).toMatchObject({ leader: -1, isr: [2] })
    const wanted = [{ topic: 't', partitions: [0] }]
    expect(await elect(cluster, PREFERRED, wanted)).toEqual([
      ['t-0', ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE],
    ])
    expect(await elect(cluster, UNCLEAN, wanted)).toEqual([['t-0', ErrorCode.NONE]])
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 1, isr: [1], recovering: true })
    expect(told(cluster.controller, 't')).toMatchObject({ leader: 1, isr: [1], recovering: true })
    expect(await elect(cluster, UNCLEAN, wanted)).toEqual([['t-0', ErrorCode.ELECTION_NOT_NEEDED]])
  })

  test('fails where no replica is there', async () => {
    const cluster = await clusterOf(1, 2)
    await cluster.createTopic('t', [2])
    await cluster.removeBroker(2)
    expect(await elect(cluster, UNCLEAN, [{ topic: 't', partitions: [0] }])).toEqual([
      ['t-0', ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE],
    ])
  })
})

describe('leadership goes back to preferred replicas by itself', () => {
  /** Long enough for one more look at the balance. */
  const passTime = (cluster: SimCluster) =>
    cluster.scheduler.advance(cluster.controllerSettings.imbalanceCheckIntervalMs())

  test('when a broker leads too few of its partitions, and not where that is switched off', async () => {
    const cluster = await unbalanced('t')
    await passTime(cluster)
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 1 })
    cluster.controllerSettings.rebalanceEnabled = () => true
    await passTime(cluster)
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 3, isr: [1, 2, 3] })
  })

  test('but not while too few are led by others', async () => {
    const cluster = await unbalanced('t')
    cluster.controllerSettings.rebalanceEnabled = () => true
    cluster.controllerSettings.imbalancePercentage = () => 100
    await passTime(cluster)
    expect(await cluster.stateOf('t')).toMatchObject({ leader: 1 })
  })
})

test('an election that an old tool asks for by znode is done, and the znode goes', async () => {
  const cluster = await unbalanced('t')
  const { session } = cluster.controller
  const path = '/admin/preferred_replica_election'
  const partitions = [
    { topic: 't', partition: 0 },
    { topic: 'no-such-topic', partition: 7 },
  ]
  await cluster.until(session.create(path, Buffer.from(JSON.stringify({ version: 1, partitions }))))
  await cluster.scheduler.settle()
  expect(await cluster.stateOf('t')).toMatchObject({ leader: 3 })
  expect(await cluster.until(session.exists(path))).toBeNull()
})
