/**
 * What the benchmarks need and this repository does not hold. Everything fetched is said aloud; what can be is kept in
 * .cache, the rest are packages of the distribution (installed when run as root, named when not).
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cleanEnv } from './process.ts'

export const KAFKA_VERSION = '3.9.1'
export const KAFKA_41_VERSION = '4.1.1'

/** bench/run.js starts every benchmark in the repository's root. */
export const root = process.cwd()
export const cache = join(root, '.cache')

function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2], env: cleanEnv() })
  if (error || status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `exit ${status}`}`)
}

function succeeds(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

interface Need {
  readonly what: string
  readonly debianPackage: string
  readonly present: () => boolean
}

const needs: Record<string, Need> = {
  java: {
    what: 'java',
    debianPackage: 'default-jdk-headless',
    present: () => succeeds('java', ['--version']),
  },
  maven: { what: 'mvn', debianPackage: 'maven', present: () => succeeds('mvn', ['--version']) },
  compiler: { what: 'cc', debianPackage: 'gcc libc6-dev', present: () => succeeds('cc', ['--version']) },
  kcat: { what: 'kcat', debianPackage: 'kcat', present: () => succeeds('kcat', ['-V']) },
  librdkafka: {
    what: 'librdkafka with its header',
    debianPackage: 'librdkafka-dev',
    present: () =>
      existsSync('/usr/include/librdkafka/rdkafka.h') || succeeds('pkg-config', ['--exists', 'rdkafka']),
  },
}

function require(...names: (keyof typeof needs)[]): void {
  const missing = names.map((name) => needs[name]).filter(({ present }) => !present())
  if (missing.length === 0) return
  const packages = missing.flatMap(({ debianPackage }) => debianPackage.split(' '))
  if (process.getuid?.() !== 0 || !succeeds('apt-get', ['--version']))
    throw new Error(
      `missing: ${missing.map(({ what }) => what).join(', ')}; on Debian: apt-get install ${packages.join(' ')}`,
    )
  console.error(`fetching Debian packages: ${packages.join(' ')}`)
  const wait = ['-o', 'DPkg::Lock::Timeout=300']
  run('apt-get', ['update', '-qq', ...wait])
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...wait, ...packages])
}

/** kcat's command name, installed if need be. */
export function kcat(): string {
  require('kcat')
  return 'kcat'
}

/** The class path of Apache Kafka 3.9's broker and tools (about 100 jars, 110 MB, from Maven Central). */
export function kafkaClassPath(): string {
  return kafkaJars(KAFKA_VERSION, 'libs', 'bench-complete')
}

/** The same of the Kafka that has KIP-848 and version-2 transactions; the Java suites keep it at the same place. */
export function kafka41ClassPath(): string {
  return kafkaJars(KAFKA_41_VERSION, '.', '.complete')
}

/** `complete`: the file that says that all of them are there. */
function kafkaJars(version: string, libs: string, complete: string): string {
  require('java')
  const folder = join(cache, `kafka-${version}`)
  const directory = join(folder, libs)
  if (!existsSync(join(folder, complete))) {
    require('maven')
    console.error(`fetching Apache Kafka ${version} from Maven Central to ${directory}`)
    rmSync(directory, { recursive: true, force: true })
    const pom = join(root, 'bench', 'kafka', 'pom.xml')
    run('mvn', [
      '-q',
      '-B',
      '-f',
      pom,
      `-Dkafka.version=${version}`,
      'dependency:copy-dependencies',
      `-DoutputDirectory=${directory}`,
    ])
    writeFileSync(join(folder, complete), '')
  }
  return join(directory, '*')
}

/** The compiled load client. */
export function rdperf(): string {
  const source = join(root, 'bench', 'clients', 'rdperf.c')
  const program = join(cache, 'bench', 'rdperf')
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program
  require('compiler', 'librdkafka')
  mkdirSync(join(cache, 'bench'), { recursive: true })
  run('cc', ['-O2', '-Wall', '-o', `${program}.new`, source, '-lrdkafka', '-lpthread'])
  renameSync(`${program}.new`, program)
  return program
}

/** Odradek as its users run it: the built bundle. */
export function odradekBundle(): string {
  const bundle = join(root, 'dist', 'odradek.js')
  if (!existsSync(bundle)) throw new Error('dist/odradek.js is not there: run npm run build first')
  return bundle
}
