import net from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { MetadataCache } from '../../src/broker/metadata-cache.ts'
import { TxnCoordinatorChannel, type TransactionAsked } from '../../src/broker/txn-coordinator-channel.ts'
import type { BrokerInfo, PartitionState } from '../../src/controller/metadata.ts'
import { nodeClock, nodeTimers } from '../../src/env/node/clock.ts'
import { createNodeNetwork } from '../../src/env/node/network.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { decodeRequest, encodeResponse, readRequestHeader } from '../../src/protocol/frame.ts'
import { apiVersionsApi } from '../../src/protocol/messages/18-api-versions.ts'
import { addPartitionsToTxnApi } from '../../src/protocol/messages/24-add-partitions-to-txn.ts'

const OWN_ID = 9
const OTHER_ID = 1

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

interface Asked {
  readonly version: number
  readonly transactions: readonly TransactionAsked[]
  /** `error` of every partition, or (`ofAll`) of the answer as a whole. */
  answer(error: number, ofAll?: number): void
  hangUp(): void
}

/** A coordinator that answers AddPartitionsToTxn when the test says so; `versions` null: it does not know it. */
async function coordinator(versions: readonly [number, number] | null = [0, 5]) {
  const asked: Asked[] = []
  const server = net.createServer((socket) => {
    let received = Buffer.alloc(0)
    socket.on('error', () => undefined)
    cleanups.push(() => socket.destroy())
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        const frame = received.subarray(4, 4 + received.readInt32BE(0))
        received = received.subarray(4 + received.readInt32BE(0))
        handle(socket, Buffer.from(frame))
      }
    })
  })
  const handle = (socket: net.Socket, frame: Buffer): void => {
    const { apiKey, apiVersion, correlationId, bodyOffset } = readRequestHeader(frame)
    const send = (chunks: Buffer[]): void => void socket.write(Buffer.concat(chunks))
    if (apiKey === apiVersionsApi.key) {
      const known =
        versions === null ? [] : [{ apiKey: 24, minVersion: versions[0], maxVersion: versions[1] }]
      return send(encodeResponse(apiVersionsApi, apiVersion, correlationId, { errorCode: 0, apiKeys: known }))
    }
    const { transactions } = decodeRequest(addPartitionsToTxnApi, apiVersion, frame, bodyOffset)
    const answer = (error: number, ofAll = 0): void =>
      send(
        encodeResponse(addPartitionsToTxnApi, apiVersion, correlationId, {
          errorCode: ofAll,
          resultsByTransaction: transactions.map(({ transactionalId, topics }) => ({
            transactionalId,
            topicResults: resultsOf(topics, error),
          })),
        }),
      )
    asked.push({ version: apiVersion, transactions, answer, hangUp: () => void socket.destroy() })
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => server.close())
  return { port: (server.address() as net.AddressInfo).port, asked }
}

const resultsOf = (topics: TransactionAsked['topics'], error: number) =>
  topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: error })),
  }))

function brokerInfo(id: number, port: number): BrokerInfo {
  const endpoint = { listenerName: 'PLAINTEXT', securityProtocol: 'PLAINTEXT', host: '127.0.0.1', port }
  return { id, epoch: 5, rack: null, endpoints: [endpoint] }
}

/** The channel of broker 9, for which transactions have one coordinator: `leader`. */
function channelTo(leader: number, port = 1) {
  const metadata = new MetadataCache('cluster', nodeTimers)
  const state = {
    topic: '__transaction_state',
    topicId: 'AQIDBAUGBwgJCgsMDQ4PEA',
    partition: 0,
    leader,
    leaderEpoch: 0,
    isr: [leader],
    replicas: [leader],
    partitionEpoch: 0,
    controllerEpoch: 1,
    offlineReplicas: [],
    addingReplicas: [],
    removingReplicas: [],
    isNew: false,
    recovering: false,
  } satisfies PartitionState
  const brokers = [brokerInfo(OWN_ID, 1), brokerInfo(OTHER_ID, port)]
  metadata.updateMetadata(OTHER_ID, { brokers, partitions: [state] })
  const askedHere: TransactionAsked[] = []
  const channel = new TxnCoordinatorChannel({
    env: { network: createNodeNetwork(), clock: nodeClock, timers: nodeTimers },
    brokerId: OWN_ID,
    metadata,
    local: {
      partitionFor: () => 0,
      ask: (transaction) => {
        askedHere.push(transaction)
        return resultsOf(transaction.topics, ErrorCode.NONE)
      },
    },
    listenerName: 'PLAINTEXT',
    requestTimeoutMs: 30_000,
    connectTimeoutMs: 5000,
  })
  cleanups.push(() => channel.stop())
  return { channel, askedHere }
}

