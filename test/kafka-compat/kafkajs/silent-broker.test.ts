import { createRequire } from 'node:module'
import kafkajs from 'kafkajs'
import { expect, test } from 'vitest'
import '../harness/kafkajs-cure.ts'

interface Broker {
  connect(): Promise<void>
  isConnected(): boolean
  metadata(topics: string[]): Promise<unknown>
}
type BrokerClass = new (parts: { connectionPool: object; logger: object }) => Broker

const METADATA = 3

test('a broker that has not answered its first request is not taken for connected', async () => {
  const Broker = createRequire(import.meta.url)('kafkajs/src/broker/index.js') as BrokerClass
  const answers: (() => unknown)[] = [
    () => Promise.reject(new kafkajs.KafkaJSError('Request ApiVersions timed out')),
    () => ({ apiVersions: [{ apiKey: METADATA, minVersion: 0, maxVersion: 6 }] }),
    () => 'the metadata',
  ]
  const connection = {
    getSupportAuthenticationProtocol: () => false,
    authenticate: () => Promise.resolve(),
  }
  const connectionPool = {
    connectionTimeout: 1000,
    isConnected: () => true,
    getConnection: () => Promise.resolve(connection),
    setVersions: () => undefined,
    send: () => answers.shift()!(),
  }
  const logger = { namespace: () => logger, debug: () => undefined }
  const broker = new Broker({ connectionPool, logger })
  await expect(broker.connect()).rejects.toThrow('timed out')
  expect(broker.isConnected()).toBe(false)
  await broker.connect()
  expect(broker.isConnected()).toBe(true)
  expect(await broker.metadata(['orders'])).toBe('the metadata')
})
