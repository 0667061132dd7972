import { expect, test } from 'vitest'
import { ErrorCode } from '../../../src/protocol/error-codes.ts'
import { describeClusterApi } from '../../../src/protocol/messages/60-describe-cluster.ts'
import { useBroker } from '../use-broker.ts'

const broker = useBroker()

test('the cluster is described by its id, its controller and its brokers', async () => {
  const request = { includeClusterAuthorizedOperations: false }
  expect(await broker.client.request(describeClusterApi, 1, request)).toMatchObject({
    errorCode: ErrorCode.NONE,
    errorMessage: null,
    endpointType: 1,
    clusterId: broker.process.broker.clusterId,
    controllerId: 1,
    brokers: [{ brokerId: 1, host: '127.0.0.1', port: broker.process.port, rack: null }],
    clusterAuthorizedOperations: -2147483648,
  })
})

test('this is no controller endpoint, and other kinds there are not', async () => {
  const code = async (endpointType: number) => {
    const request = { includeClusterAuthorizedOperations: true, endpointType }
    return (await broker.client.request(describeClusterApi, 1, request)).errorCode
  }
  expect(await code(2)).toBe(ErrorCode.MISMATCHED_ENDPOINT_TYPE)
  expect(await code(7)).toBe(ErrorCode.UNSUPPORTED_ENDPOINT_TYPE)
})
