/**
 * Brokers that come back in a way of their own: too early, with an empty disk, with an old one, with a directory of
 * another cluster, with the id of another broker. Of both kinds, in a cluster of both.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ClusterMember } from '../harness/cluster-member.ts'
import { freePort } from '../harness/launch.ts'
import { loopback } from '../harness/place.ts'
import { MixedCluster, ours } from './mixed-cluster.ts'

let mixed: MixedCluster

beforeAll(async () => {
  mixed = await MixedCluster.start(['kafka', ours, ours])
})

afterAll(() => mixed?.stop())

/** Longer than any start. */
const LONG_SESSION_MS = 60_000

const returning = [
  { kind: 'kafka', brokerId: 1 },
  { kind: 'odradek', brokerId: 2 },
] as const

describe.each(returning)('a broker of $kind', ({ brokerId }) => {
  const member = (): ClusterMember => mixed.cluster.member(brokerId)

  // What a test before it left undone is not the next one's fault.
  beforeEach(async () => {
    if (!member().isRunning) await member().start()
  })

  /** All that a start that fails says, but for the note on keys that have no effect. */
  async function refusedStart(started: ClusterMember): Promise<string[]> {
    const before = started.output().length
    started.launch()
    expect(await started.exitCode()).not.toBe(0)
    const lines = started.output().slice(before).trim().split('\n')
    return lines.filter((line) => !line.includes('accepted without effect here: '))
  }

  test('that was killed and is started again before its session has ended serves as soon as it may', async () => {
    await member().kill()
    expect(await mixed.view.prolongSession(brokerId, LONG_SESSION_MS)).toBe(true)
    if (member().kind === 'odradek') {
      member().launch()
      expect(await member().untilServing()).toBe(true)
    } else {
      // Kafka ends here until the session of its last life has ended.
      expect((await refusedStart(member())).join('\n')).toContain('NodeExists')
      expect(await mixed.view.expireSession(brokerId)).toBe(true)
      await member().start()
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
    const [, ownId] = /^cluster\.id=(.*)$/m.exec(own)!
    const otherId = 'AAAAAAAAAAAAAAAAAAAAAA'
    writeFileSync(file, own.replace(ownId, otherId))
    try {
      const said = await refusedStart(member())
      if (member().kind === 'odradek') expect(said).toHaveLength(1)
      const line = said.find((each) => each.includes(otherId))
      expect(line).toContain(ownId)
    } finally {
      writeFileSync(file, own)
    }
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
      const said = await refusedStart(second)
      if (member().kind === 'kafka') expect(said.join('\n')).toContain(`/brokers/ids/${brokerId}`)
      else expect(said).toEqual([expect.stringMatching(`broker\\.id=${brokerId}: .*${member().address}`)])
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
