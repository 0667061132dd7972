// Fetches what the client suites (test/kafka-compat) run and this machine lacks, and says what it fetches:
// kcat, a JDK, Maven, gcc and librdkafka's headers from Debian's packages, Apache Kafka's jars by Maven.
// Everything that is not a Debian package lands in <repo>/.cache, which git ignores.
//
//   node scripts/fetch-tools.js            all of it
//   node scripts/fetch-tools.js kcat jars  some of it: kcat, jdk, maven, c, jars
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const repository = dirname(dirname(fileURLToPath(import.meta.url)))
const pom = join(repository, 'test/kafka-compat/java/pom.xml')

/** The Apache Kafka version of the Java suites: it stands in the pom alone. */
export function kafkaVersion() {
  return /<kafka\.version>([^<]+)</.exec(readFileSync(pom, 'utf8'))[1]
}

/** Where Apache Kafka's jars are kept once fetched. */
export function kafkaJars() {
  return join(repository, '.cache', `kafka-${kafkaVersion()}`)
}

/** What each tool is needed for, how its presence shows, and the Debian packages that bring it. */
const packaged = {
  kcat: { present: () => runs('kcat', '-V'), packages: ['kcat'] },
  jdk: { present: () => runs('javac', '-version'), packages: ['default-jdk-headless'] },
  maven: { present: () => runs('mvn', '-v'), packages: ['maven'] },
  c: {
    present: () => runs('gcc', '--version') && existsSync('/usr/include/librdkafka/rdkafka.h'),
    packages: ['gcc', 'libc6-dev', 'librdkafka-dev'],
  },
}

function main(wanted) {
  const names = wanted.length === 0 ? ['kcat', 'jdk', 'c', 'jars'] : wanted
  const missing = names.filter((name) => packaged[name] && !packaged[name].present())
  const jarsMissing = names.includes('jars') && !existsSync(join(kafkaJars(), '.complete'))
  if (jarsMissing) {
    for (const name of ['jdk', 'maven']) {
      if (!missing.includes(name) && !packaged[name].present()) missing.push(name)
    }
  }
  if (missing.length > 0) installPackages(missing.flatMap((name) => packaged[name].packages))
  const stillMissing = missing.filter((name) => !packaged[name].present())
  if (stillMissing.length > 0) fail(`still not there after the installation: ${stillMissing.join(', ')}`)
  if (jarsMissing) fetchJars()
  if (missing.length === 0 && !jarsMissing) say(`nothing to fetch (${names.join(', ')} are there)`)
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

function fetchJars() {
  const target = kafkaJars()
  say(
    `Apache Kafka ${kafkaVersion()}: jars of kafka_2.13 and kafka-tools by Maven, about 100 files, into ${target}`,
  )
  const partial = `${target}.${process.pid}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial, { recursive: true })
  run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${partial}`])
  writeFileSync(join(partial, '.complete'), '')
  rmSync(target, { recursive: true, force: true })
  renameSync(partial, target)
}

function runs(command, ...args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

/** Runs a command, its output kept back unless it fails. */
function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options })
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
