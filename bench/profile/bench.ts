/**
 * Where Odradek's CPU goes: src bundled as the build does, under `node --cpu-prof` and rdperf's load, the functions with the most self
 * time printed. For a look, not for a record: sampling itself costs. --mode produce|consume|replicate --size 100|1000
 * or --mode classic|consumer|commits|load (groups.ts) --members N --partitions N (of each commit)
 * --codec none|lz4 --seconds-worth N (about so much load) --top N. `replicate` is acks=all into three brokers, of which the
 * first leads all: --partitions N
 */
import { readdirSync, readFileSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { startOdradek, workDirectory } from '../lab/brokers.ts'
import type { Broker } from '../lab/brokers.ts'
import { BenchCluster, BROKER_IDS } from '../lab/cluster.ts'
import { startEnsemble } from '../lab/ensemble.ts'
import { consumeByRdperf, payloadFile, produceByRdperf, runRdperf } from '../lab/load.ts'
import type { Load } from '../lab/load.ts'
import { cpuSeconds } from '../lab/process.ts'
import { cache } from '../lab/tools.ts'
import { createTopic, withWire } from '../lab/wire.ts'
import { driveGroups, isOfGroups, loadingDirectory } from './groups.ts'
import { asBundledModule, selfTimes } from './cpu-profile.ts'
import type { CpuProfile } from './cpu-profile.ts'

const { values } = parseArgs({
  options: {
    mode: { type: 'string', default: 'produce' },
    size: { type: 'string', default: '100' },
    codec: { type: 'string', default: 'none' },
    'seconds-worth': { type: 'string', default: '4' },
    partitions: { type: 'string', default: '4' },
    members: { type: 'string', default: '500' },
    top: { type: 'string', default: '30' },
    data: { type: 'string', default: '/dev/shm' },
  },
})
const recordBytes = Number(values.size)
const seconds = Number(values['seconds-worth'])
const partitions = Number(values.partitions)
const records = Math.round(seconds * (recordBytes >= 1000 ? 400_000 : 2_000_000))

const work = workDirectory(values.data)
const dataDirectory = join(work.path, 'data')

async function drive(broker: Broker): Promise<void> {
  const codec = values.codec === 'lz4' ? 'lz4' : 'none'
  const produced: Load = { topic: 'profiled', partitions, recordBytes, records, codec }
  const consumed: Load = { ...produced, records: Math.round(records / 4) }
  await withWire(broker.port, (wire) => createTopic(wire, 'profiled', partitions))
  if (values.mode === 'consume') {
    await produceByRdperf(broker, consumed)
    console.log(await consumeByRdperf(broker, consumed, 12))
  } else console.log(await produceByRdperf(broker, produced))
}

const bundle = join(cache, 'bench', 'profiled-odradek.mjs')
const nodeArgs = ['--cpu-prof', `--cpu-prof-dir=${work.path}`, bundle]

async function profileBroker(): Promise<void> {
  const { mode } = values
  if (mode === 'load') await loadingDirectory(dataDirectory)
  const settings = mode === 'load' ? ['offsets.topic.num.partitions=1'] : []
  const broker = await startOdradek(dataDirectory, nodeArgs, settings)
  if (isOfGroups(mode)) await driveGroups(broker, mode, { members: Number(values.members), partitions })
  else await drive(broker)
  await broker.stop()
}

async function profileCluster(): Promise<void> {
  const ensemble = await startEnsemble(join(work.path, 'zookeeper'))
  const cluster = await BenchCluster.start('odradek', { directory: dataDirectory, ensemble, nodeArgs })
  await cluster.createTopic(
    'profiled',
    Array.from({ length: partitions }, () => BROKER_IDS),
  )
  const before = cluster.pids.map(cpuSeconds)
  const count = Math.round(records / 8)
  const result = await runRdperf(cluster, 'produce', {
    topic: 'profiled',
    count,
    payload: payloadFile(recordBytes),
    acks: 'all',
    'linger.ms': 20,
    'compression.codec': values.codec,
  })
  const gigabytes = (count * recordBytes) / 1e9
  const cpu = cluster.pids.map((pid, i) => ((cpuSeconds(pid) - before[i]) / gigabytes).toFixed(2))
  console.log(result, `CPU of each broker, the leader first, s/GB: ${cpu.join(', ')}`)
  for (const id of BROKER_IDS) {
    await cluster.stop(id, 'SIGTERM')
    console.log(`broker ${id}:`)
    printProfiles()
  }
  await ensemble.stop()
}

/** Those that have been written since the last time. */
function printProfiles(): void {
  const files = readdirSync(work.path).filter((name) => name.endsWith('.cpuprofile'))
  if (files.length === 0) throw new Error('node wrote no profile: did the broker end cleanly?')
  const locate = asBundledModule(pathToFileURL(bundle).href, readFileSync(bundle, 'utf8'))
  for (const file of files) {
    const profile = JSON.parse(readFileSync(join(work.path, file), 'utf8')) as CpuProfile
    unlinkSync(join(work.path, file))
    for (const { what, ms, share } of selfTimes(profile, locate).slice(0, Number(values.top)))
      console.log(`${(share * 100).toFixed(1).padStart(5)} % ${ms.toFixed(0).padStart(6)} ms  ${what}`)
  }
}

if (values.mode === 'replicate') await profileCluster()
else {
  await profileBroker()
  printProfiles()
}
work.remove()
