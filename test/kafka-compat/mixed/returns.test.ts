/**
 * Brokers that come back in a way of their own: too early, with an empty disk, with an old one, with a directory of
 * another cluster, with the id of another broker. Of both kinds, in a cluster of both.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ClusterMember } from '../harness/cluster-member.ts'
import { freePort } from '../harness/launch.ts'
import { loopback } from '../harness/place.ts'
import { MixedCluster, ours } from './mixed-cluster.ts'

let mixed: MixedCluster

beforeAll(async () => {
  mixed = await MixedCluster.start(['kafka', ours, ours])
})

afterAll(() => mixed?.stop())

const returning = [
  { kind: 'kafka', brokerId: 1 },
  { kind: 'odradek', brokerId: 2 },
] as const

describe.each(returning)('a broker of $kind', ({ brokerId }) => {
  const member = (): ClusterMember => mixed.cluster.member(brokerId)

  test('that was killed and is started again before its session has ended serves as soon as it may', async () => {
    const before = member().output().length
    await member().kill()
    if (member().kind === 'odradek') {
      member().launch()
      expect(await member().untilServing()).toBe(true)
    } else {
      // Kafka ends here, in one line that says why, until the session of its last life has ended.
      await member().start()
      expect(member().output().slice(before)).toContain('NodeExists')
    }
    await mixed.untilAllInSync()
    await mixed.untilLoadGoesOn()
  })

  test('that has lost its disk copies everything again', async () => {
    await member().kill()
    rmSync(member().logDir, { recursive: true, force: true })
    await member().start()
    await mixed.untilAllInSync()
    await mixed.untilLoadGoesOn()
  })

  test('that has got an old copy of its disk goes on from there', async () => {
    const copy = join(member().directory, 'copy')
    await member().shutDown()
    cpSync(member().logDir, copy, { recursive: true })
    await member().start()
    await mixed.untilAllInSync()
    // Leaders change meanwhile, so that the copy ends in an older epoch than the logs do.
    await mixed.electPreferred()
    await mixed.untilLoadGoesOn()
    await member().shutDown()
    rmSync(member().logDir, { recursive: true, force: true })
    cpSync(copy, member().logDir, { recursive: true })
    await member().start()
    await mixed.untilAllInSync()
    await mixed.electPreferred()
    await mixed.untilLoadGoesOn()
  })

  test('whose directory belongs to another cluster does not start, and says so in one line', async () => {
    await member().shutDown()
    const file = join(member().logDir, 'meta.properties')
    const own = readFileSync(file, 'utf8')
    writeFileSync(file, own.replace(/^cluster\.id=.*$/m, 'cluster.id=AAAAAAAAAAAAAAAAAAAAAA'))
    const before = member().output().length
    member().launch()
    expect(await member().exitCode()).not.toBe(0)
    const said = member().output().slice(before)
    expect(said).toContain('AAAAAAAAAAAAAAAAAAAAAA')
    if (member().kind === 'odradek') expect(said.trim().split('\n')).toHaveLength(1)
    writeFileSync(file, own)
    await member().start()
    await mixed.untilAllInSync()
  })

  test('that has the id of a running one does not start, and the running one is not disturbed', async () => {
    const second = new ClusterMember({
      brokerId,
      kind: member().kind,
      place: loopback,
      port: await freePort(),
      directory: join(mixed.cluster.directory, `second-${brokerId}`),
      properties: member().properties,
    })
    try {
      second.launch()
      expect(await second.exitCode()).not.toBe(0)
      expect(second.output()).toContain(`/brokers/ids/${brokerId}`)
      if (member().kind === 'odradek') expect(second.output().trim().split('\n')).toHaveLength(1)
    } finally {
      await second.stop()
    }
    expect(await mixed.view.brokerIds()).toEqual([1, 2, 3])
    await mixed.untilLoadGoesOn()
  })
})

test('no record was lost, duplicated, reordered or made up, and the replicas are the same bytes', async () => {
  await mixed.expectNothingWrong()
})
