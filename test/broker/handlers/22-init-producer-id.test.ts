import { expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { findCoordinatorApi } from '../../../src/protocol/messages/10-find-coordinator.ts'
import { initProducerIdApi } from '../../../src/protocol/messages/22-init-producer-id.ts'
import { useBroker } from '../use-broker.ts'

const broker = useBroker()

const idempotent = { transactionalId: null, transactionTimeoutMs: 60_000 }

test('every producer gets an id that nobody had, across the blocks that the cluster hands out', async () => {
  const asks = Array.from({ length: 1010 }, () => broker.client.request(initProducerIdApi, 5, idempotent))
  const replies = await Promise.all(asks)
  expect(new Set(replies.map(({ producerId }) => producerId)).size).toBe(1010)
  expect(new Set(replies.map(({ errorCode, producerEpoch }) => `${errorCode} ${producerEpoch}`))).toEqual(
    new Set(['0 0']),
  )
})

test('half of an identity is refused', async () => {
  const code = async (producerId: number, producerEpoch: number) =>
    (await broker.client.request(initProducerIdApi, 3, { ...idempotent, producerId, producerEpoch }))
      .errorCode
  expect(await code(5, -1)).toBe(ErrorCode.INVALID_REQUEST)
  expect(await code(-1, 5)).toBe(ErrorCode.INVALID_REQUEST)
  expect(await code(5, 5)).toBe(ErrorCode.NONE)
})

test("a transactional id is the coordinator's: an epoch more each time, and none that fences for who comes too late", async () => {
  const { client } = broker
  await client.request(findCoordinatorApi, 3, { key: 't', keyType: 1 })
  const init = (version: number, more = {}) =>
    client.request(initProducerIdApi, version, { ...idempotent, transactionalId: 't', ...more })
  const first = await init(5)
  expect(first).toMatchObject({ errorCode: ErrorCode.NONE, producerEpoch: 0 })
  const { producerId } = first
  expect(await init(0)).toMatchObject({ errorCode: ErrorCode.NONE, producerId, producerEpoch: 1 })
  const late = { producerId, producerEpoch: 0 }
  expect((await init(4, late)).errorCode).toBe(ErrorCode.PRODUCER_FENCED)
  expect((await init(3, late)).errorCode).toBe(ErrorCode.INVALID_PRODUCER_EPOCH)
})
