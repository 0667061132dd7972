/** Moves between log directories: each broker has one, so what is compared is what is refused, and how. */
import { alterReplicaLogDirsApi } from '../../../../src/protocol/messages/34-alter-replica-log-dirs.ts'
import { describeLogDirsApi } from '../../../../src/protocol/messages/35-describe-log-dirs.ts'
import { everyVersion, step, type Replies, type Scenario, type Step } from '../scenario.ts'
import { createTopic } from './data.ts'

interface Wanted {
  readonly name: string
  readonly partitions: number[]
}

/** To a directory that is none of the broker's. */
const nowhere = (version: number, label: string, ...topics: Wanted[]): Step =>
  step(label, alterReplicaLogDirsApi, version, { dirs: [{ path: '/no/such/directory', topics }] })

/** To the directory that the broker has, which an earlier step has asked for. */
const there = (version: number, label: string, ...topics: Wanted[]): Step =>
  step(label, alterReplicaLogDirsApi, version, (replies: Replies) => ({
    dirs: [{ path: replies.get('where').results[0].logDir, topics }],
  }))

function steps(version: number): Step[] {
  return [
    there(version, 'where it lies', { name: 'moves', partitions: [0] }),
    there(version, 'a partition that there is not', { name: 'moves', partitions: [9] }),
    there(version, 'a topic that there is not', { name: 'moves-gone', partitions: [0] }),
    there(version, 'a topic with no name', { name: '', partitions: [0] }),
    there(version, 'a name too long to be moved', { name: 'x'.repeat(230), partitions: [0] }),
    there(version, 'a partition below zero', { name: 'moves', partitions: [-1] }),
    there(version, 'the same twice', { name: 'moves', partitions: [0, 0] }),
    nowhere(version, 'an unknown directory', { name: 'moves', partitions: [0] }),
    nowhere(version, 'an unknown directory and topic', { name: 'moves-gone', partitions: [0] }),
    nowhere(version, 'an unknown directory and a long name', { name: 'x'.repeat(230), partitions: [0] }),
    nowhere(version, 'no partitions', { name: 'moves', partitions: [] }),
    nowhere(version, 'no topics'),
    step('no directories', alterReplicaLogDirsApi, version, { dirs: [] }),
    step('to two directories, the last counts', alterReplicaLogDirsApi, version, (replies: Replies) => ({
      dirs: [
        { path: '/no/such/directory', topics: [{ name: 'moves', partitions: [0] }] },
        { path: replies.get('where').results[0].logDir, topics: [{ name: 'moves', partitions: [0] }] },
      ],
    })),
  ]
}

export const logDirScenarios: Scenario[] = [
  {
    name: 'AlterReplicaLogDirs',
    steps: [
      createTopic('moves', { partitions: 2 }),
      step('where', describeLogDirsApi, 4, { topics: [{ topic: 'moves', partitions: [0] }] }),
      ...everyVersion(alterReplicaLogDirsApi, steps),
    ],
  },
]
