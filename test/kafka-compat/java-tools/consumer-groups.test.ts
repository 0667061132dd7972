/** Groups of the new protocol (KIP-848) with Apache Kafka's own consumer: group.protocol=consumer, and classic ones beside it. */
import { createInterface } from 'node:readline'
import type { ChildProcess } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBroker } from '../harness/broker.ts'
import type { TestBroker } from '../harness/broker.ts'
import { eventually } from '../harness/conditions.ts'
import { javaArguments, KafkaTools } from '../harness/java.ts'
import { ended, startProcess } from '../harness/processes.ts'

interface State {
  members: Record<string, { assignment: string[]; failure: string | null }>
  seen: Record<string, number>
}

/** test/kafka-compat/java/GroupMembers.java */
class Members {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  }

  static async start(bootstrap: string): Promise<Members> {
    const args = [...(await javaArguments()), 'GroupMembers', bootstrap]
    return new Members(startProcess('java', args, { stdio: ['pipe', 'pipe', 'ignore'] }))
  }

  async do(command: string): Promise<string> {
    this.#child.stdin!.write(`${command}\n`)
    const { value, done } = await this.#answers.next()
    if (done === true) throw new Error(`${command}: the Java process has ended`)
    return value
  }

  async state(): Promise<State> {
    return JSON.parse(await this.do('state')) as State
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await ended(this.#child)
  }
}

const PARTITIONS = 6
const LONG_MS = 60_000

let broker: TestBroker
let tools: KafkaTools
let members: Members
let at: string[]

beforeAll(async () => {
  const config = {
    'group.consumer.min.session.timeout.ms': '3000',
    'group.consumer.session.timeout.ms': '6000',
    'group.consumer.min.heartbeat.interval.ms': '200',
    'group.consumer.heartbeat.interval.ms': '500',
  }
  ;[broker, tools] = await Promise.all([startBroker({ config }), KafkaTools.start()])
  at = ['--bootstrap-server', broker.bootstrap]
  members = await Members.start(broker.bootstrap)
})
afterAll(async () => {
  await members?.kill()
  await tools?.stop()
  await broker?.stop()
})

async function createTopic(topic: string, partitions = PARTITIONS): Promise<void> {
  await tools.must('kafka-topics', [...at, '--create', '--topic', topic, '--partitions', String(partitions)])
}

/** What the consumers of a group have, when all partitions of the topics are with exactly one of them. */
async function allAssigned(
  names: readonly string[],
  topics: Record<string, number>,
  of = members,
): Promise<State> {
  const expected = Object.entries(topics).flatMap(([topic, count]) => {
    return Array.from({ length: count }, (_, i) => `${topic}-${i}`)
  })
  let state = await of.state()
  await eventually(
    `${names.join(', ')} have all of ${Object.keys(topics).join(', ')}`,
    async () => {
      state = await of.state()
      const failures = names.flatMap((name) => state.members[name].failure ?? [])
      if (failures.length > 0) throw new Error(failures.join('; '))
      const shares = names.map((name) => state.members[name].assignment)
      // The coordinator gives everybody as many as the others, or one more.
      const sizes = shares.map((share) => share.length)
      const isEven = Math.max(...sizes) - Math.min(...sizes) <= 1
      return isEven && JSON.stringify(shares.flat().sort()) === JSON.stringify(expected.sort())
    },
    LONG_MS,
  )
  return state
}

async function allSeen(topic: string, count: number): Promise<void> {
  const isSeen = async () => ((await members.state()).seen[topic] ?? 0) >= count
  await eventually(`${count} records of ${topic} are seen`, isSeen, LONG_MS)
}

