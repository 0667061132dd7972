import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { buildCommand, CommandProcess } from './command-process.ts'

let directory: string
const started: CommandProcess[] = []

beforeAll(buildCommand)

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'odradek-command-'))
})

afterEach(async () => {
  for (const command of started.splice(0)) {
    command.signal('SIGKILL')
    await command.ended()
  }
  rmSync(directory, { recursive: true, force: true })
})

function run(argv: readonly string[], variables: Readonly<Record<string, string>> = {}): CommandProcess {
  const command = new CommandProcess(argv, variables)
  started.push(command)
  return command
}

function partsOf(ready: string): { ms: number; port: number; directory: string } {
  const match = /^odradek \S+ ready in (\d+) ms: PLAINTEXT:\/\/localhost:(\d+); data in (\S+)\n$/.exec(ready)
  if (!match) throw new Error(`not a ready line: ${ready}`)
  return { ms: Number(match[1]), port: Number(match[2]), directory: match[3] }
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

describe('The command', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'prints one line when ready, and ends with 0 on %s',
    async (signal) => {
      const command = run(['--port', '0', '--data-dir', directory])
      const ready = partsOf(await command.ready())
      expect(ready.directory).toBe(directory)
      expect(ready.ms).toBeGreaterThan(0)
      expect(await connects(ready.port)).toBe(true)
      command.signal(signal)
      const { code, stdout, stderr } = await command.ended()
      expect({ code, lines: stdout.split('\n').length, stderr }).toEqual({ code: 0, lines: 2, stderr: '' })
      expect(await connects(ready.port)).toBe(false)
    },
  )

  it('leaves nothing of an ephemeral broker', async () => {
    const command = run(['--port', '0', '--ephemeral'])
    const ready = partsOf(await command.ready())
    expect(existsSync(ready.directory)).toBe(true)
    expect((await command.stop()).code).toBe(0)
    expect(existsSync(ready.directory)).toBe(false)
  })

  it('has made the topics that were asked for when it is ready', async () => {
    const command = run(['--port', '0', '--data-dir', directory, '--topic', 'orders:3', '--topic', 'clicks'])
    const { port } = partsOf(await command.ready())
    const kafka = new Kafka({ brokers: [`localhost:${port}`], logLevel: logLevel.NOTHING })
    const admin = kafka.admin()
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata()
    await admin.disconnect()
    const counts = topics.map(({ name, partitions }) => [name, partitions.length])
    expect(Object.fromEntries(counts)).toEqual({ orders: 3, clicks: 1 })
  })

  it('makes no topic unasked with --auto-create false', async () => {
    const command = run(['--port', '0', '--ephemeral', '--auto-create', 'false', '--topic', 'made'])
    const { port } = partsOf(await command.ready())
    const kafka = new Kafka({
      brokers: [`localhost:${port}`],
      logLevel: logLevel.NOTHING,
      retry: { retries: 0 },
    })
    const producer = kafka.producer()
    await producer.connect()
    const send = (topic: string) => producer.send({ topic, messages: [{ value: 'x' }] })
    await expect(send('unasked')).rejects.toThrow('does not host this topic-partition')
    expect(await send('made')).toMatchObject([{ topicName: 'made', errorCode: 0 }])
    await producer.disconnect()
  })

  it('ends with 0 while clients are connected, one of them a member that waits for records', async () => {
    const command = run(['--port', '0', '--data-dir', directory, '--topic', 'quiet'])
    const { port } = partsOf(await command.ready())
    const options = { brokers: [`localhost:${port}`], logLevel: logLevel.NOTHING, retry: { retries: 0 } }
    const consumer = new Kafka(options).consumer({ groupId: 'waiting', maxWaitTimeInMs: 30_000 })
    await consumer.connect()
    await consumer.subscribe({ topic: 'quiet' })
    const fetching = new Promise<void>((resolve) => consumer.on('consumer.fetch_start', () => resolve()))
    await consumer.run({ eachMessage: async () => undefined, autoCommit: false })
    await fetching
    expect(await command.stop()).toMatchObject({ code: 0, stderr: '' })
    await consumer.disconnect()
  })

  it('starts again on its directory after a clean stop and after kill -9', async () => {
    const argv = ['--port', '0', '--data-dir', directory, '--topic', 'orders:3']
    const first = run(argv)
    await first.ready()
    expect((await first.stop()).code).toBe(0)
    const second = run(argv)
    await second.ready()
    second.signal('SIGKILL')
    await second.ended()
    const third = run(argv)
    await third.ready()
    expect((await third.stop()).code).toBe(0)
  })

  it('starts what a compose file of the official image describes', async () => {
    const command = run([], {
      KAFKA_NODE_ID: '1',
      KAFKA_PROCESS_ROLES: 'broker,controller',
      KAFKA_LISTENERS: 'CONTROLLER://:0,PLAINTEXT_HOST://127.0.0.1:0,PLAINTEXT://127.0.0.1:0',
      KAFKA_ADVERTISED_LISTENERS: 'PLAINTEXT_HOST://localhost:0,PLAINTEXT://broker:0',
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP:
        'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT',
      KAFKA_INTER_BROKER_LISTENER_NAME: 'PLAINTEXT',
      KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
      KAFKA_CONTROLLER_QUORUM_VOTERS: '1@broker:29093',
      KAFKA_LOG_DIRS: directory,
      CLUSTER_ID: '4L6g3nShT-eMCtK--X86sw',
    })
    const ready = await command.ready()
    expect(ready).toMatch(
      /PLAINTEXT_HOST:\/\/127\.0\.0\.1:\d+ \(for clients: localhost:\d+\), PLAINTEXT:\/\/127/,
    )
    expect(ready).not.toContain('CONTROLLER')
    const { stderr } = await command.stop()
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain(
      'accepted without effect here: controller.listener.names, controller.quorum.voters',
    )
  })

  it('reads a server.properties', async () => {
    const file = join(directory, 'server.properties')
    const data = join(directory, 'data')
    writeFileSync(file, `# a comment\nlisteners = PLAINTEXT://localhost:0\nlog.dirs=${data}\nnode.id=5\n`)
    const command = run([file])
    expect(partsOf(await command.ready()).directory).toBe(data)
  })

  it('answers --help and --version', async () => {
    const help = await run(['--help']).ended()
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toContain('Usage: odradek [server.properties] [options]')
    expect(await run(['--version']).ended()).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: '',
    })
  })
})

