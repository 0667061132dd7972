import { expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { describeLogDirsApi } from '../../../src/protocol/messages/35-describe-log-dirs.ts'
import { useBroker } from '../use-broker.ts'
import { batchOf, createTopic, produce } from '../requests.ts'

const broker = useBroker(
  {
    'log.dirs': '/data,/more-data',
  },
  1e9,
)

const describeDirs = async (topics: { topic: string; partitions: number[] }[] | null, version = 4) =>
  broker.client.request(describeLogDirsApi, version, { topics })

test('directories tell their partitions with their sizes, and the file system that they lie on', async () => {
  await createTopic(broker.client, 'spread', {}, 4)
  const batch = batchOf(['a'])
  for (let partition = 0; partition < 4; partition++)
    await produce(broker.client, 'spread', batch, { partition })
  const { errorCode, results } = await describeDirs(null)
  expect(errorCode).toBe(ErrorCode.NONE)
  expect(results.map(({ logDir }) => logDir)).toEqual(['/data', '/more-data'])
  for (const { errorCode: code, topics, totalBytes, usableBytes } of results) {
    expect(code).toBe(ErrorCode.NONE)
    expect(topics.map(({ name }) => name)).toEqual(['spread'])
    for (const { partitionSize, offsetLag } of topics[0].partitions) {
      expect([partitionSize, offsetLag]).toEqual([batch.length, 0])
    }
    expect(totalBytes).toBe(1e9)
    expect(usableBytes).toBeLessThan(1e9)
  }
  const partitions = results.flatMap(({ topics }) => topics[0].partitions)
  expect(partitions.map(({ partitionIndex }) => partitionIndex).sort()).toEqual([0, 1, 2, 3])
})

test('only what was asked for', async () => {
  await createTopic(broker.client, 'one', {}, 2)
  const { results } = await describeDirs([
    { topic: 'one', partitions: [1, 7] },
    { topic: 'nowhere', partitions: [0] },
  ])
  const found = results.flatMap(({ topics }) => topics)
  expect(
    found.map(({ name, partitions }) => [name, partitions.map(({ partitionIndex }) => partitionIndex)]),
  ).toEqual([['one', [1]]])
  const none = await describeDirs([], 2)
  expect(none.results.flatMap(({ topics }) => topics)).toEqual([])
})
