// Fetches what the client suites (test/kafka-compat) run and this machine lacks, and says what it fetches:
// kcat, a JDK, ZooKeeper, Maven, gcc and librdkafka's headers from Debian's packages, Apache Kafka's jars by Maven.
// Everything that is not a Debian package lands in <repo>/.cache, which git ignores.
//
//   node scripts/fetch-tools.js            all of it
//   node scripts/fetch-tools.js kcat jars  some of it: kcat, jdk, zookeeper, maven, c, jars, jars39, streams, old-clients
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const repository = dirname(dirname(fileURLToPath(import.meta.url)))

/** A fetch that takes longer has failed: a registry that does not answer would hold up a run for ever. */
const LONGEST_FETCH_MS = 600_000

/** Apache Kafka's jars by the poms that name their versions, where they are kept, and the file that says all are there. */
const kafkas = {
  // The tools and clients of the Java suites.
  jars: { pom: 'test/kafka-compat/java/pom.xml', libs: '.', complete: '.complete' },
  // The broker that stands beside ours, in the side-by-side suite and in bench/ (which keeps them at the same place).
  jars39: { pom: 'bench/kafka/pom.xml', libs: 'libs', complete: 'bench-complete' },
}

/** Kafka Streams and Kafka Connect, of the tools' version. */
kafkas.streams = {
  pom: 'test/kafka-compat/streams/java/pom.xml',
  libs: '.',
  complete: '.complete',
  version: versionIn(kafkas.jars.pom),
  prefix: 'streams-',
  what: 'kafka-streams, connect-runtime and connect-file',
}

/** Java clients that knew no record batches, a folder for each version. */
const oldClients = 'test/kafka-compat/old-clients'
const oldVersions = JSON.parse(readFileSync(join(repository, oldClients, 'versions.json'), 'utf8'))
for (const version of oldVersions) {
  const pom = `${oldClients}/java/pom.xml`
  kafkas[`client-${version}`] = {
    pom,
    libs: '.',
    complete: '.complete',
    version,
    prefix: 'client-',
    what: 'the Java client',
  }
}

function versionIn(pom) {
  return /<kafka\.version>([^<]+)</.exec(readFileSync(join(repository, pom), 'utf8'))[1]
}

function placeOf(name) {
  const { pom, prefix = '', version = versionIn(pom) } = kafkas[name]
  const folder = join(repository, '.cache', `kafka-${prefix}${version}`)
  return { ...kafkas[name], pom: join(repository, pom), version, folder }
}

/** What each tool is needed for, how its presence shows, and the Debian packages that bring it. */
const packaged = {
  kcat: { present: () => runs('kcat', '-V'), packages: ['kcat'] },
  jdk: { present: () => runs('javac', '-version'), packages: ['default-jdk-headless'] },
  zookeeper: {
    present: () => existsSync('/usr/share/java/zookeeper.jar'),
    packages: ['zookeeper'],
  },
  maven: { present: () => runs('mvn', '-v'), packages: ['maven'] },
  c: {
    present: () => runs('gcc', '--version') && existsSync('/usr/include/librdkafka/rdkafka.h'),
    packages: ['gcc', 'libc6-dev', 'librdkafka-dev'],
  },
}

function main(wanted) {
  const asked =
    wanted.length === 0 ? ['kcat', 'jdk', 'c', 'jars', 'jars39', 'streams', 'old-clients'] : wanted
  const names = asked.flatMap((name) =>
    name === 'old-clients' ? oldVersions.map((version) => `client-${version}`) : [name],
  )
  const jarsMissing = names.filter((name) => kafkas[name] && !jarsAreThere(name))
  const tools = new Set(names.filter((name) => packaged[name]))
  if (jarsMissing.length > 0) tools.add('jdk').add('maven')
  const missing = [...tools].filter((name) => !packaged[name].present())
  if (missing.length > 0) installPackages(missing.flatMap((name) => packaged[name].packages))
  const stillMissing = missing.filter((name) => !packaged[name].present())
  if (stillMissing.length > 0) fail(`still not there after the installation: ${stillMissing.join(', ')}`)
  for (const name of jarsMissing) fetchJars(name)
  if (missing.length + jarsMissing.length === 0) say(`nothing to fetch (${names.join(', ')} are there)`)
}

function jarsAreThere(name) {
  const { folder, complete } = placeOf(name)
  return existsSync(join(folder, complete))
}

function installPackages(packages) {
  const list = packages.join(' ')
  if (process.platform !== 'linux' || !runs('apt-get', '--version')) {
    fail(`the client suites need these, and there is no apt-get here to install them: ${list}`)
  }
  if (process.getuid() !== 0) {
    fail(
      `the client suites need Debian packages; as root: apt-get install -y --no-install-recommends ${list}`,
    )
  }
  say(`Debian packages: ${list}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const wait = ['-o', 'DPkg::Lock::Timeout=300']
  run('apt-get', [...wait, '-qq', 'update'], { env })
  run('apt-get', [...wait, '-qq', '-y', '--no-install-recommends', 'install', ...packages], { env })
}

/** Fetched beside their place and moved there whole, so that what is there is complete. */
function fetchJars(name) {
  const { pom, version, folder, libs, complete, what = 'kafka_2.13 and kafka-tools' } = placeOf(name)
  say(`Apache Kafka ${version}: ${what} with what they need by Maven, into ${folder}`)
  const partial = `${folder}.${process.pid}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(join(partial, libs), { recursive: true })
  run('mvn', [
    '-q',
    '-B',
    '-f',
    pom,
    `-Dkafka.version=${version}`,
    'dependency:copy-dependencies',
    `-DoutputDirectory=${join(partial, libs)}`,
  ])
  writeFileSync(join(partial, complete), '')
  rmSync(folder, { recursive: true, force: true })
  renameSync(partial, folder)
}

function runs(command, ...args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

/** Runs a command, its output kept back unless it fails. */
function run(command, args, options = {}) {
  const bounds = { maxBuffer: 1 << 28, timeout: LONGEST_FETCH_MS }
  const result = spawnSync(command, args, { encoding: 'utf8', ...bounds, ...options })
  if (result.status === 0) return
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`)
  fail(`failed: ${command} ${args.join(' ')}${result.error ? ` (${result.error.message})` : ''}`)
}

function say(text) {
  process.stdout.write(`fetch-tools: ${text}\n`)
}

function fail(text) {
  process.stderr.write(`fetch-tools: ${text}\n`)
  process.exit(1)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2))
