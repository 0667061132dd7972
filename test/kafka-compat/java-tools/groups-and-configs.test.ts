import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { KafkaTools } from '../harness/java.ts'
import { kafkajsClient } from '../harness/kafkajs-client.ts'

let broker: TestBroker
let tools: KafkaTools
/** How every tool is told where the broker is. */
let at: string[]

beforeAll(async () => {
  ;[broker, tools] = await Promise.all([startBroker(), KafkaTools.start()])
  at = ['--bootstrap-server', broker.bootstrap]
})
afterAll(async () => {
  await tools?.stop()
  await broker?.stop()
})

/** The rows of a table that a tool printed, as cells; the heading first. */
function table(text: string): string[][] {
  const rows = text.split('\n').filter((line) => line.trim() !== '')
  return rows.map((row) => row.trim().split(/\s{1,}/))
}

describe('kafka-consumer-groups', () => {
  const topic = 'grouped'
  const group = 'tools-group'

  /** The rows about the group's partitions, in order: partition and what the test asks for. */
  async function offsets(): Promise<string[]> {
    const described = await tools.must('kafka-consumer-groups', [...at, '--describe', '--group', group])
    const rows = table(described).filter(([name]) => name === group)
    return rows
      .map(([, , partition, current, end, lag]) => `${partition}: ${current} of ${end}, ${lag}`)
      .sort()
  }

  /** Resets the group's offsets in one of the tool's forms, and gives the new ones. */
  async function reset(...form: string[]): Promise<string[]> {
    const args = [...at, '--reset-offsets', '--group', group, '--topic', topic, ...form, '--execute']
    const rows = table(await tools.must('kafka-consumer-groups', args))
    return rows.filter(([name]) => name === group).map(([, , partition, offset]) => `${partition}: ${offset}`)
  }

  beforeAll(async () => {
    await tools.must('kafka-topics', [...at, '--create', '--topic', topic, '--partitions', '2'])
    const client = kafkajsClient(broker.bootstrap)
    const producer = client.producer()
    await producer.connect()
    const start = Date.parse('2024-01-01T00:00:00Z')
    const messages = Array.from({ length: 10 }, (_, i) => ({
      value: `v${i}`,
      partition: i % 2,
      timestamp: String(start + i * 3_600_000),
    }))
    await producer.send({ topic, messages })
    await producer.disconnect()
  })

  test('describes a group with a member: offsets, members, state', async () => {
    const consumer = kafkajsClient(broker.bootstrap).consumer({ groupId: group, maxWaitTimeInMs: 100 })
    let read = 0
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ autoCommitThreshold: 1, eachMessage: async () => void read++ })
    try {
      await eventually('all is read', () => read === 10)
      const all = ['0: 5 of 5, 0', '1: 5 of 5, 0']
      await eventually('all is committed', async () => (await offsets()).join() === all.join())
      const describe = async (...args: string[]) => {
        const asked = [...at, '--describe', '--group', group, ...args]
        return table(await tools.must('kafka-consumer-groups', asked)).find(([name]) => name === group)
      }
      expect(await describe('--state')).toEqual(expect.arrayContaining(['RoundRobinAssigner', 'Stable', '1']))
      const member = await describe('--members', '--verbose')
      expect(member![1]).toMatch(/^odradek-compat-/)
      expect(member).toEqual(expect.arrayContaining(['/127.0.0.1', 'odradek-compat', '2']))
      const { stdout } = await tools.run('kafka-consumer-groups', [...at, '--delete', '--group', group])
      expect(stdout).toContain('GroupNotEmptyException')
    } finally {
      await consumer.disconnect()
    }
  })

  test('lists groups, with their states', async () => {
    const list = (...args: string[]) => tools.must('kafka-consumer-groups', [...at, '--list', ...args])
    expect(table(await list())).toContainEqual([group])
    expect(table(await list('--state'))).toContainEqual([group, 'Empty'])
    expect(table(await list('--state', 'Stable'))).not.toContainEqual([group, 'Stable'])
    expect(table(await list('--state', 'Empty'))).toContainEqual([group, 'Empty'])
  })

  test('resets offsets in each of its forms', async () => {
    expect((await reset('--to-earliest')).sort()).toEqual(['0: 0', '1: 0'])
    expect(await offsets()).toEqual(['0: 0 of 5, 5', '1: 0 of 5, 5'])
    expect((await reset('--to-latest')).sort()).toEqual(['0: 5', '1: 5'])
    expect((await reset('--to-offset', '2')).sort()).toEqual(['0: 2', '1: 2'])
    expect((await reset('--shift-by', '2')).sort()).toEqual(['0: 4', '1: 4'])
    expect((await reset('--shift-by', '-1')).sort()).toEqual(['0: 3', '1: 3'])
    expect((await reset('--to-current')).sort()).toEqual(['0: 3', '1: 3'])
    expect((await reset('--to-datetime', '2024-01-01T05:00:00.000Z')).sort()).toEqual(['0: 3', '1: 2'])
    expect((await reset('--by-duration', 'P20000D')).sort()).toEqual(['0: 0', '1: 0'])
    expect((await reset('--by-duration', 'PT1H')).sort()).toEqual(['0: 5', '1: 5'])
    expect(await offsets()).toEqual(['0: 5 of 5, 0', '1: 5 of 5, 0'])
  })

  test('only shows the new offsets where it is not told to execute, and writes them as CSV', async () => {
    const args = [
      '--reset-offsets',
      '--group',
      group,
      '--all-topics',
      '--to-earliest',
      '--dry-run',
      '--export',
    ]
    const plan = await tools.must('kafka-consumer-groups', [...at, ...args])
    expect(plan.trim().split('\n').sort()).toEqual([`${topic},0,0`, `${topic},1,0`])
    expect(await offsets()).toEqual(['0: 5 of 5, 0', '1: 5 of 5, 0'])
  })

  test('deletes offsets, then the group', async () => {
    const args = ['--delete-offsets', '--group', group, '--topic', `${topic}:1`]
    expect(await tools.must('kafka-consumer-groups', [...at, ...args])).toMatch(/grouped\s+1\s+Successful/)
    expect(await offsets()).toEqual(['0: 5 of 5, 0'])
    const deleted = await tools.must('kafka-consumer-groups', [...at, '--delete', '--group', group])
    expect(deleted).toContain(`Deletion of requested consumer groups ('${group}') was successful`)
    expect(table(await tools.must('kafka-consumer-groups', [...at, '--list']))).not.toContainEqual([group])
    const { stdout } = await tools.run('kafka-consumer-groups', [...at, '--describe', '--group', group])
    expect(stdout).toMatch(/not found|does not exist/)
  })
})