describe('consumers of the new protocol', () => {
  const topic = 'joined'
  const group = 'new-group'
  const start = (name: string, more = '') =>
    members.do(`start ${name} group=${group} topics=${topic} ${more}`)

  test('three that join share the partitions, and see every record', async () => {
    await createTopic(topic)
    await members.do(`produce ${topic} 300`)
    for (const name of ['a', 'b', 'c']) await start(name)
    const { members: all } = await allAssigned(['a', 'b', 'c'], { [topic]: PARTITIONS })
    for (const name of ['a', 'b', 'c']) expect(all[name].assignment).toHaveLength(2)
    await allSeen(topic, 300)
  })

  test('kafka-consumer-groups tells of the group, its members and its state', async () => {
    const list = await tools.must('kafka-consumer-groups', [...at, '--list', '--type', 'consumer'])
    expect(list).toContain(group)
    const classic = await tools.must('kafka-consumer-groups', [...at, '--list', '--type', 'classic'])
    expect(classic).not.toContain(group)
    const ask = ['--describe', '--group', group]
    await eventually('the group is stable', async () => {
      const state = await tools.must('kafka-consumer-groups', [...at, ...ask, '--state', '--verbose'])
      return /uniform\s+Stable/.test(state)
    })
    const told = await tools.must('kafka-consumer-groups', [...at, ...ask, '--members', '--verbose'])
    expect(told.split('\n').filter((line) => line.startsWith(group))).toHaveLength(3)
    await eventually('the offsets of all partitions are told', async () => {
      const offsets = await tools.must('kafka-consumer-groups', [...at, ...ask])
      const rows = offsets.split('\n').filter((line) => line.startsWith(group))
      return rows.length === PARTITIONS && rows.every((row) => / 0 {2,}[a-c]/.test(row) || /\s0\s/.test(row))
    })
  })

  test('one that leaves leaves its partitions to the others', async () => {
    await members.do('stop c')
    await allAssigned(['a', 'b'], { [topic]: PARTITIONS })
    await members.do(`produce ${topic} 100`)
    await allSeen(topic, 400)
  })

  test('one that is killed is gone after its session, and the others go on', async () => {
    const doomed = await Members.start(broker.bootstrap)
    await doomed.do(`start d group=${group} topics=${topic}`)
    await eventually(
      'the one that will be killed has its share',
      async () => (await doomed.state()).members.d.assignment.length === 2,
      LONG_MS,
    )
    await doomed.kill()
    await allAssigned(['a', 'b'], { [topic]: PARTITIONS })
    for (const name of ['a', 'b']) await members.do(`stop ${name}`)
  })

  test('new partitions are shared without a word of the consumers', async () => {
    await start('a', 'assignor=range')
    await tools.must('kafka-topics', [
      ...at,
      '--alter',
      '--topic',
      topic,
      '--partitions',
      String(PARTITIONS + 2),
    ])
    await allAssigned(['a'], { [topic]: PARTITIONS + 2 })
    await members.do('stop a')
  })
})

test('offsets of a group are reset and deleted, and the group is deleted, when nobody is in it', async () => {
  const [topic, group] = ['resetting', 'resetting-group']
  const groups = (...args: string[]) => tools.run('kafka-consumer-groups', [...at, '--group', group, ...args])
  const reset = (...form: string[]) => groups('--reset-offsets', '--topic', topic, ...form, '--execute')
  const offsets = async (): Promise<string[]> => {
    const { stdout } = await groups('--describe')
    const rows = stdout.split('\n').filter((line) => line.startsWith(group))
    return rows.map((row) => row.split(/\s+/).slice(2, 5).join(' ')).sort()
  }
  await createTopic(topic, 2)
  await members.do(`produce ${topic} 40`)
  await members.do(`start z1 group=${group} topics=${topic}`)
  await allSeen(topic, 40)
  await allAssigned(['z1'], { [topic]: 2 })
  const refused = await reset('--to-earliest')
  expect(refused.stdout + refused.stderr).toMatch(/inactive/)
  const kept = await groups('--delete-offsets', '--topic', topic)
  expect(kept.stdout + kept.stderr).toMatch(/GroupSubscribedToTopic|actively subscribed/)
  const alive = await groups('--delete')
  expect(alive.stdout + alive.stderr).toMatch(/GroupNotEmpty/)
  const state = await tools.must('kafka-consumer-groups', [...at, '--list', '--state', 'Stable'])
  expect(state).toContain(group)
  await members.do('stop z1')
  await eventually('nobody is in it', async () =>
    /Empty/.test((await groups('--describe', '--state')).stdout),
  )
  const before = await offsets()
  expect(before.map((row) => row.split(' ')[1] === row.split(' ')[2])).toEqual([true, true])
  expect((await reset('--to-offset', '1')).code).toBe(0)
  expect((await offsets()).map((row) => row.split(' ')[1])).toEqual(['1', '1'])
  await reset('--to-latest')
  expect(await offsets()).toEqual(before)
  const deleted = await groups('--delete-offsets', '--topic', `${topic}:1`)
  expect(deleted.stdout).toMatch(/resetting\s+1\s+Successful/)
  expect((await offsets()).map((row) => row.split(' ')[0])).toEqual(['0'])
  expect((await groups('--delete')).stdout).toContain('was successful')
  expect(await tools.must('kafka-consumer-groups', [...at, '--list'])).not.toContain(group)
})

