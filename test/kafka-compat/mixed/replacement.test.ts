/**
 * Three brokers of Apache Kafka 3.9 are replaced by ours, one by one, and by Kafka's again, under load all the time: each
 * leaves in an orderly way, and the other kind goes on with its directory, or with an empty one.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BrokerKind } from '../harness/broker.ts'
import { MixedCluster, ours } from './mixed-cluster.ts'

let mixed: MixedCluster

beforeAll(async () => {
  mixed = await MixedCluster.start(['kafka', 'kafka', 'kafka'])
})

afterAll(() => mixed?.stop())

async function replace(brokerId: number, kind: BrokerKind, emptyDisk: boolean): Promise<void> {
  const member = mixed.cluster.member(brokerId)
  await member.shutDown()
  member.become(kind, { emptyDisk })
  await mixed.untilLoadGoesOn()
  await member.start()
  await mixed.untilAllInSync()
  await mixed.untilLoadGoesOn()
}

const replacements = [
  { brokerId: 1, kind: ours, emptyDisk: false },
  { brokerId: 2, kind: ours, emptyDisk: true },
  { brokerId: 3, kind: ours, emptyDisk: false },
  { brokerId: 1, kind: 'kafka', emptyDisk: true },
  { brokerId: 2, kind: 'kafka', emptyDisk: false },
  { brokerId: 3, kind: 'kafka', emptyDisk: false },
] as const

test.each(replacements)('broker $brokerId becomes $kind (on an empty disk: $emptyDisk)', async (each) => {
  await replace(each.brokerId, each.kind, each.emptyDisk)
  await mixed.electPreferred()
  await mixed.untilGroupsGoOn()
  await mixed.untilLoadGoesOn()
  const leaders = (await mixed.view.partitions()).map(({ leader }) => leader)
  expect(leaders).toContain(each.brokerId)
})

test('no record was lost, duplicated, reordered or made up, and the replicas are the same bytes', async () => {
  await mixed.expectNothingWrong()
})
