import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { cache, repository } from './paths.ts'
import { mustRun } from './processes.ts'

/** Compiles test/kafka-compat/c/NAME.c once for this state of the source, and gives the program's path. */
export async function compiledProgram(name: string, libraries: readonly string[] = []): Promise<string> {
  const source = join(repository, `test/kafka-compat/c/${name}.c`)
  const shared = join(repository, 'test/kafka-compat/c/client.h')
  const text = Buffer.concat([readFileSync(source), readFileSync(shared)])
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16)
  const file = join(cache, `kafka-compat-${name}-${hash}`)
  if (existsSync(file)) return file
  mkdirSync(cache, { recursive: true })
  const partial = `${file}.${process.pid}.partial`
  const flags = libraries.map((library) => `-l${library}`)
  await mustRun('gcc', ['-O2', '-Wall', '-o', partial, source, ...flags])
  renameSync(partial, file)
  return file
}
