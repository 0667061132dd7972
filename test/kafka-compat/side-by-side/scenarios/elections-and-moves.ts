/** ElectLeaders, AlterPartitionReassignments and ListPartitionReassignments, as far as one broker has something to answer. */
import { electLeadersApi } from '../../../../src/protocol/messages/43-elect-leaders.ts'
import { alterPartitionReassignmentsApi } from '../../../../src/protocol/messages/45-alter-partition-reassignments.ts'
import { listPartitionReassignmentsApi } from '../../../../src/protocol/messages/46-list-partition-reassignments.ts'
import { everyVersion, step } from '../scenario.ts'
import type { Scenario, Step } from '../scenario.ts'
import { createTopic } from './data.ts'

const PREFERRED = 0
const UNCLEAN = 1

function electSteps(version: number): Step[] {
  const elect = (label: string, electionType: number, partitions: Readonly<Record<string, number[]>>): Step =>
    step(label, electLeadersApi, version, {
      electionType,
      topicPartitions: Object.entries(partitions).map(([topic, indexes]) => ({ topic, partitions: indexes })),
      timeoutMs: 10_000,
    })
  const types = version === 0 ? [PREFERRED] : [PREFERRED, UNCLEAN]
  return types.flatMap((type) => [
    elect(`led, type ${type}`, type, { elected: [0, 1] }),
    elect(`not there, type ${type}`, type, { elected: [7], 'no-such-topic': [0], 'a/b': [0] }),
    elect(`none, type ${type}`, type, {}),
    step(`all, type ${type}`, electLeadersApi, version, { electionType: type, topicPartitions: null }),
  ])
}

function reassign(label: string, ...wishes: [topic: string, partition: number, replicas: number[] | null][]) {
  const topics = wishes.map(([name, partitionIndex, replicas]) => {
    return { name, partitions: [{ partitionIndex, replicas }] }
  })
  return step(label, alterPartitionReassignmentsApi, 0, { topics, timeoutMs: 10_000 })
}

const list = (label: string, topics: { name: string; partitionIndexes: number[] }[] | null): Step =>
  step(label, listPartitionReassignmentsApi, 0, { topics, timeoutMs: 10_000 })

export const electionAndMoveScenarios: readonly Scenario[] = [
  {
    name: 'ElectLeaders',
    steps: [createTopic('elected', { partitions: 2 }), ...everyVersion(electLeadersApi, electSteps)],
  },
  {
    name: 'AlterPartitionReassignments and ListPartitionReassignments',
    steps: [
      createTopic('moved', { partitions: 3 }),
      reassign('to where it is', ['moved', 0, [1]]),
      reassign('to nowhere', ['moved', 0, []]),
      reassign('to one broker twice', ['moved', 0, [1, 1]]),
      reassign('to less than a broker', ['moved', 0, [-1]]),
      reassign('to a broker that is not there', ['moved', 0, [9]]),
      reassign('to that one, too', ['moved', 0, [1, 9]]),
      reassign('cancelled, not under way', ['moved', 0, null]),
      reassign('no such partition', ['moved', 7, [1]]),
      reassign('no such topic', ['no-such-topic', 0, [1]], ['a/b', 0, [1]]),
      reassign('no such topic, not under way', ['no-such-topic', 0, null]),
      reassign('no such topic, to a broker that is not there', ['no-such-topic', 0, [9]]),
      reassign('none'),
      list('all', null),
      list('none', []),
      list('named', [
        { name: 'moved', partitionIndexes: [0, 7] },
        { name: 'no-such-topic', partitionIndexes: [0] },
      ]),
    ],
  },
]
