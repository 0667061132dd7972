// node scripts/run-transactions.js [--transactions 100000] [--round 10000] [--minutes 600] [--seed 1] [--kinds ...] [--writers 4]
// The long run of transactions under faults: test/kafka-compat/transactions/long-run.ts, bundled to .cache and run. Needs
// what `node scripts/fetch-tools.js kcat jdk zookeeper jars c` brings.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const repository = dirname(dirname(fileURLToPath(import.meta.url)))
// As deep below the repository as the source is, which finds the repository by its own place.
const program = join(repository, '.cache/transactions/run/long-run.mjs')

await build({
  entryPoints: [join(repository, 'test/kafka-compat/transactions/long-run.ts')],
  outfile: program,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
})
const options = { cwd: repository, stdio: 'inherit' }
process.exitCode = spawnSync(process.execPath, [program, ...process.argv.slice(2)], options).status ?? 1
