/** What tools and brokers of older versions write into the coordination service, and what the controller makes of it. */
import { expect, test } from 'vitest'
import { SimCluster } from './cluster.ts'

async function clusterOfThree(): Promise<SimCluster> {
  const cluster = new SimCluster()
  for (const id of [1, 2, 3]) await cluster.addBroker(id)
  return cluster
}

const write = async (cluster: SimCluster, path: string, content: object, mode?: 'persistent_sequential') => {
  const { session } = cluster.controller
  await cluster.until(session.create(path, Buffer.from(JSON.stringify(content)), mode))
  await cluster.scheduler.settle()
}

test('/admin/preferred_replica_election elects preferred leaders, and is removed', async () => {
  const cluster = await clusterOfThree()
  await cluster.createTopic('t', [3, 1, 2], [1, 2])
  await cluster.bounceBroker(3)
  const path = '/brokers/topics/t/partitions/0/state'
  const data = Buffer.from('{"version":1,"leader":1,"leader_epoch":9,"controller_epoch":1,"isr":[1,3]}')
  await cluster.until(cluster.controller.session.set(path, data))
  const isrChange = { version: 1, partitions: [{ topic: 't', partition: 0 }] }
  await write(cluster, '/isr_change_notification/isr_change_', isrChange, 'persistent_sequential')
  const partitions = [0, 1, 7].map((partition) => ({ topic: 't', partition }))
  await write(cluster, '/admin/preferred_replica_election', { version: 1, partitions })
  expect(await cluster.stateOf('t')).toMatchObject({ leader: 3, leaderEpoch: 10, isr: [1, 3] })
  const { session } = cluster.controller
  expect(await cluster.until(session.exists('/admin/preferred_replica_election'))).toBeNull()
})

test('/admin/reassign_partitions moves partitions, and says what is left to do until nothing is', async () => {
  const cluster = await clusterOfThree()
  await cluster.createTopic('t', [1, 2], [1, 2])
  const moves = [
    { topic: 't', partition: 0, replicas: [3, 2] },
    { topic: 't', partition: 1, replicas: [2, 1] },
    { topic: 'none', partition: 0, replicas: [1] },
  ]
  await write(cluster, '/admin/reassign_partitions', { version: 1, partitions: moves })
  const { session, metadata, controller } = cluster.controller
  const left = (await cluster.until(session.get('/admin/reassign_partitions'))).data
  expect(JSON.parse(left!.toString())).toEqual({ version: 1, partitions: [moves[0]] })
  expect(await cluster.stateOf('t', 1)).toMatchObject({ leader: 1, isr: [1, 2], leaderEpoch: 1 })
  expect(metadata.partition('t', 0)!.replicas).toEqual([3, 2, 1])
  const { leaderEpoch, partitionEpoch } = await cluster.stateOf('t', 0)
  const newIsrWithEpochs = [1, 2, 3].map((brokerId) => ({ brokerId, brokerEpoch: -1 }))
  const partition = {
    partitionIndex: 0,
    leaderEpoch,
    partitionEpoch,
    leaderRecoveryState: 0,
    newIsr: [],
    newIsrWithEpochs,
  }
  const topics = [{ topicName: 't', topicId: metadata.topic('t')!.topicId, partitions: [partition] }]
  const brokerEpoch = metadata.broker(1)!.epoch
  await cluster.until(controller.alterPartition({ brokerId: 1, brokerEpoch, topics }, 3))
  await cluster.scheduler.settle()
  expect(await cluster.stateOf('t', 0)).toMatchObject({ leader: 3, isr: [2, 3] })
  expect(await cluster.until(session.exists('/admin/reassign_partitions'))).toBeNull()
})

test('/isr_change_notification makes known what leaders have written themselves', async () => {
  const cluster = await clusterOfThree()
  await cluster.createTopic('t', [1, 2, 3])
  const path = '/brokers/topics/t/partitions/0/state'
  const data = Buffer.from('{"version":1,"leader":1,"leader_epoch":0,"controller_epoch":1,"isr":[1,2]}')
  await cluster.until(cluster.controller.session.set(path, data))
  const content = { version: 1, partitions: [{ topic: 't', partition: 0 }] }
  await write(cluster, '/isr_change_notification/isr_change_', content, 'persistent_sequential')
  for (const { metadata } of cluster.brokers.values())
    expect(metadata.partition('t', 0)).toMatchObject({ isr: [1, 2], partitionEpoch: 1 })
  expect(await cluster.until(cluster.controller.session.children('/isr_change_notification'))).toEqual([])
})

test('/feature says that nothing is finalised, whatever stood there', async () => {
  const cluster = new SimCluster()
  const session = await cluster.connect()
  await cluster.until(session.create('/feature', Buffer.from('{"version":1,"status":0,"features":{}}')))
  await cluster.addBroker(1)
  const { data } = await cluster.until(session.get('/feature'))
  expect(JSON.parse(data!.toString())).toEqual({ version: 2, status: 1, features: {} })
})
