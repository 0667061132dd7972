import { expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { deleteRecordsApi } from '../../../src/protocol/messages/21-delete-records.ts'
import { useBroker } from '../use-broker.ts'
import { allValues, alterTopic, batchOf, createTopic, offsetAt, produce } from '../requests.ts'

const broker = useBroker()

async function deleteBefore(topic: string, offset: number, partition = 0) {
  const topics = [{ name: topic, partitions: [{ partitionIndex: partition, offset }] }]
  const reply = await broker.client.request(deleteRecordsApi, 2, { topics, timeoutMs: 5000 })
  return reply.topics[0].partitions[0]
}

test('the log start rises to the offset, and never falls', async () => {
  await createTopic(broker.client, 'shortened')
  for (const value of ['a', 'b', 'c']) await produce(broker.client, 'shortened', batchOf([value]))
  expect(await deleteBefore('shortened', 1)).toMatchObject({ lowWatermark: 1, errorCode: 0 })
  expect(await deleteBefore('shortened', 0)).toMatchObject({ lowWatermark: 1, errorCode: 0 })
  expect(await allValues(broker.client, 'shortened')).toEqual(['b', 'c'])
  expect(await offsetAt(broker.client, 'shortened', -2)).toBe(1)
})

test('-1 deletes all there is, and offsets go on', async () => {
  await createTopic(broker.client, 'emptied')
  await produce(broker.client, 'emptied', batchOf(['a', 'b']))
  expect(await deleteBefore('emptied', -1)).toMatchObject({ lowWatermark: 2, errorCode: 0 })
  expect(await allValues(broker.client, 'emptied')).toEqual([])
  expect((await produce(broker.client, 'emptied', batchOf(['c']))).baseOffset).toBe(2)
})

test('refusals', async () => {
  await createTopic(broker.client, 'kept')
  await produce(broker.client, 'kept', batchOf(['a']))
  const code = async (...asked: Parameters<typeof deleteBefore>) => (await deleteBefore(...asked)).errorCode
  expect(await code('kept', 2)).toBe(ErrorCode.OFFSET_OUT_OF_RANGE)
  expect(await code('kept', -2)).toBe(ErrorCode.OFFSET_OUT_OF_RANGE)
  expect(await code('kept', 0, 1)).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  expect(await code('nowhere', 0)).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
  await alterTopic(broker.client, 'kept', 'cleanup.policy', 'compact')
  expect(await code('kept', 1)).toBe(ErrorCode.POLICY_VIOLATION)
  await alterTopic(broker.client, 'kept', 'cleanup.policy', 'compact,delete')
  expect(await code('kept', 1)).toBe(ErrorCode.NONE)
  await createTopic(broker.client, '__consumer_offsets')
  expect(await code('__consumer_offsets', 0)).toBe(ErrorCode.INVALID_TOPIC_EXCEPTION)
})
