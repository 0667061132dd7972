import { afterAll, beforeAll, expect, test } from 'vitest'
import { SimDisk } from '../../../src/env/sim/disk.ts'
import { SeededRandom } from '../../../src/env/sim/random.ts'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { describeClusterApi } from '../../../src/protocol/messages/60-describe-cluster.ts'
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

test('the cluster is described by its id, its controller and its brokers', async () => {
  const request = { includeClusterAuthorizedOperations: false }
  expect(await client.request(describeClusterApi, 1, request)).toMatchObject({
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    endpointType: 1,
    clusterId: process.broker.clusterId,
    controllerId: 1,
    brokers: [{ brokerId: 1, host: '127.0.0.1', port: process.port, rack: null }],
    clusterAuthorizedOperations: -2147483648,
  })
})

test('this is no controller endpoint, and other kinds there are not', async () => {
  const code = async (endpointType: number) => {
    const request = { includeClusterAuthorizedOperations: true, endpointType }
    return (await client.request(describeClusterApi, 1, request)).errorCode
  }
  expect(await code(2)).toBe(ErrorCode.MISMATCHED_ENDPOINT_TYPE)
  expect(await code(7)).toBe(ErrorCode.UNSUPPORTED_ENDPOINT_TYPE)
})
