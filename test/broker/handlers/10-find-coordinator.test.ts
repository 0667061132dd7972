import { afterAll, beforeAll, expect, test } from 'vitest'
import { SimDisk } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { findCoordinatorApi } from '../../../src/protocol/messages/10-find-coordinator.ts'
import { startProcess, type BrokerProcess } from '../broker-process.ts'
import { describeTopic } from '../requests.ts'
import type { WireClient } from '../wire-client.ts'

let process: BrokerProcess
let client: WireClient

beforeAll(async () => {
  process = await startProcess(new SimDisk({ random: new SeededRandom(1) }), {
    'offsets.topic.num.partitions': '5',
    'transaction.state.log.num.partitions': '7',
  })
  client = await process.connect()
})
afterAll(async () => {
  await process.stop()
  expect(process.bugs).toEqual([])
})

test('the first question makes __consumer_offsets, and names this broker', async () => {
  expect((await describeTopic(client, '__consumer_offsets')).errorCode).not.toBe(ErrorCode.NONE)
  const reply = await client.request(findCoordinatorApi, 3, { key: 'a-group', keyType: 0 })
  const address = { nodeId: 1, host: '127.0.0.1', port: process.port }
  expect(reply).toMatchObject({ errorCode: ErrorCode.NONE, errorMessage: 'NONE', ...address })
  const topic = await describeTopic(client, '__consumer_offsets')
  expect(topic).toMatchObject({ errorCode: ErrorCode.NONE, isInternal: true })
  expect(topic.partitions).toHaveLength(5)
})

test('for a transactional id it makes __transaction_state', async () => {
  expect((await describeTopic(client, '__transaction_state')).errorCode).not.toBe(ErrorCode.NONE)
  const reply = await client.request(findCoordinatorApi, 4, { keyType: 1, coordinatorKeys: ['a', 'b'] })
  expect(reply.coordinators.map(({ key, errorCode, nodeId }) => [key, errorCode, nodeId])).toEqual([
    ['a', ErrorCode.NONE, 1],
    ['b', ErrorCode.NONE, 1],
  ])
  const topic = await describeTopic(client, '__transaction_state')
  expect(topic).toMatchObject({ errorCode: ErrorCode.NONE, isInternal: true })
  expect(topic.partitions).toHaveLength(7)
})

test('version 4 answers several keys, the empty one, too', async () => {
  const reply = await client.request(findCoordinatorApi, 4, { keyType: 0, coordinatorKeys: ['a', '', 'b'] })
  expect(reply.coordinators.map(({ key, errorCode, nodeId }) => [key, errorCode, nodeId])).toEqual([
    ['a', ErrorCode.NONE, 1],
    ['', ErrorCode.NONE, 1],
    ['b', ErrorCode.NONE, 1],
  ])
})

test.each([2, 99])('coordinators of type %i are not served', async (keyType) => {
  const reply = await client.request(findCoordinatorApi, 2, { key: 'a', keyType })
  expect(reply).toMatchObject({ errorCode: ErrorCode.INVALID_REQUEST, nodeId: -1, host: '', port: -1 })
  const { coordinators } = await client.request(findCoordinatorApi, 6, { keyType, coordinatorKeys: ['a'] })
  expect(coordinators[0].errorCode).toBe(ErrorCode.INVALID_REQUEST)
})
