import { expect, test } from 'vitest'
import * as znodes from '../../src/controller/znodes.ts'

const text = (data: Buffer): unknown => JSON.parse(data.toString())

test('a broker with several listeners and a rack is written as Kafka writes it, and read back', () => {
  const broker = {
    endpoints: [
      { listenerName: 'INSIDE', host: 'h1', port: 9093, securityProtocol: 'SASL_SSL' },
      { listenerName: 'OUTSIDE', host: '::1', port: 9092, securityProtocol: 'PLAINTEXT' },
    ],
    rack: 'r1',
    timestampMs: 17,
  }
  const data = znodes.encodeBroker(broker)
  expect(text(data)).toEqual({
    version: 5,
    host: '::1',
    port: 9092,
    jmx_port: -1,
    timestamp: '17',
    endpoints: ['INSIDE://h1:9093', 'OUTSIDE://[::1]:9092'],
    listener_security_protocol_map: { INSIDE: 'SASL_SSL', OUTSIDE: 'PLAINTEXT' },
    rack: 'r1',
    features: {},
  })
  expect(znodes.decodeBroker(data)).toEqual(broker)
})

test('a registration without a protocol map has the protocol in the listener name', () => {
  const data = Buffer.from('{"version":2,"endpoints":["ssl://h:1"],"timestamp":"0","host":null,"port":-1}')
  expect(znodes.decodeBroker(data)!.endpoints).toEqual([
    { listenerName: 'SSL', host: 'h', port: 1, securityProtocol: 'SSL' },
  ])
})

test('a topic keeps its id and a reassignment in progress', () => {
  const topic = {
    topicId: '7Yxk2sWgQ7mJ1v0yHc1t0A',
    partitions: [[1, 2, 3], [2]],
    addingReplicas: { '0': [3] },
    removingReplicas: { '0': [1] },
  }
  const data = znodes.encodeTopic(topic)
  expect(text(data)).toEqual({
    version: 3,
    topic_id: '7Yxk2sWgQ7mJ1v0yHc1t0A',
    partitions: { '0': [1, 2, 3], '1': [2] },
    adding_replicas: { '0': [3] },
    removing_replicas: { '0': [1] },
  })
  expect(znodes.decodeTopic(data)).toEqual(topic)
})

test('a partition state tells of recovery only while it lasts', () => {
  const state = { leader: 1, leaderEpoch: 2, isr: [1, 2], controllerEpoch: 4, recovering: false }
  expect(text(znodes.encodePartitionState(state))).toEqual({
    version: 1,
    leader: 1,
    leader_epoch: 2,
    controller_epoch: 4,
    isr: [1, 2],
  })
  const recovering = { ...state, recovering: true }
  expect(znodes.decodePartitionState(znodes.encodePartitionState(recovering))).toEqual(recovering)
})

test.each([
  '',
  'no json',
  '7',
  '[]',
  '{}',
  '{"partitions":{}}',
  '{"partitions":{"1":[1]}}',
  '{"partitions":{"0":"1"}}',
])('%j is no topic, broker or partition state', (content) => {
  const data = Buffer.from(content)
  expect(znodes.decodeTopic(data)).toBeNull()
  expect(znodes.decodeBroker(data)).toBeNull()
  expect(znodes.decodePartitionState(data)).toBeNull()
  expect(znodes.decodeController(data)).toBeNull()
  expect(znodes.decodeClusterId(data)).toBeNull()
})
