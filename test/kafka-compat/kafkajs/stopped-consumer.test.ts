import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import '../harness/kafkajs-cure.ts'

interface Runner {
  prototype: { fetch(this: object, nodeId: string): Promise<unknown[]> }
}

test('a consumer that is stopped, and goes on asking for records, lets others run', async () => {
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/consumer/runner.js') as Runner
  const stopped = { running: false, logger: { debug: () => undefined }, consumerGroup: {} }
  const events: string[] = []
  setImmediate(() => events.push('another'))
  expect(await prototype.fetch.call(stopped, '1')).toEqual([])
  events.push('fetched')
  expect(events).toEqual(['another', 'fetched'])
})