const transaction = (transactionalId: string, index = 0): TransactionAsked => ({
  transactionalId,
  producerId: 7,
  producerEpoch: 1,
  verifyOnly: true,
  topics: [{ name: 't', partitions: [index] }],
})
const answerOf = (error: number, index = 0) => ({
  topics: resultsOf([{ name: 't', partitions: [index] }], error),
})

test('the coordinator in this process answers at once', () => {
  const { channel, askedHere } = channelTo(OWN_ID)
  expect(channel.ask(transaction('a'))).toEqual(answerOf(0))
  expect(askedHere).toEqual([transaction('a')])
})

test('where none is known, or none lives, it is not available', () => {
  expect(channelTo(-1).channel.ask(transaction('a'))).toEqual({ error: ErrorCode.COORDINATOR_NOT_AVAILABLE })
  expect(channelTo(4).channel.ask(transaction('a'))).toEqual({ error: ErrorCode.COORDINATOR_NOT_AVAILABLE })
})

test('another one is asked one request at a time, for all that ask meanwhile; each transaction once in each', async () => {
  const { port, asked } = await coordinator()
  const { channel } = channelTo(OTHER_ID, port)
  const first = channel.ask(transaction('a'))
  await expect.poll(() => asked.length).toBe(1)
  const others = [
    channel.ask(transaction('b')),
    channel.ask(transaction('a', 1)),
    channel.ask(transaction('a', 2)),
  ]
  asked[0].answer(0)
  expect(await first).toEqual(answerOf(0))
  await expect.poll(() => asked.length).toBe(2)
  asked[1].answer(ErrorCode.TRANSACTION_ABORTABLE)
  await expect.poll(() => asked.length).toBe(3)
  asked[2].answer(0)
  expect(await Promise.all(others)).toEqual([
    answerOf(ErrorCode.TRANSACTION_ABORTABLE),
    answerOf(ErrorCode.TRANSACTION_ABORTABLE, 1),
    answerOf(0, 2),
  ])
  expect(
    asked.map(({ version, transactions }) => [version, transactions.map((each) => each.transactionalId)]),
  ).toEqual([
    [5, ['a']],
    [5, ['b', 'a']],
    [5, ['a']],
  ])
})

test('one that speaks version 4 is asked in that, one that is older cannot be asked', async () => {
  const four = await coordinator([0, 4])
  const answer = channelTo(OTHER_ID, four.port).channel.ask(transaction('a'))
  await expect.poll(() => four.asked.length).toBe(1)
  expect(four.asked[0].version).toBe(4)
  four.asked[0].answer(0)
  expect(await answer).toEqual(answerOf(0))
  for (const versions of [[0, 3], null] as const) {
    const old = await coordinator(versions)
    expect(await channelTo(OTHER_ID, old.port).channel.ask(transaction('a'))).toBe('unsupported')
  }
})

test('an error of the answer as a whole is one of each who asked', async () => {
  const { port, asked } = await coordinator()
  const answer = channelTo(OTHER_ID, port).channel.ask(transaction('a'))
  await expect.poll(() => asked.length).toBe(1)
  asked[0].answer(0, ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
  expect(await answer).toEqual({ error: ErrorCode.CLUSTER_AUTHORIZATION_FAILED })
})

test('one that goes away is a NETWORK_EXCEPTION, and is asked again by the next', async () => {
  const { port, asked } = await coordinator()
  const { channel } = channelTo(OTHER_ID, port)
  const first = channel.ask(transaction('a'))
  await expect.poll(() => asked.length).toBe(1)
  asked[0].hangUp()
  expect(await first).toEqual({ error: ErrorCode.NETWORK_EXCEPTION })
  const second = channel.ask(transaction('a'))
  await expect.poll(() => asked.length).toBe(2)
  asked[1].answer(0)
  expect(await second).toEqual(answerOf(0))
})

test('whoever waits is answered when this broker stops', async () => {
  const { port, asked } = await coordinator()
  const { channel } = channelTo(OTHER_ID, port)
  const first = channel.ask(transaction('a'))
  await expect.poll(() => asked.length).toBe(1)
  const second = channel.ask(transaction('b'))
  channel.stop()
  expect(await Promise.all([first, second])).toEqual([
    { error: ErrorCode.NETWORK_EXCEPTION },
    { error: ErrorCode.NETWORK_EXCEPTION },
  ])
  expect(channel.ask(transaction('c'))).toEqual({ error: ErrorCode.COORDINATOR_NOT_AVAILABLE })
})
