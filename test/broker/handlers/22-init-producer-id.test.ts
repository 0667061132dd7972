import { afterAll, beforeAll, expect, test } from 'vitest'
import { SimDisk } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { initProducerIdApi } from '../../../src/protocol/messages/22-init-producer-id.ts'
import { startProcess, type BrokerProcess } from '../broker-process.ts'

import type { WireClient } from '../wire-client.ts'

let process: BrokerProcess
let client: WireClient

beforeAll(async () => {
  process = await startProcess(new SimDisk({ random: new SeededRandom(1) }))
  client = await process.connect()
})
afterAll(async () => {
  await process.stop()
  expect(process.bugs).toEqual([])
})

const idempotent = { transactionalId: null, transactionTimeoutMs: 60_000 }

test('every producer gets an id that nobody had, across the blocks that the cluster hands out', async () => {
  const asks = Array.from({ length: 1010 }, () => client.request(initProducerIdApi, 5, idempotent))
  const replies = await Promise.all(asks)
  expect(new Set(replies.map(({ producerId }) => producerId)).size).toBe(1010)
  expect(new Set(replies.map(({ errorCode, producerEpoch }) => `${errorCode} ${producerEpoch}`))).toEqual(
    new Set(['0 0']),
  )
})

test('half of an identity is refused', async () => {
  const code = async (producerId: number, producerEpoch: number) =>
    (await client.request(initProducerIdApi, 3, { ...idempotent, producerId, producerEpoch })).errorCode
  expect(await code(5, -1)).toBe(ErrorCode.INVALID_REQUEST)
  expect(await code(-1, 5)).toBe(ErrorCode.INVALID_REQUEST)
  expect(await code(5, 5)).toBe(ErrorCode.NONE)
})

test('transactions are not served', async () => {
  const reply = await client.request(initProducerIdApi, 5, { ...idempotent, transactionalId: 't' })
  expect(reply).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST, producerId: -1, producerEpoch: -1 })
})
