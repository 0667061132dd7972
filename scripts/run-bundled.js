// A program of the tests that runs by itself: bundled to .cache, since Node reads no TypeScript, and run with our arguments.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundle } from './bundle.js'

const repository = dirname(dirname(fileURLToPath(import.meta.url)))

/** `name`: of a folder of test/kafka-compat, whose long-run.ts it is. */
export async function runLong(name) {
  // As deep below the repository as the source is, which finds the repository by its own place.
  const program = join(repository, `.cache/${name}/run/long-run.mjs`)
  await bundle({
    entryPoints: [join(repository, `test/kafka-compat/${name}/long-run.ts`)],
    outfile: program,
  })
  const options = { cwd: repository, stdio: 'inherit' }
  process.exitCode = spawnSync(process.execPath, [program, ...process.argv.slice(2)], options).status ?? 1
}
