/** A member of a group by the classic protocol, as Kafka's consumer is one: it gives everything back before it joins anew. */
import { readAssignment, writeAssignment } from '../../src/coordinator/groups/consumer/consumer-protocol.ts'
import { ErrorCode, errorName } from '../../src/protocol/error-codes.ts'
import { joinGroupApi } from '../../src/protocol/messages/11-join-group.ts'
import { heartbeatApi } from '../../src/protocol/messages/12-heartbeat.ts'
import { leaveGroupApi } from '../../src/protocol/messages/13-leave-group.ts'
import { syncGroupApi } from '../../src/protocol/messages/14-sync-group.ts'
import { COORDINATOR_IS_GONE, OF_GROUP, type GroupClient } from './group-client.ts'
import type { GroupHistory } from './group-history.ts'
import type { Assignment, Membership, MemberOptions } from './membership.ts'

const PROTOCOL_TYPE = 'consumer'
const PROTOCOL_NAME = 'by turns'

interface Joined {
  readonly generationId: number
  readonly memberId: string
  readonly skipAssignment: boolean
  readonly members: readonly { readonly memberId: string }[]
}

export class ClassicMember implements Membership {
  current: Assignment | null = null
  isFenced = false
  readonly #client: GroupClient
  readonly #history: GroupHistory
  readonly #options: MemberOptions
  readonly #subscription: Buffer
  #memberId = ''
  #mustJoin = true
  #joins = 0

  constructor(client: GroupClient, history: GroupHistory, options: MemberOptions) {
    this.#client = client
    this.#history = history
    this.#options = options
    this.#subscription = subscriptionOf(options.topic.name)
  }

  /** Between two steps of work. */
  async turn(): Promise<void> {
    if (!this.#mustJoin || this.isFenced) return
    this.current = null
    await this.#join()
  }

  async heartbeats(): Promise<void> {
    while (!this.isFenced) {
      await this.#client.sleep(this.#options.heartbeatMs)
      const { current } = this
      if (current === null) continue
      const request = { ...this.#name(), groupId: this.#history.groupId, generationId: current.generation }
      const answer = await this.#client.ask(
        OF_GROUP,
        async (peer) => (await peer.call(heartbeatApi, 4, request)).errorCode,
      )
      // What it says of an assignment that is no more is nobody's business.
      if (answer !== null && current === this.current) await this.#heed(answer.value)
    }
  }

  async leave(): Promise<void> {
    this.current = null
    this.isFenced = true
    if (this.#memberId === '') return
    const request = { groupId: this.#history.groupId, members: [this.#name()] }
    await this.#client.ask(OF_GROUP, (peer) => peer.call(leaveGroupApi, 5, request))
  }

  #name(): { memberId: string; groupInstanceId: string | null } {
    return { memberId: this.#memberId, groupInstanceId: this.#options.instanceId }
  }

  /** What an error means for a member. */
  async #heed(error: number): Promise<void> {
    switch (error) {
      case ErrorCode.NONE:
        return
      case ErrorCode.UNKNOWN_MEMBER_ID:
      case ErrorCode.ILLEGAL_GENERATION:
      case ErrorCode.REBALANCE_IN_PROGRESS:
        if (error === ErrorCode.UNKNOWN_MEMBER_ID) this.#memberId = ''
        if (error !== ErrorCode.REBALANCE_IN_PROGRESS) this.current = null
        this.#mustJoin = true
        return
      case ErrorCode.FENCED_INSTANCE_ID:
        this.current = null
        this.isFenced = true
        return
      default:
        if (!COORDINATOR_IS_GONE.has(error))
          this.#history.complain(`${this.#client.name} got ${errorName(error)}`)
        await this.#client.lookAgain(OF_GROUP)
    }
  }

  async #join(): Promise<void> {
    const { options, client } = { options: this.#options, client: this.#client }
    const request = {
      ...this.#name(),
      groupId: this.#history.groupId,
      sessionTimeoutMs: options.sessionTimeoutMs,
      rebalanceTimeoutMs: options.rebalanceTimeoutMs,
      protocolType: PROTOCOL_TYPE,
      protocols: [{ name: PROTOCOL_NAME, metadata: this.#subscription }],
    }
    const answer = await client.ask(OF_GROUP, (peer) => peer.call(joinGroupApi, 9, request))
    if (answer === null) return client.sleep(options.retryMs)
    const { value } = answer
    if (value.errorCode === ErrorCode.MEMBER_ID_REQUIRED) this.#memberId = value.memberId
    else if (value.errorCode !== ErrorCode.NONE) {
      await this.#heed(value.errorCode)
      await client.sleep(options.retryMs)
    } else {
      this.#memberId = value.memberId
      await this.#sync(value)
    }
  }

  async #sync(joined: Joined): Promise<void> {
    const { generationId: generation } = joined
    const request = {
      ...this.#name(),
      groupId: this.#history.groupId,
      generationId: generation,
      protocolType: PROTOCOL_TYPE,
      protocolName: PROTOCOL_NAME,
      assignments: joined.skipAssignment ? [] : this.#assignmentsBy(joined),
    }
    const answer = await this.#client.ask(OF_GROUP, (peer) => peer.call(syncGroupApi, 5, request))
    if (answer === null) return
    if (answer.value.errorCode !== ErrorCode.NONE) return this.#heed(answer.value.errorCode)
    const assigned = readAssignment(answer.value.assignment)?.assignedPartitions[0]?.partitions ?? []
    const { memberId } = joined
    const { instanceId } = this.#options
    this.#history.toldByClassic({ memberId, instanceId }, generation, assigned, answer)
    this.#client.cluster.log(this.#client.name, `${memberId} has ${assigned.join()} in ${generation}`)
    const claim = ++this.#joins
    const partitions = new Map(assigned.map((partition) => [partition, claim]))
    this.#mustJoin = false
    this.current = { memberId, instanceId, generation, partitions }
  }

  /** As the leader: by turns, and another turn in each generation. */
  #assignmentsBy({ members, generationId }: Joined): { memberId: string; assignment: Buffer }[] {
    const { topic } = this.#options
    const ids = members.map(({ memberId }) => memberId).sort()
    return ids.map((memberId, index) => {
      const partitions = Array.from({ length: topic.partitions }, (_, partition) => partition).filter(
        (partition) => (partition + generationId) % ids.length === index,
      )
      return {
        memberId,
        assignment: writeAssignment([{ topic: topic.name, partitions }], this.#subscription),
      }
    })
  }
}

/** Version 0 of the embedded subscription: one topic, no user data. */
function subscriptionOf(topic: string): Buffer {
  const head = Buffer.alloc(8)
  head.writeInt32BE(1, 2)
  head.writeInt16BE(topic.length, 6)
  const noUserData = Buffer.from([255, 255, 255, 255])
  return Buffer.concat([head, Buffer.from(topic), noUserData])
}
