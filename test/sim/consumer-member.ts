/** A member of a group by the consumer protocol (KIP-848): what it must give back it gives back first, and says so. */
import { ErrorCode, errorName } from '../../src/protocol/error-codes.ts'
import {
  consumerGroupHeartbeatApi,
  type ConsumerGroupHeartbeatResponse,
} from '../../src/protocol/messages/68-consumer-group-heartbeat.ts'
import { COORDINATOR_IS_GONE, OF_GROUP, type Answer, type GroupClient } from './group-client.ts'
import type { GroupHistory, MemberName } from './group-history.ts'
import type { Assignment, Membership, MemberOptions } from './membership.ts'

const [JOIN, LEAVE, LEAVE_STATIC] = [0, -1, -2]

export class ConsumerMember implements Membership {
  isFenced = false
  readonly #client: GroupClient
  readonly #history: GroupHistory
  readonly #options: MemberOptions
  readonly #memberId: string
  #topicId = ''
  #epoch = JOIN
  /** What it was told to have. */
  #target: readonly number[] = []
  #owned = new Map<number, number>()
  #current: Assignment | null = null
  #claims = 0
  /** The next heartbeat says all: the last one's answer was not heard. */
  #saysAll = true
  #hasChanged = false
  #wake: (() => void) | null = null

  constructor(client: GroupClient, history: GroupHistory, options: MemberOptions) {
    this.#client = client
    this.#history = history
    this.#options = options
    this.#memberId = client.process.random.bytes(16).toString('base64url')
  }

  get current(): Assignment | null {
    return this.#current
  }

  /** It gives back and takes what it was told, between two steps of work: its heartbeats say so. */
  async turn(): Promise<void> {
    const target = new Set(this.#target)
    const given = this.#target.filter((partition) => !this.#owned.has(partition))
    const isSame = given.length === 0 && [...this.#owned.keys()].every((partition) => target.has(partition))
    if (isSame || this.isFenced || this.#epoch === JOIN) return
    for (const partition of this.#owned.keys()) if (!target.has(partition)) this.#owned.delete(partition)
    for (const partition of given) this.#owned.set(partition, ++this.#claims)
    this.#note()
    this.#hasChanged = true
    this.#wake?.()
  }

  async heartbeats(): Promise<void> {
    while (!this.isFenced) {
      await this.#beat()
      if (!this.#hasChanged) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
          void this.#client.sleep(this.#options.heartbeatMs).then(resolve)
        })
      }
    }
  }

  /** A static member may say that it will be back. */
  async leave(): Promise<void> {
    const isStatic = this.#options.instanceId !== null && this.#client.chance(0.5)
    this.isFenced = true
    if (this.#epoch === JOIN) return
    this.#drop()
    if (isStatic) this.#history.isAway(this.#member)
    else this.#history.says(this.#member, new Set())
    const request = { ...this.#name(), memberEpoch: isStatic ? LEAVE_STATIC : LEAVE }
    await this.#client.ask(OF_GROUP, (peer) => peer.call(consumerGroupHeartbeatApi, 1, request))
  }

  get #member(): MemberName {
    return { memberId: this.#memberId, instanceId: this.#options.instanceId }
  }

  #name() {
    const { groupId } = this.#history
    return { groupId, memberId: this.#memberId, instanceId: this.#options.instanceId }
  }

  #note(): void {
    const { instanceId } = this.#options
    const partitions = new Map(this.#owned)
    this.#current = { memberId: this.#memberId, instanceId, generation: this.#epoch, partitions }
  }

  #drop(): void {
    this.#owned.clear()
    this.#target = []
    this.#epoch = JOIN
    this.#current = null
    this.#saysAll = true
  }

  async #beat(): Promise<void> {
    const { topic, rebalanceTimeoutMs } = this.#options
    const joins = this.#epoch === JOIN
    const all = this.#saysAll || joins
    const owned = [...this.#owned.keys()]
    if (all || this.#hasChanged) this.#history.says(this.#member, new Set(owned))
    const topicPartitions = owned.length === 0 ? [] : [{ topicId: this.#topicId, partitions: owned }]
    const request = {
      ...this.#name(),
      memberEpoch: this.#epoch,
      rebalanceTimeoutMs: all ? rebalanceTimeoutMs : -1,
      subscribedTopicNames: all ? [topic.name] : null,
      topicPartitions: all || this.#hasChanged ? topicPartitions : null,
    }
    this.#hasChanged = false
    this.#saysAll = true
    const answer = await this.#client.ask(OF_GROUP, (peer) =>
      peer.call(consumerGroupHeartbeatApi, 1, request),
    )
    if (answer === null) return this.#client.sleep(this.#options.retryMs)
    if (!this.isFenced) await this.#heed(answer)
  }

  async #heed(answer: Answer<ConsumerGroupHeartbeatResponse>): Promise<void> {
    const { value } = answer
    switch (value.errorCode) {
      case ErrorCode.NONE:
        return this.#told(answer)
      case ErrorCode.FENCED_MEMBER_EPOCH:
      case ErrorCode.UNKNOWN_MEMBER_ID:
        this.#drop()
        this.#history.says(this.#member, new Set())
        return this.#client.sleep(this.#options.retryMs)
      case ErrorCode.FENCED_INSTANCE_ID:
        this.#drop()
        this.isFenced = true
        return
      case ErrorCode.UNRELEASED_INSTANCE_ID:
        return
      default:
        if (!COORDINATOR_IS_GONE.has(value.errorCode))
          this.#history.complain(`${this.#client.name} got ${errorName(value.errorCode)}`)
        return this.#client.lookAgain(OF_GROUP)
    }
  }

  #told(answer: Answer<ConsumerGroupHeartbeatResponse>): void {
    const { memberEpoch, assignment } = answer.value
    const topic = assignment?.topicPartitions[0]
    const partitions = assignment === null ? null : (topic?.partitions ?? [])
    this.#history.toldByConsumer(this.#member, partitions, answer)
    this.#saysAll = false
    if (topic !== undefined) this.#topicId = topic.topicId
    if (partitions !== null) this.#target = partitions
    if (this.#epoch === memberEpoch && partitions === null) return
    this.#epoch = memberEpoch
    this.#note()
    this.#client.cluster.log(
      this.#client.name,
      `${this.#memberId} is to have ${this.#target.join()} in ${memberEpoch}`,
    )
  }
}
