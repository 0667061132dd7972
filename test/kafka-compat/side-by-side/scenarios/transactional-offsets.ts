/** TxnOffsetCommit: offsets of a group that count when a producer's transaction is committed, and who may commit them. */
import { offsetFetchApi } from '../../../../src/protocol/messages/09-offset-fetch.ts'
import { addOffsetsToTxnApi } from '../../../../src/protocol/messages/25-add-offsets-to-txn.ts'
import { txnOffsetCommitApi } from '../../../../src/protocol/messages/28-txn-offset-commit.ts'
import { everyVersion, settle, step } from '../scenario.ts'
import type { Replies, Scenario, Step } from '../scenario.ts'
import { createTopic, untilCoordinator } from './data.ts'
import { GroupSteps } from './groups.ts'
import {
  describe,
  end,
  init,
  isOver,
  producerOf,
  untilTransactionCoordinator,
} from './transaction-coordinator.ts'
import type { As } from './transaction-coordinator.ts'

const TOPIC = 'txn-kept'
const UNSTABLE_OFFSET_COMMIT = 88
const WITH_MEMBERS = 3
const LATEST_OF_39 = 4

interface Commit extends Partial<As> {
  readonly topics?: { topic?: string; partition?: number; offset?: number; metadata?: string | null }[]
  readonly more?: object | ((replies: Replies) => object)
}

/** One group and one transactional id at one version of TxnOffsetCommit. */
class Copier {
  readonly #version: number
  readonly id: string
  readonly group: string
  readonly as: string

  constructor(name: string, version: number) {
    this.#version = version
    this.id = `txn-copier-${name}-${version}`
    this.group = `txn-readers-${name}-${version}`
    this.as = `${this.id} begins`
  }

  begin(): Step[] {
    return [untilCoordinator(this.group), init(this.as, this.id)]
  }

  add(label: string): Step {
    const body = (replies: Replies) => {
      return { transactionalId: this.id, groupId: this.group, ...producerOf(replies, { as: this.as }) }
    }
    return step(label, addOffsetsToTxnApi, 3, body, { until: isOver })
  }

  commit(label: string, { topics = [{}], more = {}, as = this.as, ...of }: Commit = {}): Step {
    const named = topics.map(({ topic = TOPIC, partition = 0, offset = 5, metadata = 'noted' }) => {
      const at = { partitionIndex: partition, committedOffset: offset, committedMetadata: metadata }
      return { name: topic, partitions: [at] }
    })
    return step(label, txnOffsetCommitApi, this.#version, (replies) => ({
      transactionalId: this.id,
      groupId: this.group,
      ...producerOf(replies, { as, ...of }),
      topics: named,
      ...(typeof more === 'function' ? more(replies) : more),
    }))
  }

  fetch(label: string): Step[] {
    const topics = [{ name: TOPIC, partitionIndexes: [0, 1] }]
    return [false, true].flatMap((requireStable) => [
      step(`${label}, ${requireStable ? 'stable' : 'any'}`, offsetFetchApi, 7, {
        groupId: this.group,
        topics,
        requireStable,
      }),
      step(`all ${label}, ${requireStable ? 'stable' : 'any'}`, offsetFetchApi, 9, {
        groups: [{ groupId: this.group, topics: null }],
        requireStable,
      }),
    ])
  }

  /** Ends the transaction and waits until its offsets count, or do not. */
  end(label: string, committed: boolean): Step[] {
    const groups = [{ groupId: this.group, topics: [{ name: TOPIC, partitionIndexes: [0] }] }]
    const until = ({ groups: [found] }: { groups: FetchedGroup[] }): boolean =>
      found.topics[0].partitions[0].errorCode !== UNSTABLE_OFFSET_COMMIT
    return [
      end(label, { id: this.id, as: this.as, committed }),
      describe(`${label}: over`, [this.id], committed ? 'CompleteCommit' : 'CompleteAbort'),
      step(`${label}: read`, offsetFetchApi, 8, { groups, requireStable: true }, { until }),
      ...this.fetch(`after ${label}`),
    ]
  }
}

interface FetchedGroup {
  readonly topics: { readonly partitions: { readonly errorCode: number }[] }[]
}

/** As of a consumer that is in the group, or has been. */
function ofMembers(version: number): Step[] {
  const copier = new Copier('members', version)
  const group = new GroupSteps(copier.group, 9)
  const named = { groupInstanceId: 'instance' }
  const other = { on: 'other', clientId: 'other' }
  const member = (label: string, more: object = {}, ahead = 0) => ({
    more: (replies: Replies) => ({
      memberId: replies.get(label).memberId,
      generationId: replies.get(label).generationId + ahead,
      ...more,
    }),
  })
  const at = { as: copier.as }
  return [
    ...copier.begin(),
    copier.add('added'),
    copier.commit('a generation of nothing', { more: { generationId: 1, memberId: 'nobody' } }),
    copier.commit('a generation alone', { more: { generationId: 0 } }),
    copier.commit('a member alone', { more: { memberId: 'nobody' } }),
    copier.commit('an instance of nothing', { more: { groupInstanceId: 'nobody', memberId: 'nobody' } }),
    group.join('first', '', named),
    copier.commit('before the assignment', member('first')),
    group.assign('assigned', { of: 'first' }),
    copier.commit('good', { ...at, ...member('first') }),
    copier.commit('good and named', member('first', named)),
    copier.commit('of nobody in a group'),
    copier.commit('without a generation', member('first', { generationId: -1 })),
    copier.commit('without a member', member('first', { memberId: '' })),
    copier.commit('of a stranger', member('first', { memberId: 'stranger' })),
    copier.commit('of the last generation', member('first', {}, -1)),
    copier.commit('of the next generation', member('first', {}, 1)),
    copier.commit('under another name', member('first', { groupInstanceId: 'other' })),
    copier.commit('a stranger under its name', member('first', { ...named, memberId: 'stranger' })),
    ...group.enter('second', {}, { ...other, parked: true }),
    group.isIn('PreparingRebalance'),
    copier.commit('while another joins', member('first')),
    group.join('first again', { of: 'first' }, named),
    settle('second'),
    copier.commit('before all are assigned', member('first again')),
    copier.commit('of before', member('first')),
    group.assign('both assigned', { of: 'first again' }, [{ of: 'second' }]),
    group.join('first comes back', '', named),
    copier.commit('the old one', member('first again')),
    copier.commit('the old one by name', member('first again', named)),
    group.leave('all leave', { who: { of: 'second' } }, { who: '', groupInstanceId: 'instance' }),
    group.isIn('Empty'),
    copier.commit('having left', member('second')),
    copier.commit('of nobody at last', { topics: [{ offset: 12 }] }),
    group.delete('with offsets that are not stable'),
    ...copier.end('commit', true),
    group.delete('deleted'),
  ]
}

export const transactionalOffsetScenarios: readonly Scenario[] = [
  {
    name: 'Transactions: offsets of members',
    steps: [
      ...untilTransactionCoordinator(),
      createTopic(TOPIC, { partitions: 2 }),
      ...everyVersion(txnOffsetCommitApi, ofMembers, WITH_MEMBERS, LATEST_OF_39),
    ],
  },
]
