import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import net from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ConfigError, LogDirError, startBroker } from '../../src/index.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { describeConfigsApi } from '../../src/protocol/messages/32-describe-configs.ts'
import { allValues, batchOf, createTopic, describeTopic, produce } from './requests.ts'
import { WireClient } from './wire-client.ts'

const directories: string[] = []
// Ephemeral directories of this file alone.
const { TMPDIR } = process.env
beforeAll(() => {
  process.env.TMPDIR = mkdtempSync(join(tmpdir(), 'odradek-test-'))
})
afterAll(() => {
  rmSync(tmpdir(), { recursive: true, force: true })
  if (TMPDIR === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = TMPDIR
})
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'odradek-test-'))
  directories.push(directory)
  return directory
}

const ephemeralDirectories = (): string[] =>
  readdirSync(tmpdir()).filter((name) => /^odradek-[^-]+$/.test(name))

const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
)

const openServers = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap').length

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' })
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}

describe('startBroker', () => {
  test('without options it serves on a free port, and what it kept is gone after stop', async () => {
    const broker = await startBroker()
    expect(broker.bootstrapServers).toBe(`localhost:${broker.port}`)
    expect(broker.clusterId).toMatch(/^[A-Za-z0-9_-]{22}$/)
    const client = await WireClient.connect(broker.port)
    expect(await createTopic(client, 'a')).toBe(ErrorCode.NONE)
    await produce(client, 'a', batchOf(['x']))
    expect(ephemeralDirectories().length).toBe(1)
    await broker.stop()
    await client.closed
    expect(ephemeralDirectories()).toEqual([])
    expect(await refuses(broker.port)).toBe(true)
  })

  test('two brokers in one process know nothing of each other', async () => {
    const [one, other] = await Promise.all([
      startBroker({ topics: ['only-here'] }),
      startBroker({ topics: ['only-there'] }),
    ])
    try {
      expect(one.port).not.toBe(other.port)
      expect(one.clusterId).not.toBe(other.clusterId)
      const client = await WireClient.connect(one.port)
      expect((await describeTopic(client, 'only-here')).errorCode).toBe(ErrorCode.NONE)
      expect((await describeTopic(client, 'only-there')).errorCode).toBe(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
      client.close()
    } finally {
      await Promise.all([one.stop(), other.stop()])
    }
  })

  test('stop may be called twice, and while the first is under way; Symbol.asyncDispose is the same', async () => {
    const broker = await startBroker()
    await Promise.all([broker.stop(), broker.stop(), broker[Symbol.asyncDispose]()])
    await broker.stop()
  })

  test('`await using` stops it', async () => {
    let port = 0
    {
      await using broker = await startBroker()
      port = broker.port
      expect(await refuses(port)).toBe(false)
    }
    expect(await refuses(port)).toBe(true)
  })

  test('a data directory is kept, and used again', async () => {
    const dataDir = newDirectory()
    const first = await startBroker({ dataDir, topics: ['kept'] })
    let client = await WireClient.connect(first.port)
    await produce(client, 'kept', batchOf(['a']))
    client.close()
    await first.stop()
    const second = await startBroker({ dataDir, topics: ['kept', 'added'] })
    client = await WireClient.connect(second.port)
    expect(second.clusterId).toBe(first.clusterId)
    expect(await allValues(client, 'kept')).toEqual(['a'])
    expect((await describeTopic(client, 'added')).errorCode).toBe(ErrorCode.NONE)
    client.close()
    await second.stop()
  })

  test('a data directory may be given from the working directory, with a slash at its end, and not exist', async () => {
    const absolute = join(newDirectory(), 'not', 'yet')
    for (const dataDir of [relative(process.cwd(), absolute), `${absolute}/`]) {
      const broker = await startBroker({ dataDir, topics: ['kept'] })
      await broker.stop()
      expect(readdirSync(absolute)).toContain('meta.properties')
    }
  })

  test.runIf(hasIpv6)('an IPv6 address is told in brackets', async () => {
    await using broker = await startBroker({ host: '::1' })
    expect(broker.bootstrapServers).toBe(`[::1]:${broker.port}`)
  })

  test('several listeners: the first one is told', async () => {
    await using broker = await startBroker({
      config: {
        listeners: 'ONE://127.0.0.1:0,OTHER://127.0.0.1:0',
        'listener.security.protocol.map': 'ONE:PLAINTEXT,OTHER:PLAINTEXT',
        'inter.broker.listener.name': 'OTHER',
      },
    })
    expect(broker.bootstrapServers).toBe(`127.0.0.1:${broker.port}`)
  })

  test('topics are there before it resolves, with partitions and settings', async () => {
    await using broker = await startBroker({
      topics: ['plain', 'three:3', { name: 'set', partitions: 2, configs: { 'retention.ms': '60000' } }],
      config: { 'num.partitions': 4, 'auto.create.topics.enable': false },
    })
    const client = await WireClient.connect(broker.port)
    const partitions = async (topic: string) => (await describeTopic(client, topic)).partitions.length
    expect([await partitions('plain'), await partitions('three'), await partitions('set')]).toEqual([4, 3, 2])
    const resources = [{ resourceType: 2, resourceName: 'set', configurationKeys: ['retention.ms'] }]
    const { results } = await client.request(describeConfigsApi, 4, { resources })
    expect(results[0].configs[0].value).toBe('60000')
    client.close()
  })

  test('the log goes to the logger that was given', async () => {
    const lines: string[] = []
    const logger = { log: (level: string, message: string) => void lines.push(`${level} ${message}`) }
    await (await startBroker({ logger, topics: ['told'] })).stop()
    expect(lines).toContain('info topic created')
  })

  test('a misspelt key is named in the log', async () => {
    const lines: string[] = []
    const logger = { log: (level: string, message: string) => void lines.push(`${level} ${message}`) }
    await (await startBroker({ logger, config: { 'num.partitons': 3 } })).stop()
    expect(lines).toContainEqual(
      expect.stringMatching(/^warn .*num\.partitons \(did you mean num\.partitions\?\)/),
    )
  })
})

describe('what cannot be started', () => {
  test.each([
    [
      'an unknown value',
      { config: { 'num.partitions': 'many' } },
      /^num\.partitions=many: expected an integer/,
    ],
    ['a value out of range', { config: { 'num.partitions': 0 } }, /^num\.partitions=0/],
    ['a data directory with a comma', { dataDir: '/tmp/a,b' }, /dataDir/],
    ['a name that is no topic name', { topics: ['bad name'] }, /bad name/],
    ['a topic of no partitions', { topics: ['t:0'] }, /t:0/],
    ['more replicas than brokers', { topics: ['t:1:2'] }, /replication/i],
    ['a topic setting that there is not', { topics: [{ name: 't', configs: { no: '1' } }] }, /no/],
  ])('%s: ConfigError, in one line', async (_, options, message) => {
    const before = openServers()
    const error = await startBroker(options).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as ConfigError).message).toMatch(message)
    expect((error as ConfigError).message).not.toContain('\n')
    expect(openServers()).toBe(before)
    expect(ephemeralDirectories()).toEqual([])
  })

  test('a port in use', async () => {
    await using broker = await startBroker({ host: '127.0.0.1' })
    await expect(startBroker({ host: '127.0.0.1', port: broker.port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
      port: broker.port,
    })
    expect(await refuses(broker.port)).toBe(false)
  })

  test('a data directory that another broker uses, and afterwards the same directory', async () => {
    const dataDir = newDirectory()
    const first = await startBroker({ dataDir })
    const error = await startBroker({ dataDir }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(LogDirError)
    expect(error).toMatchObject({ code: 'LOCKED' })
    await first.stop()
    await (await startBroker({ dataDir })).stop()
  })

  test('a start that fails leaves the data directory free', async () => {
    const dataDir = newDirectory()
    await using other = await startBroker({ host: '127.0.0.1' })
    const inUse = { dataDir, host: '127.0.0.1', port: other.port }
    await expect(startBroker(inUse)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await expect(startBroker({ dataDir, topics: ['t:1:9'] })).rejects.toBeInstanceOf(ConfigError)
    await (await startBroker({ dataDir })).stop()
  })
})

describe('after stop', () => {
  const fill = async (dataDir: string) => {
    const broker = await startBroker({ dataDir, topics: ['t:20'] })
    const client = await WireClient.connect(broker.port)
    for (let partition = 0; partition < 20; partition++) {
      await produce(client, 't', batchOf(['a']), { partition })
    }
    await broker.stop()
    await client.closed
  }

  test('no port is open', async () => {
    const before = openServers()
    await fill(newDirectory())
    await expect.poll(openServers).toBe(before)
  })

  test.runIf(existsSync('/proc/self/fd'))('no file is open', async () => {
    const dataDir = newDirectory()
    await fill(dataDir)
    const openFiles = () =>
      readdirSync('/proc/self/fd').filter((number) => {
        try {
          return readlinkSync(`/proc/self/fd/${number}`).startsWith(dataDir)
        } catch {
          return false
        }
      })
    expect(openFiles()).toEqual([])
  })
})
