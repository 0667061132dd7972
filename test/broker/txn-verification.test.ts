import { describe, expect, test } from 'vitest'
import {
  TxnVerification,
  type FirstBatch,
  type TransactionClient,
} from '../../src/broker/txn-verification.ts'
import type { CoordinatorAnswer, TransactionAsked } from '../../src/broker/txn-coordinator-channel.ts'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import type { ReplicaLog } from '../../src/log/types.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import type { Partition } from '../../src/replication/partition.ts'
import { FakeTime, settled } from '../coordinator/world.ts'
import { append, openLogs } from '../log/log-fixture.ts'

const TRANSACTION = { transactionalId: 'copier', producerId: 7, producerEpoch: 1 }

interface Options {
  readonly enabled?: boolean
  readonly answer?: (asked: TransactionAsked) => CoordinatorAnswer
}

/** All partitions are in the transaction unless told otherwise. */
function verification({ enabled = true, answer = including }: Options = {}) {
  const asked: TransactionAsked[] = []
  const time = new FakeTime()
  const verifier = new TxnVerification({
    clock: time,
    timers: time,
    retryBackoffMs: 20,
    retryMaxMs: 100,
    isEnabled: () => enabled,
    channel: {
      ask: (question) => {
        asked.push(question)
        return answer(question)
      },
    },
  })
  const verify = (batches: readonly FirstBatch[], client: TransactionClient = 'knows-abortable') => {
    const verified = verifier.verify(TRANSACTION, batches, client)
    if (verified instanceof Promise) throw new Error('the answer was there')
    return verified
  }
  return { verify, asked, verifier, time }
}

const all = (error: number) => (asked: TransactionAsked) => ({
  topics: asked.topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: error })),
  })),
})
const including = all(ErrorCode.NONE)

function partitionOf(log: ReplicaLog, refused: number = ErrorCode.NONE, leadsSurely = true): Partition {
  const stand = { topic: log.topic, index: log.partition, log, leadsSurely, checkLeaderEpoch: () => refused }
  return stand as unknown as Partition
}

function logs() {
  const { log } = openLogs({ disk: new SimDisk({ random: new SeededRandom(1) }) })
  return (topic: string, index: number): ReplicaLog => log(topic, index)
}

const first = (log: ReplicaLog, sequence = 0): FirstBatch => ({ partition: partitionOf(log), sequence })
const open = (log: ReplicaLog): void => {
  const { producerId, producerEpoch } = TRANSACTION
  append(log, { values: ['a'], producerId, producerEpoch, baseSequence: 0, transactional: true })
}

describe('verification', () => {
  test('asks of those partitions only in which the transaction is not open, once for all', () => {
    const log = logs()
    open(log('a', 0))
    const { verify, asked } = verification()
    const verified = verify([first(log('a', 0)), first(log('b', 1)), first(log('a', 2)), first(log('b', 3))])
    expect(asked).toEqual([
      {
        ...TRANSACTION,
        verifyOnly: true,
        topics: [
          { name: 'b', partitions: [1, 3] },
          { name: 'a', partitions: [2] },
        ],
      },
    ])
    expect(verified.map(({ error }) => error)).toEqual([0, 0, 0, 0])
    expect(verified.map(({ guard }) => guard === null)).toEqual([true, false, false, false])
  })

  test('asks nobody where all are open, or where it is turned off', () => {
    const log = logs()
    open(log('a', 0))
    const on = verification()
    expect(on.verify([first(log('a', 0))])).toEqual([{ error: 0, guard: null }])
    const off = verification({ enabled: false })
    expect(off.verify([first(log('a', 1))])).toEqual([{ error: 0, guard: undefined }])
    expect([on.asked, off.asked]).toEqual([[], []])
  })

  test.each([
    [ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.INVALID_PRODUCER_EPOCH],
    [ErrorCode.TRANSACTION_ABORTABLE, ErrorCode.TRANSACTION_ABORTABLE, ErrorCode.INVALID_TXN_STATE],
    [ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.CONCURRENT_TRANSACTIONS],
  ])('what the coordinator calls %i is %i to those who know it, %i to others', (error, known, unknown) => {
    const log = logs()
    const { verify } = verification({ answer: all(error) })
    expect(verify([first(log('a', 0))], 'adds-by-writing')[0].error).toBe(known)
    expect(verify([first(log('a', 0))], 'knows-abortable')[0].error).toBe(known)
    expect(verify([first(log('a', 0))], 'old')[0].error).toBe(unknown)
  })

  test('an error of the whole answer is that of every partition; clients hear nothing of authority among brokers', () => {
    const log = logs()
    const batches = [first(log('a', 0)), first(log('a', 1))]
    const loading = verification({ answer: () => ({ error: ErrorCode.COORDINATOR_LOAD_IN_PROGRESS }) })
    expect(loading.verify(batches).map(({ error }) => error)).toEqual([14, 14])
    const denied = verification({ answer: () => ({ error: ErrorCode.CLUSTER_AUTHORIZATION_FAILED }) })
    expect(denied.verify(batches).map(({ error }) => error)).toEqual([48, 48])
  })

  test('a partition that the answer leaves out is asked for again', () => {
    const log = logs()
    const { verify } = verification({ answer: () => ({ topics: [] }) })
    expect(verify([first(log('a', 0))])[0].error).toBe(ErrorCode.NETWORK_EXCEPTION)
  })

  test('a coordinator that is too old to be asked lets all in', () => {
    const log = logs()
    const { verify } = verification({ answer: () => 'unsupported' })
    const [{ error, guard }] = verify([first(log('a', 0))])
    const again = { producerId: 7, producerEpoch: 1, sequence: 0, isBumping: false }
    expect([error, guard]).toEqual([0, log('a', 0).startVerification(again)])
  })

  test('where this broker does not lead, nobody is asked', () => {
    const log = logs()
    const { verify, asked } = verification()
    const partition = partitionOf(log('a', 0), ErrorCode.NOT_LEADER_OR_FOLLOWER)
    expect(verify([{ partition, sequence: 0 }])).toEqual([
      { error: ErrorCode.NOT_LEADER_OR_FOLLOWER, guard: null },
    ])
    expect(asked).toEqual([])
  })

  test('nor where another broker may lead by now', () => {
    const log = logs()
    const { verify, asked } = verification()
    const partition = partitionOf(log('a', 0), ErrorCode.NONE, false)
    expect(verify([{ partition, sequence: 0 }])).toMatchObject([{ error: ErrorCode.NOT_LEADER_OR_FOLLOWER }])
    expect(asked).toEqual([])
  })
})

