/** The log engine by itself, in this process, each figure beside the limit that this machine sets in the same round. */
import { workDirectory } from '../lab/brokers.ts'
import type { Section } from '../lab/report.ts'
import { runBenchmark } from '../lab/session.ts'
import type { Options } from '../lab/session.ts'
import { append } from './append.ts'
import { lookup } from './lookup.ts'
import { read } from './read.ts'
import { segments } from './segments.ts'

async function measure(options: Options): Promise<Section[]> {
  const work = workDirectory(options.data)
  try {
    return [
      ...(await append(options, work.path)),
      ...(await read(options, work.path)),
      ...(await lookup(options, work.path)),
      ...(await segments(options, work.path)),
    ]
  } finally {
    work.remove()
  }
}

await runBenchmark(
  'log',
  [
    'In this process, over the real file system, no broker and no client. The limit is measured in every round.',
    'Appending: one batch a call; the limit checks the CRC-32C and writes the same bytes.',
    'Reading: slices of 1 MiB to a process that drops them; the limit reads the same files into reused buffers.',
    'Segments: a process of its own, after a collection of garbage.',
  ],
  measure,
)
