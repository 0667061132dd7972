// node scripts/run-faults.js [--hours 2] [--seed 1] [--kinds odradek,odradek,odradek] [--rate 200] [--round-minutes 10]
// The long run of a cluster under faults: test/kafka-compat/cluster/long-run.ts, bundled to .cache and run. Needs root
// (network namespaces) and what `node scripts/fetch-tools.js kcat jdk zookeeper jars c` brings.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const repository = dirname(dirname(fileURLToPath(import.meta.url)))
// As deep below the repository as the source is, which finds the repository by its own place.
const program = join(repository, '.cache/cluster/run/long-run.mjs')

await build({
  entryPoints: [join(repository, 'test/kafka-compat/cluster/long-run.ts')],
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