describe('a client of transaction.version 2', () => {
  const bumping = 'adds-by-writing'

  test('has its partitions added, also where nothing is verified', () => {
    const log = logs()
    open(log('a', 0))
    const { verify, asked } = verification({ enabled: false })
    expect(verify([first(log('a', 0)), first(log('b', 1))], bumping)).toMatchObject([
      { error: 0, guard: null },
      { error: 0, guard: { producerId: 7 } },
    ])
    expect(asked).toEqual([{ ...TRANSACTION, verifyOnly: false, topics: [{ name: 'b', partitions: [1] }] }])
  })

  test('is let in nowhere by a coordinator that is too old to add', () => {
    const { verify } = verification({ answer: () => 'unsupported' })
    expect(verify([first(logs()('a', 0))], bumping)[0].error).toBe(ErrorCode.TRANSACTION_ABORTABLE)
  })

  test('whose epoch is an old one is told so without asking', () => {
    const log = logs()
    const newer = { producerId: 7, producerEpoch: 2, baseSequence: 0, transactional: true }
    append(log('a', 0), { values: ['a'], ...newer })
    const { verify, asked } = verification()
    expect(verify([first(log('a', 0))], bumping)).toEqual([
      { error: ErrorCode.INVALID_PRODUCER_EPOCH, guard: null },
    ])
    expect(asked).toEqual([])
  })

  /** Busy so many times. */
  const busy = (times: number) => {
    let left = times
    return (asked: TransactionAsked) =>
      all(left-- > 0 ? ErrorCode.CONCURRENT_TRANSACTIONS : ErrorCode.NONE)(asked)
  }

  test('waits while its last transaction ends', async () => {
    const log = logs()
    const { verifier, asked, time } = verification({ answer: busy(3) })
    const verified = verifier.verifyPatiently(TRANSACTION, [first(log('a', 0))], bumping)
    for (let tries = 1; tries <= 3; tries++) {
      expect(asked.length).toBe(tries)
      time.advance(20)
      await settled()
    }
    expect(await verified).toMatchObject([{ error: 0, guard: { producerId: 7 } }])
    expect(asked.length).toBe(4)
  })

  test('does not wait for ever, and nobody else does', async () => {
    const log = logs()
    const { verifier, asked, time } = verification({ answer: busy(1000) })
    const verified = verifier.verifyPatiently(TRANSACTION, [first(log('a', 0))], bumping)
    for (let ms = 0; ms < 200; ms += 20) {
      time.advance(20)
      await settled()
    }
    expect(await verified).toMatchObject([{ error: ErrorCode.CONCURRENT_TRANSACTIONS }])
    expect(asked.length).toBe(6)
    expect(verifier.verifyPatiently(TRANSACTION, [first(log('a', 1))], 'knows-abortable')).toMatchObject([
      { error: ErrorCode.CONCURRENT_TRANSACTIONS },
    ])
  })
})