describe('The command ends with 1 and one line', () => {
  async function refusal(
    argv: readonly string[],
    variables: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const { code, stdout, stderr } = await run(argv, variables).ended()
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    return stderr
  }

  it('where the port is in use', async () => {
    const holder = net.createServer()
    await new Promise<void>((resolve) => holder.listen({ host: '127.0.0.1', port: 0 }, resolve))
    const { port } = holder.address() as net.AddressInfo
    const line = await refusal(['--port', String(port), '--ephemeral'])
    expect(line).toContain(`odradek: cannot listen on 127.0.0.1:${port}: the port is in use`)
    holder.close()
  })

  it('where the data directory has a broker', async () => {
    const first = run(['--port', '0', '--data-dir', directory])
    await first.ready()
    expect(await refusal(['--port', '0', '--data-dir', directory])).toContain(directory)
    expect((await first.stop()).code).toBe(0)
  })

  it('where the data directory cannot be made', async () => {
    const file = join(directory, 'file')
    writeFileSync(file, '')
    expect(await refusal(['--port', '0', '--data-dir', join(file, 'data')])).toContain(join(file, 'data'))
  })

  it('where the data directory belongs to another cluster', async () => {
    const data = join(directory, 'data')
    const first = run(['--port', '0', '--data-dir', data])
    await first.ready()
    await first.stop()
    const other = join(directory, 'other')
    const second = run(['--port', '0', '--data-dir', other])
    await second.ready()
    await second.stop()
    const line = await refusal(['--port', '0', '--override', `log.dirs=${data},${other}`])
    expect(line).toContain(directory)
  })

  it('where the data directory is that of a Kafka in KRaft mode', async () => {
    const meta = 'version=1\nnode.id=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\n'
    mkdirSync(join(directory, 'data'))
    writeFileSync(join(directory, 'data', 'meta.properties'), meta)
    expect(await refusal(['--port', '0', '--data-dir', join(directory, 'data')])).toContain('data')
  })

  it.each([
    [
      ['--override', 'num.partitions=none'],
      {},
      'odradek: num.partitions=none: expected an integer from 1 to 2147483647',
    ],
    [['--port', 'x'], {}, 'odradek: --port x: expected an integer from 0 to 65535'],
    [['missing.properties'], {}, 'odradek: missing.properties: no such file'],
    [
      ['--ephemeral'],
      { KAFKA_LISTENERS: 'SSL://:0' },
      'listener SSL uses SSL; this release serves PLAINTEXT only',
    ],
    [
      ['--ephemeral'],
      { KAFKA_ZOOKEEPER_CONNECT: '127.0.0.1:1', KAFKA_ZOOKEEPER_CONNECTION_TIMEOUT_MS: '200' },
      'zookeeper.connect=127.0.0.1:1: no server of the ensemble has answered for 200 ms; start it, or leave this line out',
    ],
    [['--ephemeral', '--port', '0', '--topic', 'a:1:2'], {}, '--topic=a'],
  ])('where the configuration is wrong: %j %j', async (argv, variables, line) => {
    expect(await refusal(argv, variables)).toContain(line)
  })
})