test('static members that are restarted come back to what they had, and nobody else moves', async () => {
  await createTopic('static')
  const start = (name: string, instance: string) =>
    members.do(`start ${name} group=static-group topics=static instance=${instance}`)
  await start('s1', 'i1')
  await start('s2', 'i2')
  const before = (await allAssigned(['s1', 's2'], { static: PARTITIONS })).members
  await members.do('stop s1')
  await start('s1', 'i1')
  const after = (await allAssigned(['s1', 's2'], { static: PARTITIONS })).members
  expect([after.s1.assignment, after.s2.assignment]).toEqual([before.s1.assignment, before.s2.assignment])
  for (const name of ['s1', 's2']) await members.do(`stop ${name}`)
})

test('a regular expression takes in the topics that there are and those that come', async () => {
  await createTopic('matched-one', 2)
  await createTopic('other', 2)
  await members.do('start r1 group=regex-group regex=matched-(one|two)')
  await members.do('start r2 group=regex-group regex=matched-(one|two)')
  await allAssigned(['r1', 'r2'], { 'matched-one': 2 })
  await createTopic('matched-two', 2)
  await allAssigned(['r1', 'r2'], { 'matched-one': 2, 'matched-two': 2 })
  for (const name of ['r1', 'r2']) await members.do(`stop ${name}`)
  await members.do('start wrong group=wrong-group regex=matched-(')
  const hasFailed = async () => (await members.state()).members.wrong.failure !== null
  await eventually('a wrong regular expression fails', hasFailed, LONG_MS)
  expect((await members.state()).members.wrong.failure).toContain('InvalidRegularExpression')
  await members.do('stop wrong')
})

test('a classic group goes over to the new protocol and back, online, and no record is missed', async () => {
  const [topic, group] = ['moving', 'moving-group']
  await createTopic(topic)
  const start = (name: string, protocol: string) =>
    members.do(`start ${name} group=${group} topics=${topic} protocol=${protocol}`)
  const typeOf = async () => {
    const list = await tools.must('kafka-consumer-groups', [...at, '--list', '--type', 'consumer'])
    return list.includes(group) ? 'consumer' : 'classic'
  }
  let produced = 0
  const produce = async () => {
    await members.do(`produce ${topic} 60`)
    produced += 60
  }
  await start('old1', 'classic')
  await start('old2', 'classic')
  await allAssigned(['old1', 'old2'], { [topic]: PARTITIONS })
  expect(await typeOf()).toBe('classic')
  await produce()
  await start('new1', 'consumer')
  await allAssigned(['old1', 'old2', 'new1'], { [topic]: PARTITIONS })
  expect(await typeOf()).toBe('consumer')
  await produce()
  await members.do('stop old1')
  await members.do('stop old2')
  await start('new2', 'consumer')
  await allAssigned(['new1', 'new2'], { [topic]: PARTITIONS })
  await produce()
  await start('old3', 'classic')
  await allAssigned(['new1', 'new2', 'old3'], { [topic]: PARTITIONS })
  await members.do('stop new1')
  await members.do('stop new2')
  await allAssigned(['old3'], { [topic]: PARTITIONS })
  expect(await typeOf()).toBe('classic')
  await produce()
  await allSeen(topic, produced)
  await members.do('stop old3')
})
