/** The entry of `odradek dump-log`, a program of its own: the broker's start does not load it. */
import { once } from 'node:events'
import { createNodeDisk } from '../../env/node/disk.ts'
import { DiskError } from '../../env/disk.ts'
import { UsageError } from '../arguments.ts'
import { DUMP_LOG_HELP, readDumpArguments } from './arguments.ts'
import { dumpLog } from './dump-log.ts'

/** Lines are written by this many characters at a time. */
const CHUNK_LENGTH = 64 * 1024

/** Runs the command; `argv` without node, script and `dump-log`. Resolves to the exit code. */
async function run(argv: readonly string[]): Promise<number> {
  const options = readDumpArguments(argv)
  if (options === null) {
    process.stdout.write(DUMP_LOG_HELP)
    return 0
  }
  const pending = { stdout: '', stderr: '' }
  const flush = async (name: 'stdout' | 'stderr'): Promise<void> => {
    const text = pending[name]
    pending[name] = ''
    if (text !== '' && !process[name].write(text)) await once(process[name], 'drain')
  }
  const lines = dumpLog(createNodeDisk(), options)
  for (;;) {
    const step = lines.next()
    if (step.done) {
      await flush('stdout')
      await flush('stderr')
      return step.value ? 0 : 1
    }
    const { stream, text } = step.value
    // What was found before a fault is shown before it.
    if (stream === 'stderr') await flush('stdout')
    pending[stream] += `${text}\n`
    if (stream === 'stderr' || pending[stream].length >= CHUNK_LENGTH) await flush(stream)
  }
}

/** EX_SOFTWARE of sysexits.h: a bug. */
const EXIT_BUG = 70

// Whoever reads no further (`| head`) has seen enough.
process.stdout.on('error', () => process.exit(0))
run(process.argv.slice(3)).then(
  (code) => (process.exitCode = code),
  (error: Error) => {
    const isExpected = error instanceof UsageError || error instanceof DiskError
    process.stderr.write(`odradek: ${isExpected ? error.message : `stopped by a bug: ${error.stack}`}\n`)
    process.exitCode = isExpected ? 1 : EXIT_BUG
  },
)
