// Runs the test suites: fetches what they need, builds, then runs them in rows side by side, each with a
// process of its own. A suite's output is shown when it fails; its results stay in .cache/test-results.
//
//   node scripts/run-tests.js                 all suites (npm test)
//   node scripts/run-tests.js kcat roundtrip  some of them
//   node scripts/run-tests.js --count         no test: the sum of the results that are there
//   node scripts/run-tests.js --fetch         no test: fetches what all suites need
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const repository = dirname(dirname(fileURLToPath(import.meta.url)))
const results = join(repository, '.cache/test-results')
const compat = (path) => ['--project', 'kafka-compat', `test/kafka-compat/${path}`]

/** What each suite needs of scripts/fetch-tools.js, and what vitest is told to run. */
const suites = {
  unit: { needs: [], run: ['--project', 'unit'] },
  kafkajs: { needs: [], run: compat('kafkajs/') },
  kcat: { needs: ['kcat'], run: compat('kcat/') },
  java: { needs: ['jdk', 'jars'], run: compat('java-tools/') },
  'old-clients': { needs: ['kcat', 'jdk', 'old-clients'], run: compat('old-clients/') },
  roundtrip: { needs: ['jdk', 'jars', 'c'], run: compat('roundtrip/') },
  'side-by-side': { needs: ['kcat', 'jdk', 'jars', 'jars39'], run: compat('side-by-side/') },
  zookeeper: { needs: ['jdk', 'jars39', 'zookeeper'], run: compat('zookeeper/') },
  streams: { needs: ['kcat', 'jdk', 'streams'], run: compat('streams/') },
  mixed: { needs: ['kcat', 'jdk', 'jars', 'jars39', 'zookeeper', 'c'], run: compat('mixed/') },
  cluster: { needs: ['kcat', 'jdk', 'zookeeper', 'jars', 'c'], run: compat('cluster/') },
  transactions: { needs: ['kcat', 'jdk', 'zookeeper', 'jars', 'jars39', 'c'], run: compat('transactions/') },
  groups: { needs: ['jdk', 'jars', 'c'], run: compat('groups/') },
  'bad-input': { needs: [], run: compat('bad-input/') },
  crash: { needs: [], run: ['--project', 'crash'] },
  sim: { needs: [], run: ['--project', 'sim'] },
  smoke: { needs: [], run: compat('kafkajs/producing') },
  'unit-smoke': {
    needs: [],
    run: [
      '--project',
      'unit',
      ...['base', 'command', 'env', 'package', 'server'].map((name) => `test/${name}/`),
      // The log's others run on simulated disks.
      ...['durability', 'file-lock', 'log-model', 'partition-log', 'recompression'].map(
        (name) => `test/log/${name}`,
      ),
    ],
  },
}

/**
 * All but the smoke passes, which are parts of others (what depends on Node's own modules) for a newer Node. The longest first,
 * for rows that end together.
 */
const allSuites = [
  'cluster',
  'side-by-side',
  'unit',
  'mixed',
  'streams',
  'sim',
  'crash',
  'roundtrip',
  'old-clients',
  'kafkajs',
  'kcat',
  'java',
  'groups',
  'zookeeper',
  'transactions',
  'bad-input',
]
const SHARED_ROWS = 2

/** Most of its time a fault run waits for sessions to end and for brokers to come back. */
const IN_ROWS_OF_THEIR_OWN = ['cluster']

// Some machines export a bundle of certificates for package downloads; Node would read it at every start.
const env = { ...process.env }
delete env.NODE_EXTRA_CA_CERTS

async function main(names) {
  if (names.includes('--count')) return printCount(readCounts())
  if (names.includes('--fetch')) return fetchFor(allSuites)
  const unknown = names.filter((name) => suites[name] === undefined)
  if (unknown.length > 0) throw new Error(`no such suite: ${unknown.join(', ')}`)
  const asked = names.length === 0 ? allSuites : names
  fetchFor(asked)
  step('scripts/build.js', [], env)
  mkdirSync(results, { recursive: true })
  const isAlone = (name) => IN_ROWS_OF_THEIR_OWN.includes(name)
  const shared = asked.filter((name) => !isAlone(name))
  const lists = [...asked.filter(isAlone).map((name) => [name]), ...Array(SHARED_ROWS).fill(shared)]
  const rows = await Promise.all(lists.map(runRow))
  const failed = rows.flat().filter((code) => code !== 0).length
  process.stdout.write(
    failed === 0 ? 'run-tests: all suites passed\n' : `run-tests: suites failed: ${failed}\n`,
  )
  process.exitCode = failed === 0 ? 0 : 1
}

function fetchFor(names) {
  const needs = [...new Set(names.flatMap((name) => suites[name].needs))]
  if (needs.length > 0) step('scripts/fetch-tools.js', needs, process.env)
}

function step(script, args, environment) {
  const options = { stdio: 'inherit', cwd: repository, env: environment }
  const { status } = spawnSync(process.execPath, [join(repository, script), ...args], options)
  if (status !== 0) process.exit(1)
}

/** Runs suites one after the other until none is waiting. */
async function runRow(waiting) {
  const codes = []
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift())
    codes.push(await runSuite(name))
  return codes
}

/** Runs one suite and gives its exit code, 1 where it ran no test. */
async function runSuite(name) {
  const file = join(results, `${name}.node${process.versions.node.split('.')[0]}.json`)
  rmSync(file, { force: true })
  process.stdout.write(`run-tests: ${name} starts\n`)
  const started = performance.now()
  const vitest = join(repository, 'node_modules/vitest/vitest.mjs')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile=${file}`]
  const args = [vitest, 'run', ...suites[name].run, ...reporters]
  const child = spawn(process.execPath, args, { cwd: repository, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(chunk))
  const code = await new Promise((resolve) => child.once('close', resolve))
  const seconds = Math.round((performance.now() - started) / 1000)
  const { passed, failed } = countOf(file)
  if (code !== 0) process.stdout.write(Buffer.concat(output))
  const sum = `${passed} of ${passed + failed} tests passed, ${seconds} s`
  process.stdout.write(`run-tests: ${name} ${code === 0 ? 'ends' : 'FAILS'}: ${sum}\n`)
  return code === 0 && passed > 0 ? 0 : 1
}

/** Tests of one result file; a file of tests that could not even be loaded counts as one that failed. */
function countOf(file) {
  try {
    const result = JSON.parse(readFileSync(file, 'utf8'))
    const empty = result.testResults.filter(
      ({ status, assertionResults }) =>
        status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
    )
    return {
      passed: result.numPassedTests,
      failed: result.numFailedTests + empty.length,
      skipped: result.numPendingTests + result.numTodoTests,
    }
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
}

function readCounts() {
  const total = { passed: 0, failed: 0, skipped: 0 }
  for (const name of readdirSync(results)) {
    const counts = countOf(join(results, name))
    for (const key of Object.keys(total)) total[key] += counts[key]
  }
  return total
}

/** `PASSED FAILED SKIPPED`, for .ci/run. */
function printCount({ passed, failed, skipped }) {
  process.stdout.write(`${passed} ${failed} ${skipped}\n`)
}

await main(process.argv.slice(2))
