import { expect, test } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { alterReplicaLogDirsApi } from '../../src/protocol/messages/34-alter-replica-log-dirs.ts'
import { startProcess } from './broker-process.ts'
import { allValues, batchOf, createTopic, produce } from './requests.ts'

const DIRECTORIES = ['/one', '/two']
const ROUNDS = 12

test('a broker that dies again and again while a partition moves under load loses nothing acknowledged', async () => {
  const seed = Number(globalThis.process.env.SEED ?? 1)
  const random = new SeededRandom(seed)
  const disk = new SimDisk({ random: new SeededRandom(seed) })
  const acknowledged: number[] = []
  let next = 0
  let moved = 0
  let underWay = 0
  for (let round = 0; round < ROUNDS; round++) {
    const at = `seed ${seed}, round ${round}`
    const rate = random.next() < 0.5 ? '3000' : '1000000000'
    const process = await startProcess(disk, {
      'log.dirs': DIRECTORIES.join(','),
      'replica.alter.log.dirs.io.max.bytes.per.second': rate,
    })
    const [loader, mover] = [await process.connect(), await process.connect()]
    const configs = { 'flush.messages': '1', 'segment.bytes': '4000', 'file.delete.delay.ms': '1' }
    if (round === 0) await createTopic(loader, 't', configs)
    const found = (await allValues(loader, 't')).map(Number)
    expect(found, at).toEqual([...new Set(found)].sort((a, b) => a - b))
    expect(new Set(found), at).toEqual(new Set([...found, ...acknowledged]))

    const deaths = 5 + Math.floor(random.next() * 60)
    const path = DIRECTORIES[round % 2]
    const dirs = [{ path, topics: [{ name: 't', partitions: [0] }] }]
    const loads = async (): Promise<void> => {
      for (let i = 0; i < deaths; i++) {
        const value = next++
        const reply = await produce(loader, 't', batchOf([String(value)]))
        expect(reply.errorCode, at).toBe(0)
        acknowledged.push(value)
      }
    }
    const loading = loads()
    await mover.request(alterReplicaLogDirsApi, 2, { dirs })
    await loading
    if (disk.list(path).includes('t-0')) moved++
    if (disk.list(path).some((name) => name.endsWith('-future'))) underWay++
    expect(process.bugs, at).toEqual([])
    process.kill()
    disk.crash(random.next() < 0.5 ? 'random' : 'drop')
  }
  expect([moved > 0, underWay > 0]).toEqual([true, true])
})