describe('kafka-configs', () => {
  const configs = (...args: string[]) => tools.must('kafka-configs', [...at, ...args])
  const ofTopic = ['--entity-type', 'topics', '--entity-name', 'configured']
  let ofBroker: string[]

  beforeAll(async () => {
    await tools.must('kafka-topics', [...at, '--create', '--topic', 'configured'])
    const admin = kafkajsClient(broker.bootstrap).admin()
    await admin.connect()
    const { brokers } = await admin.describeCluster()
    await admin.disconnect()
    ofBroker = ['--entity-type', 'brokers', '--entity-name', String(brokers[0].nodeId)]
  })

  test('sets, shows and deletes the configuration of a topic', async () => {
    const values = 'cleanup.policy=[compact,delete],segment.bytes=2000000'
    await configs('--alter', ...ofTopic, '--add-config', values)
    await eventually('the values are there', async () => {
      const shown = await configs('--describe', ...ofTopic)
      return shown.includes('cleanup.policy=compact,delete') && shown.includes('segment.bytes=2000000')
    })
    await configs('--alter', ...ofTopic, '--delete-config', 'segment.bytes')
    await eventually('one value is gone', async () => {
      const shown = await configs('--describe', ...ofTopic)
      return shown.includes('cleanup.policy=compact,delete') && !shown.includes('segment.bytes=2000000')
    })
    const all = await configs('--describe', '--all', ...ofTopic)
    expect(all).toMatch(/cleanup.policy=compact,delete .*DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete/)
    expect(all).toMatch(/retention.ms=604800000 .*synonyms=\{\}|retention.ms=604800000/)
  })

  test('refuses a value that is none', async () => {
    const args = ['--alter', ...ofTopic, '--add-config', 'retention.ms=soon']
    const { code, stderr } = await tools.run('kafka-configs', [...at, ...args])
    expect(code).toBe(1)
    expect(stderr).toMatch(/InvalidConfigurationException|InvalidRequestException/)
    expect(stderr).toContain('retention.ms')
  })

  test('shows the configuration of a broker', async () => {
    const all = await configs('--describe', '--all', ...ofBroker)
    expect(all).toMatch(/log.retention.hours=168 /)
    expect(all).toMatch(/message.max.bytes=1048588 /)
    expect(all).toMatch(/num.partitions=1 /)
  })

  test('sets and deletes the configuration of a group', async () => {
    const shown = (...args: string[]) => configs('--describe', '--entity-type', 'groups', ...args)
    const ofReaders = ['--entity-name', 'readers']
    const ofGroup = ['--entity-type', 'groups', ...ofReaders]
    await configs('--alter', ...ofGroup, '--add-config', 'consumer.session.timeout.ms=50000')
    expect(await shown(...ofReaders)).toContain('consumer.session.timeout.ms=50000')
    expect(await shown()).toMatch(/readers[^]*consumer\.session\.timeout\.ms=50000/)
    const args = ['--alter', ...ofGroup, '--add-config', 'consumer.session.timeout.ms=1']
    const { code, stderr } = await tools.run('kafka-configs', [...at, ...args])
    expect(code).toBe(1)
    expect(stderr).toContain('group.consumer.min.session.timeout.ms')
    await configs('--alter', ...ofGroup, '--delete-config', 'consumer.session.timeout.ms')
    expect(await shown('--all', ...ofReaders)).toContain('consumer.session.timeout.ms=45000')
    expect(await shown()).not.toContain('50000')
  })

  test('sets, shows and deletes the configuration of one broker and of all', async () => {
    const ofAll = ['--entity-type', 'brokers', '--entity-default']
    await configs('--alter', ...ofAll, '--add-config', 'message.max.bytes=2000000')
    await configs('--alter', ...ofBroker, '--add-config', 'message.max.bytes=3000000')
    await eventually('both are shown', async () => {
      const one = await configs('--describe', ...ofBroker)
      const all = await configs('--describe', ...ofAll)
      return one.includes('message.max.bytes=3000000') && all.includes('message.max.bytes=2000000')
    })
    expect(await configs('--describe', ...ofBroker)).toContain(
      'DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=2000000',
    )
    await configs('--alter', ...ofBroker, '--delete-config', 'message.max.bytes')
    await configs('--alter', ...ofAll, '--delete-config', 'message.max.bytes')
    await eventually('both are gone', async () => {
      return (await configs('--describe', '--all', ...ofBroker)).includes('message.max.bytes=1048588')
    })
  })
})
