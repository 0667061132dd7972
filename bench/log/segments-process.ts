/**
 * Opens a log, reads once in every segment, and says as JSON what that takes. A process of its own, because memory is a
 * process's.   node --expose-gc log-segments DIRECTORY
 */
import { readdirSync } from 'node:fs'
import { memory } from '../lab/process.ts'
import { openLog } from './own-log.ts'

const [directory] = process.argv.slice(2)

function settled() {
  globalThis.gc!()
  const { heapUsed, external } = process.memoryUsage()
  return { heapAndBuffersMb: (heapUsed + external) / 1e6, rssMb: memory(process.pid).rssMb }
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length
}

const empty = settled()
const descriptorsBefore = descriptors()
const openFrom = performance.now()
const { log, close } = openLog(directory)
const openMs = performance.now() - openFrom
const atRest = settled()

const segments = Number(process.argv[3])
const perSegment = log.logEndOffset / segments
const options = { maxBytes: 1, upperBoundOffset: log.logEndOffset, minOneBatch: true }
const readFrom = performance.now()
for (let segment = 0; segment < segments; segment++) {
  const offset = Math.floor((segment + 0.5) * perSegment)
  const slice = log.read(offset, options)
  if (slice === null || slice.bytes.length === 0) throw new Error(`nothing at offset ${offset}`)
  slice.release()
}
const readMs = performance.now() - readFrom
const touched = settled()
const open = descriptors() - descriptorsBefore
await close()

console.log(
  JSON.stringify({
    openMs,
    bytesPerSegment: ((atRest.heapAndBuffersMb - empty.heapAndBuffersMb) * 1e6) / segments,
    touchMs: readMs / segments,
    touchedMb: touched.heapAndBuffersMb - atRest.heapAndBuffersMb,
    rssMb: touched.rssMb - empty.rssMb,
    descriptors: open,
  }),
)
