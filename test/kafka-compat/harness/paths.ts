import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root. */
export const repository = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))

/** What the suites fetch and build is kept here; git ignores it. */
export const cache = join(repository, '.cache')

/** The Apache Kafka version of the Java suites: it stands in the pom alone. */
export const kafkaVersion = /<kafka\.version>([^<]+)</.exec(
  readFileSync(join(repository, 'test/kafka-compat/java/pom.xml'), 'utf8'),
)![1]

/** Apache Kafka's jars, fetched by scripts/fetch-tools.js. */
export const kafkaJars = join(cache, `kafka-${kafkaVersion}`)

/** Kafka Streams and Kafka Connect of the same version. */
export const streamsJars = join(cache, `kafka-streams-${kafkaVersion}`)

/** Apache Kafka 3.9 with its ZooKeeper, which stands beside ours: the same jars as the benchmarks'. */
export function kafka39ClassPath(): string {
  const pom = readFileSync(join(repository, 'bench/kafka/pom.xml'), 'utf8')
  const version = /<kafka\.version>([^<]+)</.exec(pom)![1]
  const folder = join(cache, `kafka-${version}`)
  if (!existsSync(join(folder, 'bench-complete'))) {
    throw new Error(`Apache Kafka ${version} is not there: node scripts/fetch-tools.js jars39`)
  }
  return join(folder, 'libs', '*')
}
