/**
 * `zookeeper.set.acl=true`: a whole broker of ours and one of Apache Kafka 3.9, each below a chroot of its own, are asked the
 * same; then each znode of one is protected as that of the other. Kafka logs in by SASL (a JAAS file), ours by `zookeeper.digest`.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { incrementalAlterConfigsApi } from '../../../src/protocol/messages/44-incremental-alter-configs.ts'
import { deleteTopicsApi } from '../../../src/protocol/messages/20-delete-topics.ts'
import { alterTopic, batchOf, commitOffset, createTopic, produce } from '../../broker/requests.ts'
import { WireClient } from '../../broker/wire-client.ts'
import { ZookeeperConnection, type AclEntry } from '../cluster/zookeeper-wire.ts'
import type { BrokerKind } from '../harness/broker.ts'
import { clusterProperties } from '../harness/cluster.ts'
import { ClusterMember } from '../harness/cluster-member.ts'
import { eventually } from '../harness/conditions.ts'
import { freePort } from '../harness/launch.ts'
import { loopback, type Place } from '../harness/place.ts'
import { startEnsemble, type Ensemble } from './ensemble.ts'

const DIGEST = 'odradek:secret'
const SUPER = 'super:root'
const BROKER_RESOURCE = 4
const directory = mkdtempSync(join(tmpdir(), 'odradek-acls-'))
const jaas = join(directory, 'jaas.conf')
const module = 'org.apache.zookeeper.server.auth.DigestLoginModule required'

let ensemble: Ensemble
const members = new Map<BrokerKind, ClusterMember>()
/** Of every znode below the chroot, by path. */
const acls = new Map<BrokerKind, Map<string, AclEntry[]>>()

/** Its JVMs are started with these options. */
const withJvm = (...options: string[]): Place => ({
  ...loopback,
  launch: (command, args) => [command, command === 'java' ? [...options, ...args] : [...args]],
})

beforeAll(async () => {
  const accounts = [
    `Server { ${module} user_kafka="kafka-secret"; };`,
    `Client { ${module} username="kafka" password="kafka-secret"; };`,
  ]
  writeFileSync(jaas, accounts.join('\n'))
  const login = `-Djava.security.auth.login.config=${jaas}`
  const provider = 'org.apache.zookeeper.server.auth'
  const hash = createHash('sha1').update(SUPER).digest('base64')
  const server = withJvm(
    login,
    `-Dzookeeper.authProvider.1=${provider}.SASLAuthenticationProvider`,
    `-Dzookeeper.DigestAuthenticationProvider.superDigest=super:${hash}`,
  )
  ensemble = await startEnsemble(1, [server], 500)
  for (const kind of ['odradek', 'kafka'] as const) {
    const member = await newMember(kind, 1, withJvm(login))
    members.set(kind, member)
    await member.start()
    await useEverything(member)
    acls.set(kind, await aclsBelow(`/${kind}`))
  }
})
afterAll(async () => {
  for (const member of members.values()) await member.stop()
  await ensemble?.stop()
  rmSync(directory, { recursive: true, force: true })
})

async function newMember(
  kind: BrokerKind,
  brokerId: number,
  place: Place,
  properties: Record<string, string> = {},
): Promise<ClusterMember> {
  return new ClusterMember({
    brokerId,
    kind,
    place,
    port: await freePort(),
    directory: join(directory, `${kind}-${brokerId}`),
    properties: {
      ...clusterProperties,
      'zookeeper.connect': `${ensemble.connect}/${kind}`,
      'zookeeper.set.acl': 'true',
      ...(kind === 'odradek' && { 'zookeeper.digest': DIGEST }),
      'default.replication.factor': '1',
      'min.insync.replicas': '1',
      'offsets.topic.replication.factor': '1',
      ...properties,
    },
  })
}

/** Leaves a znode of every kind that the broker makes. */
async function useEverything({ port }: ClusterMember): Promise<void> {
  const client = await WireClient.connect(port)
  expect(await createTopic(client, 'kept', { 'retention.ms': '1000000' })).toBe(0)
  expect(await createTopic(client, 'gone')).toBe(0)
  expect(await alterTopic(client, 'kept', 'retention.ms', '2000000')).toBe(0)
  const configs = [{ name: 'log.cleaner.threads', configOperation: 0, value: '2' }]
  for (const resourceName of ['1', '']) {
    const resources = [{ resourceType: BROKER_RESOURCE, resourceName, configs }]
    const { responses } = await client.request(incrementalAlterConfigsApi, 1, {
      resources,
      validateOnly: false,
    })
    expect(responses[0].errorCode).toBe(0)
  }
  const deleted = await client.request(deleteTopicsApi, 3, { topicNames: ['gone'], timeoutMs: 20_000 })
  expect(deleted.responses[0].errorCode).toBe(0)
  await eventually('records are taken', async () => {
    return (await produce(client, 'kept', batchOf(['one']))).errorCode === 0
  })
  await eventually('a group has a coordinator', async () => {
    return (await commitOffset(client, 'group', 'kept', 1)) === 0
  })
  client.close()
}

