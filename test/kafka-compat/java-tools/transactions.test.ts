import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { KafkaTools } from '../harness/java.ts'

let broker: TestBroker
let tools: KafkaTools

beforeAll(async () => {
  const config = { 'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200' }
  ;[broker, tools] = await Promise.all([startBroker({ config }), KafkaTools.start()])
})
afterAll(async () => {
  await tools?.stop()
  await broker?.stop()
})

async function createTopic(topic: string, partitions = 1): Promise<void> {
  const shape = ['--create', '--topic', topic, '--partitions', String(partitions)]
  await tools.must('kafka-topics', ['--bootstrap-server', broker.bootstrap, ...shape])
}

async function client(action: string, ...rest: string[]): Promise<string[]> {
  return (await tools.must('transactions', [action, broker.bootstrap, ...rest])).trim().split('\n')
}

/** Rows of the tool's table, by the names of its columns. */
async function table(...args: string[]): Promise<Record<string, string>[]> {
  const said = await tools.must('kafka-transactions', ['--bootstrap-server', broker.bootstrap, ...args])
  const [head, ...rows] = said.trim().split('\n')
  const names = head.trim().split(/\s+/)
  return rows.map((row) =>
    Object.fromEntries(
      row
        .trim()
        .split(/\s+/)
        .map((cell, at) => [names[at], cell]),
    ),
  )
}

describe('a Java producer with transactions', () => {
  test('commits some and aborts some: who reads what is committed sees the former', async () => {
    await createTopic('java-some', 2)
    expect(await client('write', 'java-some', 'java-some', '30')).toEqual(['written'])
    const values = await client('read', 'java-some', '100')
    const committed = Array.from({ length: 30 }, (_, i) => i)
      .filter((i) => i % 3 !== 2)
      .flatMap((i) => [0, 1, 2, 3, 4].map((j) => `committed ${i}.${j}`))
    expect(values.toSorted()).toEqual(committed.toSorted())
  })

  test('is fenced by the next one of its id', async () => {
    await createTopic('java-fenced')
    expect(await client('fence', 'java-fenced', 'java-fenced')).toEqual(['fenced'])
    expect(await client('read', 'java-fenced', '1')).toEqual(['of the second'])
  })
})

describe('kafka-transactions', () => {
  test('lists and describes what producers have begun and ended', async () => {
    await createTopic('java-open')
    await client('write', 'java-open', 'java-done', '2')
    await client('open', 'java-open', 'java-open')
    const listed = await table('list')
    const stateOf = (id: string) => listed.find(({ TransactionalId }) => TransactionalId === id)
    expect(stateOf('java-done')).toMatchObject({ TransactionState: 'CompleteCommit' })
    expect(stateOf('java-open')).toMatchObject({ TransactionState: 'Ongoing' })
    const [described] = await table('describe', '--transactional-id', 'java-open')
    expect(described).toMatchObject({
      TransactionalId: 'java-open',
      TransactionState: 'Ongoing',
      TransactionTimeoutMs: '60000',
    })
    expect(Object.values(described)).toContain('java-open-0')
    const producers = await table('describe-producers', '--topic', 'java-open', '--partition', '0')
    expect(producers.map(({ ProducerId }) => ProducerId)).toContain(described.ProducerId)
  })

  test('aborts a transaction that hangs', async () => {
    await createTopic('java-aborted')
    await client('open', 'java-aborted', 'java-aborted')
    const [producer] = await table('describe-producers', '--topic', 'java-aborted', '--partition', '0')
    const which = ['--topic', 'java-aborted', '--partition', '0']
    const start = producer.CurrentTransactionStartOffset
    const at = ['--bootstrap-server', broker.bootstrap]
    await tools.must('kafka-transactions', [...at, 'abort', ...which, '--start-offset', start])
    await eventually('the marker', async () => {
      const [after] = await table('describe-producers', ...which)
      return after.CurrentTransactionStartOffset === 'None'
    })
  })
})
