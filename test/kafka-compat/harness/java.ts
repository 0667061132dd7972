import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ChildProcess } from 'node:child_process'
import { cache, kafkaJars, kafkaVersion, repository, streamsJars } from './paths.ts'
import { ended, mustRun, startProcess } from './processes.ts'
import type { CommandResult } from './processes.ts'

/** Java sources of ours and the jars that they are compiled against and run with. */
interface JavaPrograms {
  folder: string
  jars: string
}

const toolPrograms: JavaPrograms = { folder: 'test/kafka-compat/java', jars: kafkaJars }

/** Kafka Streams applications, and the workers of Kafka Connect. */
export const streamsPrograms: JavaPrograms = {
  folder: 'test/kafka-compat/streams/java',
  jars: streamsJars,
}

/** Arguments of `java` up to the class: Kafka's jars, our classes compiled against them, quick to start. */
export async function javaArguments(heapMegabytes = 256, programs = toolPrograms): Promise<string[]> {
  const classPath = `${await compiledClasses(programs)}:${programs.jars}/*`
  return [
    `-Xmx${heapMegabytes}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Xshare:auto',
    '-cp',
    classPath,
  ]
}

/** Compiles the programs once for this state of the sources, and gives the classes' folder. */
async function compiledClasses({ folder, jars }: JavaPrograms): Promise<string> {
  if (!existsSync(join(jars, '.complete'))) {
    throw new Error(`${jars} is not there: node scripts/fetch-tools.js`)
  }
  const sources = readdirSync(join(repository, folder)).filter((name) => name.endsWith('.java'))
  const paths = sources.map((source) => join(repository, folder, source))
  const hash = createHash('sha256').update(kafkaVersion)
  for (const [index, source] of sources.entries()) hash.update(source).update(readFileSync(paths[index]))
  const classes = join(cache, `kafka-compat-classes-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(classes)) return classes
  const partial = `${classes}.${process.pid}.partial`
  mkdirSync(partial, { recursive: true })
  await mustRun('javac', ['-nowarn', '-d', partial, '-cp', `${jars}/*`, ...paths])
  if (existsSync(classes)) rmSync(partial, { recursive: true })
  else renameSync(partial, classes)
  return classes
}

const tools = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-configs': 'kafka.admin.ConfigCommand',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
  'kafka-consumer-perf-test': 'org.apache.kafka.tools.ConsumerPerformance',
  'kafka-delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'kafka-leader-election': 'org.apache.kafka.tools.LeaderElectionCommand',
  'kafka-reassign-partitions': 'org.apache.kafka.tools.reassign.ReassignPartitionsCommand',
  'kafka-log-dirs': 'org.apache.kafka.tools.LogDirsCommand',
  'kafka-dump-log': 'kafka.tools.DumpLogSegments',
  'kafka-transactions': 'org.apache.kafka.tools.TransactionsCommand',
  'kafka-features': 'org.apache.kafka.tools.FeatureCommand',
  'move-replica': 'MoveReplica',
  transactions: 'Transactions',
  'kafka-broker-api-versions': 'org.apache.kafka.tools.BrokerApiVersionsCommand',
} as const

export type ToolName = keyof typeof tools

/** Kafka's command-line tools in one Java process, run one at a time. */
export class KafkaTools {
  #child: ChildProcess
  #answers: AsyncIterator<string>
  #last: Promise<unknown> = Promise.resolve()

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  }

  static async start(): Promise<KafkaTools> {
    const args = [...(await javaArguments()), 'ToolRunner']
    return new KafkaTools(startProcess('java', args, { stdio: ['pipe', 'pipe', 'inherit'] }))
  }

  /** Runs a tool to its end and gives what it said, whatever its exit code. */
  run(tool: ToolName, args: string[], input = ''): Promise<CommandResult> {
    const result = this.#last.then(() => this.#call(tool, args, input))
    this.#last = result.catch(() => {})
    return result
  }

  /** Like run(), but a non-zero exit fails with what the tool said. Gives its standard output. */
  async must(tool: ToolName, args: string[], input = ''): Promise<string> {
    const { code, stdout, stderr } = await this.run(tool, args, input)
    if (code !== 0) throw new Error(`${tool} ${args.join(' ')}: exit code ${code}\n${stdout}${stderr}`)
    return stdout
  }

  async #call(tool: ToolName, args: string[], input: string): Promise<CommandResult> {
    const fields = [input, ...args].map((field) => Buffer.from(field).toString('base64'))
    this.#child.stdin!.write(`${[tools[tool], ...fields].join('\t')}\n`)
    const { value, done } = await this.#answers.next()
    if (done) throw new Error(`${tool} ${args.join(' ')}: the Java process has ended`)
    const [code, stdout, stderr] = (value as string).split('\t')
    const decoded = (text: string): string => Buffer.from(text, 'base64').toString()
    return { code: Number(code), stdout: decoded(stdout), stderr: decoded(stderr) }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await ended(this.#child)
  }
}
