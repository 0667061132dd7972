/** `odradek dump-log`: its files one after the other, each found thing a line. */
import { dirname } from 'node:path'
import type { Disk } from '../../env/disk.ts'
import { LOG_SUFFIX } from '../../log/file-names.ts'
import type { DumpOptions } from './arguments.ts'
import { asJson } from './as-json.ts'
import { asText } from './as-text.ts'
import { dumpFile } from './dump-file.ts'
import { problem } from './dumped.ts'
import type { Dumped } from './dumped.ts'
import { findFiles } from './find-files.ts'

export interface DumpedLine {
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
}

/** The lines, as they are read from the files: nothing is held but the batch at hand. Returns whether all was well. */
export function* dumpLog(disk: Disk, options: DumpOptions): Generator<DumpedLine, boolean> {
  let isSound = true
  for (const { file, dumped } of dumpAll(disk, options)) {
    if (dumped.type === 'problem') isSound = false
    const toStderr = !options.json && dumped.type === 'problem'
    const format = options.json ? asJson : asText
    yield { stream: toStderr ? 'stderr' : 'stdout', text: format(file, dumped, options.showRecordMetadata) }
  }
  return isSound
}

function* dumpAll(disk: Disk, options: DumpOptions): Generator<{ file: string; dumped: Dumped }> {
  const { files, others } = findFiles(disk, options.paths)
  for (const file of others) yield { file, dumped: problem('no file or directory of a log') }
  let before = { directory: '', lastOffset: -1 }
  for (const found of files) {
    const { path: file, offset } = found
    const directory = dirname(file)
    const isSegment = file.endsWith(LOG_SUFFIX)
    if (isSegment && directory === before.directory && offset <= before.lastOffset) {
      const dumped = problem(`begins at ${offset}, and the segment before it ends with ${before.lastOffset}`)
      yield { file, dumped }
    }
    for (const dumped of dumpFile(disk, found, options)) {
      if (isSegment && dumped.type === 'segmentEnd') before = { directory, lastOffset: dumped.lastOffset }
      yield { file, dumped }
    }
  }
}
