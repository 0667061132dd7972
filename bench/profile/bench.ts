/**
 * Where Odradek's CPU goes: src bundled as the build does, under `node --cpu-prof` and rdperf's load, the functions with the most self
 * time printed. For a look, not for a record: sampling itself costs. --mode produce|consume --size 100|1000 --codec none|lz4
 * --seconds-worth N (about so much load) --top N
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { startOdradek, workDirectory } from '../lab/brokers.ts'
import type { Broker } from '../lab/brokers.ts'
import { consumeByRdperf, produceByRdperf } from '../lab/load.ts'
import type { Load } from '../lab/load.ts'
import { cache } from '../lab/tools.ts'
import { createTopic, withWire } from '../lab/wire.ts'
import { asBundledModule, selfTimes } from './cpu-profile.ts'
import type { CpuProfile } from './cpu-profile.ts'

const { values } = parseArgs({
  options: {
    mode: { type: 'string', default: 'produce' },
    size: { type: 'string', default: '100' },
    codec: { type: 'string', default: 'none' },
    'seconds-worth': { type: 'string', default: '4' },
    top: { type: 'string', default: '30' },
    data: { type: 'string', default: '/dev/shm' },
  },
})
const recordBytes = Number(values.size)
const seconds = Number(values['seconds-worth'])
const partitions = 4
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
const broker = await startOdradek(dataDirectory, ['--cpu-prof', `--cpu-prof-dir=${work.path}`, bundle])
await drive(broker)
await broker.stop()
const file = readdirSync(work.path).find((name) => name.endsWith('.cpuprofile'))
if (file === undefined) throw new Error('node wrote no profile: did the broker end cleanly?')
const profile = JSON.parse(readFileSync(join(work.path, file), 'utf8')) as CpuProfile
const locate = asBundledModule(pathToFileURL(bundle).href, readFileSync(bundle, 'utf8'))
const times = selfTimes(profile, locate)
for (const { what, ms, share } of times.slice(0, Number(values.top)))
  console.log(`${(share * 100).toFixed(1).padStart(5)} % ${ms.toFixed(0).padStart(6)} ms  ${what}`)
work.remove()
