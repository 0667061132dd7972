/** A group as its coordinator describes it, asked over our own wire client: of either protocol. */
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { offsetFetchApi } from '../../../src/protocol/messages/09-offset-fetch.ts'
import { describeGroupsApi } from '../../../src/protocol/messages/15-describe-groups.ts'
import { consumerGroupDescribeApi } from '../../../src/protocol/messages/69-consumer-group-describe.ts'
import { WireClient } from '../../broker/wire-client.ts'

export interface GroupView {
  state: string
  protocol: 'classic' | 'consumer'
  /** Of consumer groups. */
  epoch: number | null
  /** By instance id, or by client id, which in these suites is a member's name (a static member keeps its first one). */
  members: Map<string, number[]>
}

const ELSEWHERE: readonly number[] = [
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
]

/** Asks the brokers one after the other, until one is the coordinator. */
export class GroupViewer {
  readonly #ports: readonly number[]
  readonly #clients = new Map<number, WireClient>()

  constructor(ports: readonly number[]) {
    this.#ports = ports
  }

  /** What `ask` gives, from the first broker for which that is not null; null: no broker coordinates the group now. */
  async #first<T>(ask: (client: WireClient) => Promise<T | null>): Promise<T | null> {
    for (const port of this.#ports) {
      try {
        let client = this.#clients.get(port)
        if (client === undefined || client.isClosed) client = await WireClient.connect(port)
        this.#clients.set(port, client)
        const answer = await ask(client)
        if (answer !== null) return answer
      } catch {
        // A broker that does not run. Whoever asks does so again.
      }
    }
    return null
  }

  describe(groupId: string): Promise<GroupView | null> {
    return this.#first(
      async (client) => (await consumerView(client, groupId)) ?? classicView(client, groupId),
    )
  }

  /** By partition of the group's one topic. */
  committed(groupId: string): Promise<Map<number, number> | null> {
    return this.#first(async (client) => {
      const groups = [{ groupId, topics: null }]
      const answer = await client.request(offsetFetchApi, 8, { groups, requireStable: true })
      const [{ errorCode, topics }] = answer.groups!
      if (ELSEWHERE.includes(errorCode)) return null
      if (errorCode !== 0) throw new Error(`OffsetFetch of ${groupId}: ${errorCode}`)
      // While a commit is on its way what is there is not told.
      const partitions = topics.flatMap((topic) => topic.partitions).filter((each) => each.errorCode === 0)
      return new Map(partitions.map((each) => [each.partitionIndex, each.committedOffset]))
    })
  }

  close(): void {
    for (const client of this.#clients.values()) client.close()
  }
}

async function consumerView(client: WireClient, groupId: string): Promise<GroupView | null> {
  const request = { groupIds: [groupId], includeAuthorizedOperations: false }
  const [group] = (await client.request(consumerGroupDescribeApi, 0, request)).groups
  if (group.errorCode !== 0) return null
  const members = group.members.map(({ instanceId, clientId, assignment }): [string, number[]] => {
    return [instanceId ?? clientId, assignment.topicPartitions.flatMap(({ partitions }) => partitions)]
  })
  const { groupState: state, groupEpoch: epoch } = group
  return { state, protocol: 'consumer', epoch, members: new Map(members) }
}

async function classicView(client: WireClient, groupId: string): Promise<GroupView | null> {
  const request = { groups: [groupId], includeAuthorizedOperations: false }
  const [group] = (await client.request(describeGroupsApi, 4, request)).groups
  if (group.errorCode !== 0 || group.groupState === 'Dead') return null
  const members = group.members.map(({ groupInstanceId, clientId, memberAssignment }): [string, number[]] => {
    return [groupInstanceId ?? clientId, assignedPartitions(memberAssignment)]
  })
  return { state: group.groupState, protocol: 'classic', epoch: null, members: new Map(members) }
}

/** ConsumerProtocolAssignment: version, then topics with their partitions. */
function assignedPartitions(bytes: Buffer): number[] {
  const partitions: number[] = []
  if (bytes.length < 6) return partitions
  let at = 6
  for (let topics = bytes.readInt32BE(2); topics > 0; topics--) {
    at += 2 + bytes.readInt16BE(at)
    const count = bytes.readInt32BE(at)
    at += 4
    for (let i = 0; i < count; i++, at += 4) partitions.push(bytes.readInt32BE(at))
  }
  return partitions
}
