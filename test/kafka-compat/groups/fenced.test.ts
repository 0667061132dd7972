/**
 * When a static member is fenced though nobody else has its instance id: two things that clients take for fatal, of which
 * Apache Kafka does the same (ODRADEK_COMPAT_BROKER=kafka, ODRADEK_COMPAT_KAFKA=3.9 too). See comes-again.ts.
 */
import { afterEach, expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { findCoordinatorApi } from '../../../src/protocol/messages/10-find-coordinator.ts'
import { joinGroupApi } from '../../../src/protocol/messages/11-join-group.ts'
import { heartbeatApi } from '../../../src/protocol/messages/12-heartbeat.ts'
import { syncGroupApi } from '../../../src/protocol/messages/14-sync-group.ts'
import { WireClient } from '../../broker/wire-client.ts'
import type { Answer } from '../../broker/wire-client.ts'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'

const GROUP = 'readers'
const INSTANCE = 'i'
type Joined = Answer<typeof joinGroupApi>
const NOT_YET: readonly number[] = [
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
]
interface Who {
  readonly memberId: string
  readonly groupInstanceId?: string
}

let broker: TestBroker | undefined
const clients: WireClient[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await broker?.stop()
  broker = undefined
})

async function connected(): Promise<WireClient> {
  const client = await WireClient.connect(broker!.port)
  clients.push(client)
  const request = { key: GROUP, keyType: 0 }
  await eventually('the group has a coordinator', async () => {
    return (await client.request(findCoordinatorApi, 1, request)).errorCode === ErrorCode.NONE
  })
  return client
}

/** Asks until the coordinator is one. */
function join(client: WireClient, who: Who): Promise<Joined> {
  const protocols = [{ name: 'range', metadata: Buffer.alloc(0) }]
  const times = { sessionTimeoutMs: 60_000, rebalanceTimeoutMs: 60_000 }
  const request = { groupId: GROUP, protocolType: 'consumer', protocols, ...times, ...who }
  return eventually('the coordinator answers', async () => {
    const answer = await client.request(joinGroupApi, 5, request)
    return NOT_YET.includes(answer.errorCode) ? null : answer
  })
}

async function heartbeat(client: WireClient, who: Who, generationId: number): Promise<number> {
  return (await client.request(heartbeatApi, 3, { groupId: GROUP, generationId, ...who })).errorCode
}

/** The member id of the instance, alone in its group, with an assignment, which is stored. */
async function settledInstance(client: WireClient): Promise<string> {
  const { memberId, generationId } = await join(client, { memberId: '', groupInstanceId: INSTANCE })
  const assignments = [{ memberId, assignment: Buffer.from('work') }]
  const request = { groupId: GROUP, memberId, groupInstanceId: INSTANCE, generationId, assignments }
  const { errorCode } = await client.request(syncGroupApi, 3, request)
  expect(errorCode).toBe(ErrorCode.NONE)
  return memberId
}

test('a static member whose new id was not stored when the broker died', async () => {
  broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  const [one, two, three] = [await connected(), await connected(), await connected()]
  const before = await settledInstance(one)
  const { memberId: other } = await join(two, { memberId: '' })
  const otherJoins = join(two, { memberId: other })
  await eventually('a rebalance is on', async () => {
    const error = await heartbeat(one, { memberId: before, groupInstanceId: INSTANCE }, 1)
    return error === ErrorCode.REBALANCE_IN_PROGRESS
  })
  const back = await join(three, { memberId: '', groupInstanceId: INSTANCE })
  expect([back.errorCode, back.generationId]).toEqual([ErrorCode.NONE, 2])
  await otherJoins
  await broker.kill()
  await broker.start()

  const client = await connected()
  // While the group is loaded everybody is told that all is well.
  await eventually('the group knows the id of before', async () => {
    const fenced = await heartbeat(client, { memberId: back.memberId, groupInstanceId: INSTANCE }, 2)
    return fenced === ErrorCode.FENCED_INSTANCE_ID
  })
  const again = await join(client, { memberId: back.memberId, groupInstanceId: INSTANCE })
  expect(again.errorCode).toBe(ErrorCode.FENCED_INSTANCE_ID)
  expect(await heartbeat(client, { memberId: before, groupInstanceId: INSTANCE }, 1)).toBe(ErrorCode.NONE)
}, 240_000)

test('a static member that sends a heartbeat without its member id', async () => {
  broker = await startBroker({ config: { 'group.initial.rebalance.delay.ms': '0' } })
  const client = await connected()
  await settledInstance(client)
  const nobody = { memberId: '', groupInstanceId: INSTANCE }
  expect(await heartbeat(client, nobody, 1)).toBe(ErrorCode.FENCED_INSTANCE_ID)
}, 240_000)
