import { describe, expect, test } from 'vitest'
import { NetworkError } from '../../src/env/network.ts'
import { SimScheduler } from '../../src/env/sim/scheduler.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import type {
  AlterPartitionRequest,
  AlterPartitionResponse,
} from '../../src/protocol/messages/56-alter-partition.ts'
import { IsrChanges, type IsrOutcome, type IsrProposal } from '../../src/replication/isr-changes.ts'

const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ'
const proposalOf = (change: Partial<IsrProposal> = {}): IsrProposal => ({
  topic: 't',
  topicId: TOPIC_ID,
  partition: 0,
  leaderEpoch: 5,
  partitionEpoch: 7,
  isr: [1, 2],
  ...change,
})

/** A controller whose answers the test gives. */
function controller() {
  const time = new SimScheduler()
  const lines: string[] = []
  const asked: {
    request: AlterPartitionRequest
    answer: (response: AlterPartitionResponse) => void
    fail: (error: Error) => void
  }[] = []
  const changes = new IsrChanges({
    brokerId: 1,
    timers: time.timers,
    logger: { log: (_, message) => void lines.push(message) },
    brokerEpoch: () => 99,
    alterPartition: (request) => new Promise((answer, fail) => void asked.push({ request, answer, fail })),
  })
  const outcomes: [number, IsrOutcome][] = []
  const submit = (proposal: IsrProposal): void =>
    changes.submit(proposal, (outcome) => void outcomes.push([proposal.partition, outcome]))
  return { time, lines, asked, changes, outcomes, submit }
}

type World = ReturnType<typeof controller>

const partitionsIn = ({ topics }: AlterPartitionRequest): number[] =>
  topics.flatMap(({ partitions }) => partitions.map(({ partitionIndex }) => partitionIndex))

/** Takes every proposal, with the next partition epoch; `byId`: as versions 2 and later, which name no topics. */
function accepted(request: AlterPartitionRequest, byId: boolean): AlterPartitionResponse {
  const topics = request.topics.map(({ topicName, topicId, partitions }) => ({
    ...(byId ? { topicId } : { topicName }),
    partitions: partitions.map(({ partitionIndex, leaderEpoch, partitionEpoch, newIsr }) => ({
      partitionIndex,
      errorCode: 0,
      leaderId: 1,
      leaderEpoch,
      isr: newIsr!,
      partitionEpoch: partitionEpoch + 1,
    })),
  }))
  return { errorCode: 0, topics } as AlterPartitionResponse
}

async function answer(world: World, response: AlterPartitionResponse | Error): Promise<void> {
  const next = world.asked.shift()!
  if (response instanceof Error) next.fail(response)
  else next.answer(response)
  await world.time.settle()
}