function connect(): Promise<ZookeeperConnection> {
  return ZookeeperConnection.open(ensemble.servers.map(({ port }) => ({ host: '127.0.0.1', port })))
}

/** By path without the chroot; numbers of sequential nodes are left out, and so is how the maker logs in. */
async function aclsBelow(chroot: string): Promise<Map<string, AclEntry[]>> {
  const connection = await connect()
  await connection.authenticate(SUPER)
  const found = new Map<string, AclEntry[]>()
  const walk = async (path: string): Promise<void> => {
    const acl = await connection.acl(path)
    const name = path.slice(chroot.length).replace(/_\d{10}$/, '_N')
    found.set(
      name === '' ? '/' : name,
      acl.map((entry) => entry.replace(/^(sasl:kafka|digest:odradek:[^:]+):/, 'maker::') as AclEntry),
    )
    for (const child of await connection.children(path)) await walk(`${path}/${child}`)
  }
  await walk(chroot)
  await connection.close()
  return found
}

/** What it ends with: `none`, or the server's error. */
async function errorOf(doing: Promise<unknown>): Promise<string> {
  try {
    await doing
    return 'none'
  } catch (error) {
    return /error (-\d+)/.exec(String(error))?.[1] ?? String(error)
  }
}
const NO_AUTH = '-102'

describe('the znodes of a broker with zookeeper.set.acl', () => {
  test('are protected as those of Apache Kafka', () => {
    const [ours, kafkas] = [new Map(acls.get('odradek')), acls.get('kafka')!]
    // Settings of groups are Kafka 4's: on ZooKeeper there are none.
    expect(ours.get('/config/groups')).toEqual(ours.get('/config/topics'))
    ours.delete('/config/groups')
    expect([...ours.keys()].sort()).toEqual([...kafkas.keys()].sort())
    expect(Object.fromEntries(ours)).toEqual(Object.fromEntries(kafkas))
  })

  test('are of three kinds: read by all, read by the maker alone, and one that is open', () => {
    const ours = acls.get('odradek')!
    const own: AclEntry = 'maker::rwcda'
    expect(ours.get('/')).toEqual([own, 'world:anyone:r'])
    expect(ours.get('/brokers/ids/1')).toEqual([own, 'world:anyone:r'])
    expect(ours.get('/config/topics/kept')).toEqual([own, 'world:anyone:r'])
    expect(ours.get('/config/changes/config_change_N')).toEqual([own, 'world:anyone:r'])
    expect(ours.get('/config/users')).toEqual([own])
    expect(ours.get('/config/brokers/1')).toEqual([own])
    expect(ours.get('/config/brokers/<default>')).toEqual([own])
    expect(ours.get('/consumers')).toEqual(['world:anyone:rwcda'])
  })

  test.each([['no credentials', null] as const, ['credentials of others', 'odradek:other'] as const])(
    'are not written by whoever has %s',
    async (_, digest) => {
      const stranger = await connect()
      if (digest !== null) await stranger.authenticate(digest)
      for (const [path, acl] of acls.get('odradek')!) {
        if (path === '/consumers' || path.endsWith('_N')) continue
        const full = `/odradek${path === '/' ? '' : path}`
        expect(await errorOf(stranger.set(full, Buffer.from('x'))), path).toBe(NO_AUTH)
        expect(await errorOf(stranger.create(`${full}/mine`)), path).toBe(NO_AUTH)
        if (path !== '/') expect(await errorOf(stranger.delete(full)), path).toBe(NO_AUTH)
        expect(await errorOf(stranger.get(full)), path).toBe(acl.length === 1 ? NO_AUTH : 'none')
      }
      expect(await errorOf(stranger.create(`/odradek/consumers/of-${digest ?? 'nobody'}`))).toBe('none')
      await stranger.close()
    },
  )
})

test('a broker with the credentials goes on after its restart; one without them is refused in one line', async () => {
  const member = members.get('odradek')!
  await member.kill()
  await member.start()
  const client = await WireClient.connect(member.port)
  expect(await createTopic(client, 'after-the-restart')).toBe(0)
  client.close()
  const stranger = await newMember('odradek', 2, loopback, { 'zookeeper.digest': 'odradek:other' })
  stranger.launch()
  expect(await stranger.exitCode()).toBe(1)
  expect(stranger.output().trim().split('\n').at(-1)).toMatch(
    /^odradek: ZooKeeper refuses \/\S+: its ACL asks for other credentials/,
  )
})
