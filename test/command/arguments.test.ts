import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/broker/config/config-types.ts'
import { HELP, readArguments, UsageError } from '../../src/command/arguments.ts'
import type { CommandOptions } from '../../src/command/arguments.ts'
import { readClusterConfig, readConfig } from '../../src/command/read-config.ts'
import { VERSION } from '../../src/command/version.ts'

function options(...argv: string[]): CommandOptions {
  const command = readArguments(argv)
  if (command.kind !== 'run') throw new Error(`not a run: ${command.kind}`)
  return command.options
}

describe('The command line', () => {
  it('without arguments runs the development profile', () => {
    expect(options()).toEqual({
      file: null,
      overrides: {},
      ephemeral: false,
      brokers: 1,
      topics: [],
      logLevel: 'warn',
      host: null,
      port: null,
      dataDirectory: null,
    })
  })

  it('takes a file and overrides as kafka-server-start does', () => {
    const given = options('server.properties', '--override', 'a.b=c=d', '--override', ' num.partitions = 3')
    expect(given.file).toBe('server.properties')
    expect(given.overrides).toEqual({ 'a.b': 'c=d', 'num.partitions': '3' })
  })

  it('takes the short flags', () => {
    const given = options(
      '--port',
      '0',
      '--host=::1',
      '--ephemeral',
      '--auto-create',
      'false',
      '--log-level',
      'debug',
    )
    expect(given).toMatchObject({ port: 0, host: '::1', ephemeral: true, logLevel: 'debug' })
    expect(given.overrides).toEqual({ 'auto.create.topics.enable': 'false' })
    expect(options('--data-dir', 'd').dataDirectory).toBe('d')
  })

  it('takes topics with and without numbers', () => {
    const given = options('--topic', 'a', '--topic', 'b:3', '--topic=c.d_e-f:12:1')
    expect(
      given.topics.map(({ name, numPartitions, replicationFactor }) => [
        name,
        numPartitions,
        replicationFactor,
      ]),
    ).toEqual([
      ['a', -1, -1],
      ['b', 3, -1],
      ['c.d_e-f', 12, 1],
    ])
  })

  it('knows --help and --version', () => {
    expect(readArguments(['--help']).kind).toBe('help')
    expect(readArguments(['--version']).kind).toBe('version')
    expect(HELP.split('\n').every((line) => line.length <= 110)).toBe(true)
  })

  it('has the version of package.json', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect(VERSION).toBe(version)
  })

  it.each([
    [['--prot', '1'], "Unknown option '--prot'"],
    [['--port'], 'argument missing'],
    [['--port', 'x'], '--port x: expected an integer from 0 to 65535'],
    [['--port', '65536'], '--port 65536: expected an integer from 0 to 65535'],
    [['a', 'b'], 'expected at most one properties file, got a, b'],
    [['--override', 'x'], '--override x: expected KEY=VALUE'],
    [['--override', '=x'], '--override =x: expected KEY=VALUE'],
    [['--log-level', 'loud'], '--log-level loud: expected one of debug, info, warn, error'],
    [['--ephemeral', '--data-dir', 'd'], 'only one of them may be given'],
    [['--brokers', '0'], '--brokers 0: expected an integer from 1 to 32'],
    [['--brokers', 'many'], '--brokers many: expected an integer from 1 to 32'],
    [['--topic', 'a:0'], '--topic=a:0'],
    [['--topic', 'a:1:1:1'], '--topic=a:1:1:1'],
    [['--topic', 'a b'], '--topic=a b'],
  ])('%j is refused in one line', (argv, reason) => {
    let error: unknown
    try {
      readArguments(argv)
    } catch (thrown) {
      error = thrown
    }
    expect(error instanceof UsageError || error instanceof ConfigError).toBe(true)
    expect((error as Error).message).toContain(reason)
    expect((error as Error).message).not.toContain('\n')
  })
})

describe('Flags and configuration', () => {
  it('--port and --host are the only listener, whatever file and environment say', async () => {
    const variables = { KAFKA_LISTENERS: 'A://:1,B://:2', KAFKA_ADVERTISED_LISTENERS: 'A://x:1' }
    const config = await readConfig(options('--port', '1234', '--host', '0.0.0.0'), variables, null)
    expect(config.listeners()).toEqual([{ name: 'PLAINTEXT', host: '0.0.0.0', port: 1234 }])
    expect(config.resolveAdvertised(new Map())).toEqual([
      { name: 'PLAINTEXT', host: 'localhost', port: 1234 },
    ])
    const six = await readConfig(options('--host', '::1'), {}, null)
    expect(six.listeners()).toEqual([{ name: 'PLAINTEXT', host: '::1', port: 9092 }])
  })

  it('make the data directory absolute', async () => {
    const given = await readConfig(options(), {}, null)
    expect(given.logDirs()).toEqual([`${process.cwd()}/odradek-data`])
    expect((await readConfig(options('--override', 'log.dirs=/x,/y'), {}, null)).logDirs()).toEqual([
      '/x',
      '/y',
    ])
    expect((await readConfig(options(), {}, '/z')).logDirs()).toEqual(['/z'])
  })

  it('name a file that is not there', async () => {
    await expect(readConfig(options('/nowhere/server.properties'), {}, null)).rejects.toThrow(
      '/nowhere/server.properties: no such file',
    )
  })
})

describe('The configuration of several brokers', () => {
  const place = (id: number, port: number | null = null) => ({ id, logDir: `/data/broker${id}`, port })

  it('puts them on ports from the first on, and a port that a broker had stays its own', async () => {
    const { configOf, directory } = await readClusterConfig(
      options('--brokers', '3', '--data-dir', '/data'),
      {},
      null,
    )
    expect(directory).toBe('/data')
    const ports = [1, 2, 3].map((id) => configOf(place(id)).listeners()[0].port)
    expect(ports).toEqual([9092, 9093, 9094])
    expect(configOf(place(3)).logDirs()).toEqual(['/data/broker3'])
    const free = await readClusterConfig(options('--brokers', '2', '--port', '0'), {}, null)
    expect(free.configOf(place(2)).listeners()[0].port).toBe(0)
    expect(free.configOf(place(2, 4711)).listeners()[0].port).toBe(4711)
  })

  it('takes what was overridden for every broker', async () => {
    const given = options('--brokers', '2', '--override', 'num.partitions=5')
    const { configOf } = await readClusterConfig(given, {}, null)
    expect([1, 2].map((id) => configOf(place(id)).get('num.partitions'))).toEqual([5, 5])
  })

  it('refuses ports that there are not, and a ZooKeeper', async () => {
    const read = (...argv: string[]) => readClusterConfig(options('--brokers', '3', ...argv), {}, null)
    await expect(read('--port', '65534')).rejects.toThrow('3 brokers need as many ports')
    await expect(read('--override', 'zookeeper.connect=a:2181')).rejects.toThrow('share an embedded store')
  })
})