describe('changes of in-sync sets', () => {
  test('of one turn go in one request, in the words of every version', async () => {
    const world = controller()
    world.submit(proposalOf())
    world.submit(proposalOf({ partition: 1, isr: [1] }))
    world.submit(proposalOf({ topic: 'u', topicId: 'AAAAAAAAAAAAAAAAAAAAAg' }))
    await world.time.settle()
    expect(world.asked.map(({ request }) => request)).toEqual([
      {
        brokerId: 1,
        brokerEpoch: 99,
        topics: [
          {
            topicName: 't',
            topicId: TOPIC_ID,
            partitions: [
              {
                partitionIndex: 0,
                leaderEpoch: 5,
                partitionEpoch: 7,
                newIsr: [1, 2],
                newIsrWithEpochs: [
                  { brokerId: 1, brokerEpoch: -1 },
                  { brokerId: 2, brokerEpoch: -1 },
                ],
              },
              {
                partitionIndex: 1,
                leaderEpoch: 5,
                partitionEpoch: 7,
                newIsr: [1],
                newIsrWithEpochs: [{ brokerId: 1, brokerEpoch: -1 }],
              },
            ],
          },
          { topicName: 'u', topicId: 'AAAAAAAAAAAAAAAAAAAAAg', partitions: [expect.anything()] },
        ],
      },
    ])
  })

  test.each([true, false])('are told what became of them (by topic id: %s)', async (byId) => {
    const world = controller()
    world.submit(proposalOf())
    await world.time.settle()
    await answer(world, accepted(world.asked[0].request, byId))
    expect(world.outcomes).toEqual([[0, { error: 0, leaderEpoch: 5, partitionEpoch: 8, isr: [1, 2] }]])
  })

  test('one request is under way at a time; what comes meanwhile goes with the next', async () => {
    const world = controller()
    world.submit(proposalOf())
    await world.time.settle()
    world.submit(proposalOf({ partition: 1 }))
    world.submit(proposalOf({ partition: 2 }))
    await world.time.settle()
    expect(world.asked).toHaveLength(1)
    await answer(world, accepted(world.asked[0].request, true))
    expect(world.asked.map(({ request }) => partitionsIn(request))).toEqual([[1, 2]])
  })

  test.each(Object.entries(ErrorCode).filter(([, code]) => code !== ErrorCode.NONE))(
    '%s of a partition is the answer of that partition alone',
    async (_, errorCode) => {
      const world = controller()
      world.submit(proposalOf())
      world.submit(proposalOf({ partition: 1 }))
      await world.time.settle()
      const response = accepted(world.asked[0].request, true)
      Object.assign(response.topics[0].partitions[1], { errorCode, leaderId: -1, isr: [] })
      await answer(world, response)
      expect(world.outcomes).toEqual([
        [0, expect.objectContaining({ error: 0 })],
        [1, { error: errorCode }],
      ])
      expect(world.asked).toEqual([])
    },
  )

  test.each([
    'NOT_CONTROLLER',
    'STALE_BROKER_EPOCH',
    'CLUSTER_AUTHORIZATION_FAILED',
    'UNKNOWN_SERVER_ERROR',
  ] as const)(
    '%s of the whole request: all of it is sent again 50 ms later, with what has come meanwhile',
    async (name) => {
      const world = controller()
      world.submit(proposalOf())
      await world.time.settle()
      await answer(world, { errorCode: ErrorCode[name], topics: [] })
      world.submit(proposalOf({ partition: 1 }))
      await world.time.advance(49)
      expect(world.asked).toEqual([])
      await world.time.advance(1)
      expect(world.asked.map(({ request }) => partitionsIn(request).toSorted())).toEqual([[0, 1]])
      expect(world.outcomes).toEqual([])
    },
  )

  test('no way to the controller: it is sent again', async () => {
    const world = controller()
    world.submit(proposalOf())
    await world.time.settle()
    await answer(world, new NetworkError('REFUSED', 'nobody there'))
    await world.time.advance(50)
    expect(world.asked.map(({ request }) => partitionsIn(request))).toEqual([[0]])
  })

  test('a partition that is refused may be proposed again at once: it is sent 50 ms later', async () => {
    const world = controller()
    let proposed = 0
    const propose = (): void => {
      proposed++
      world.changes.submit(proposalOf(), (outcome) => void (outcome.error !== ErrorCode.NONE && propose()))
    }
    propose()
    await world.time.settle()
    const response = accepted(world.asked[0].request, true)
    Object.assign(response.topics[0].partitions[0], { errorCode: ErrorCode.NOT_CONTROLLER })
    await answer(world, response)
    expect(proposed).toBe(2)
    await world.time.advance(49)
    expect(world.asked).toEqual([])
    await world.time.advance(1)
    expect(world.asked.map(({ request }) => partitionsIn(request))).toEqual([[0]])
  })

  test('a partition that the answer forgets is asked for again at once', async () => {
    const world = controller()
    world.submit(proposalOf())
    world.submit(proposalOf({ partition: 1 }))
    await world.time.settle()
    const response = accepted(world.asked[0].request, true)
    ;(response.topics[0].partitions as unknown[]).pop()
    await answer(world, response)
    expect(world.outcomes.map(([partition]) => partition)).toEqual([0])
    expect(world.asked.map(({ request }) => partitionsIn(request))).toEqual([[1]])
  })

  test('a newer proposal takes the place of one that waits, or that failed with its request', async () => {
    const world = controller()
    world.submit(proposalOf({ leaderEpoch: 5 }))
    await world.time.settle()
    world.submit(proposalOf({ leaderEpoch: 6 }))
    world.submit(proposalOf({ leaderEpoch: 7 }))
    await answer(world, { errorCode: ErrorCode.NOT_CONTROLLER, topics: [] })
    await world.time.advance(50)
    expect(world.asked.map(({ request }) => request.topics[0].partitions)).toMatchObject([
      [{ leaderEpoch: 7 }],
    ])
  })

  test('after the end nothing is sent any more', async () => {
    const world = controller()
    world.submit(proposalOf())
    await world.time.settle()
    world.changes.stop()
    await answer(world, { errorCode: ErrorCode.NOT_CONTROLLER, topics: [] })
    world.submit(proposalOf())
    await world.time.advance(1000)
    expect(world.asked).toEqual([])
  })
})
