/** What a member does with its partitions: it reads on from the group's offset, and commits how far it has come. */
import { NetworkError } from '../../src/env/network.ts'
import { ErrorCode, errorName } from '../../src/protocol/error-codes.ts'
import { fetchApi } from '../../src/protocol/messages/01-fetch.ts'
import { offsetCommitApi } from '../../src/protocol/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../src/protocol/messages/09-offset-fetch.ts'
import { recordsOf, type TopicSpec } from './clients.ts'
import { COORDINATOR_IS_GONE, OF_GROUP, type GroupClient } from './group-client.ts'
import type { GroupHistory } from './group-history.ts'
import type { Assignment, Membership } from './membership.ts'

const IDLE_MS = 30
const MAX_WAIT_MS = 100

/** Answers after which nothing was committed, and nothing will be. */
export const REFUSALS = new Set<number>([
  ErrorCode.ILLEGAL_GENERATION,
  ErrorCode.UNKNOWN_MEMBER_ID,
  ErrorCode.FENCED_INSTANCE_ID,
  ErrorCode.STALE_MEMBER_EPOCH,
  ErrorCode.REBALANCE_IN_PROGRESS,
])

export interface Records {
  readonly partition: number
  readonly records: readonly { readonly offset: number; readonly value: string }[]
  readonly nextOffset: number
}

export interface WorkOptions {
  readonly client: GroupClient
  readonly membership: Membership
  readonly history: GroupHistory
  readonly topic: TopicSpec
  readonly isConsumerProtocol: boolean
}

/** Reads, for whoever makes something of it. */
export abstract class GroupWork {
  protected readonly options: WorkOptions
  /** How far it has come, by partition, under the claim that it had then. */
  readonly #positions = new Map<number, { claim: number; offset: number }>()
  isOver = false

  constructor(options: WorkOptions) {
    this.options = options
  }

  /** What was read under `assignment`. False: it is to be read again, from the group's offset. */
  protected abstract work(assignment: Assignment, read: Records): Promise<boolean>
  /** `requireStable` of OffsetFetch. */
  protected abstract readonly requiresStable: boolean

  async run(): Promise<void> {
    const { membership, client } = this.options
    while (!this.isOver && !membership.isFenced) {
      await membership.turn()
      const { current } = membership
      if (current === null || current.partitions.size === 0) await client.sleep(IDLE_MS)
      for (const [partition, claim] of current?.partitions ?? []) {
        // It goes on with what it had when it began, whatever it is told meanwhile.
        if (!this.isOver && !membership.isFenced) await this.#step(current!, partition, claim)
      }
    }
  }

  /** Now and then the work takes so long that the others go on without it, though its heartbeats say that it lives. */
  protected async take(): Promise<void> {
    const { client } = this.options
    if (client.chance(0.04)) await client.sleep(300 + client.integer(700))
  }

  async #step(assignment: Assignment, partition: number, claim: number): Promise<void> {
    let position = this.#positions.get(partition)
    if (position?.claim !== claim) {
      const committed = await this.#committed(assignment, partition)
      if (committed === null) return this.options.client.sleep(IDLE_MS)
      this.#positions.set(partition, (position = { claim, offset: Math.max(committed, 0) }))
    }
    const read = await this.#read(partition, position.offset)
    if (read === null || read.records.length === 0) return
    const isDone = await this.work(assignment, read)
    if (isDone) position.offset = read.nextOffset
    else this.#positions.delete(partition)
  }

  /** The group's offset, -1: none. Null: it is to be asked again. */
  async #committed(assignment: Assignment, partition: number): Promise<number | null> {
    const { client, history, topic, isConsumerProtocol } = this.options
    const who = isConsumerProtocol
      ? { memberId: assignment.memberId, memberEpoch: assignment.generation }
      : { memberId: null, memberEpoch: -1 }
    const topics = [{ name: topic.name, partitionIndexes: [partition] }]
    const groups = [{ groupId: history.groupId, ...who, topics }]
    const request = { groups, requireStable: this.requiresStable }
    const answer = await client.ask(OF_GROUP, (peer) => peer.call(offsetFetchApi, 9, request))
    if (answer === null) return null
    const [group] = answer.value.groups
    const found = group.topics[0]?.partitions[0]
    const error = group.errorCode === ErrorCode.NONE ? found.errorCode : group.errorCode
    if (error === ErrorCode.NONE) {
      history.fetched(partition, found.committedOffset, answer)
      client.cluster.log(client.name, `begins ${partition} at ${found.committedOffset}, ${answer.isSure}`)
      // One that was told by a coordinator that is none any more may be old: whoever must not do a thing twice asks again.
      if (answer.isSure || !this.requiresStable) return found.committedOffset
      await client.lookAgain(OF_GROUP)
      return null
    }
    if (COORDINATOR_IS_GONE.has(error)) await client.lookAgain(OF_GROUP)
    else if (!REFUSALS.has(error)) history.complain(`OffsetFetch: ${errorName(error)}`)
    return null
  }

  async #read(partition: number, fetchOffset: number): Promise<Records | null> {
    const { client, topic } = this.options
    try {
      const leader = await client.leader(topic.name, partition)
      const partitions = [{ partition, fetchOffset, partitionMaxBytes: 1 << 14 }]
      const answer = await leader?.call(fetchApi, 11, {
        ...{ maxWaitMs: MAX_WAIT_MS, minBytes: 1, maxBytes: 1 << 20 },
        topics: [{ topic: topic.name, partitions }],
      })
      const found = answer?.responses[0]?.partitions[0]
      if (found?.errorCode === ErrorCode.NONE) {
        const records = recordsOf(found.records).filter(({ offset }) => offset >= fetchOffset)
        return { partition, records, nextOffset: (records.at(-1)?.offset ?? fetchOffset - 1) + 1 }
      }
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
    }
    client.forgetLeader(topic.name, partition)
    await client.sleep(IDLE_MS)
    return null
  }
}

/** Notes what it has read, and commits it. */
export class PlainWork extends GroupWork {
  protected readonly requiresStable = false

  protected async work(
    assignment: Assignment,
    { partition, records, nextOffset }: Records,
  ): Promise<boolean> {
    const { client, history, topic } = this.options
    for (const { offset } of records) history.processed(partition, offset)
    await this.take()
    const commit = history.begin(assignment, assignment.generation, partition, nextOffset)
    const partitions = [{ partitionIndex: partition, committedOffset: nextOffset, committedMetadata: null }]
    const answer = await client.ask(OF_GROUP, async (peer) => {
      const { topics } = await peer.call(offsetCommitApi, 9, {
        groupId: history.groupId,
        generationIdOrMemberEpoch: assignment.generation,
        memberId: assignment.memberId,
        groupInstanceId: assignment.instanceId,
        topics: [{ name: topic.name, partitions }],
      })
      return topics[0].partitions[0].errorCode
    })
    const what = `commits ${partition}@${nextOffset} in ${assignment.generation}`
    client.cluster.log(client.name, `${what}: ${answer === null ? 'no answer' : errorName(answer.value)}`)
    if (answer === null) return false
    const error = answer.value
    if (error === ErrorCode.NONE) {
      history.accepted(commit)
      history.acknowledged(commit)
      return true
    }
    if (REFUSALS.has(error)) history.refused(commit)
    // The coordinator has not been told of the topic yet, or of the others.
    else if (COORDINATOR_IS_GONE.has(error) || error === ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      await client.lookAgain(OF_GROUP)
    else history.complain(`OffsetCommit: ${errorName(error)}`)
    return false
  }
}
